// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// (x - zero point) · scale, per tensor, per axis or per block of an axis.
    static let dequantizeLinear = NativeOperator(.dequantizeLinear) { node in
        let input = try node.input()
        let scale = try spread(node, node.floats(1), input.shape)
        try node.produce { output in
            try emitCast(node, input, output)
            if let zero = try node.optionalFloats(2) {
                let shift = try spread(node, zero, input.shape)
                try emitBinary(node, MARTLET_SUB, output, shift, output)
            }
            try emitBinary(node, MARTLET_MUL, output, scale, output)
        }
    }

    /// saturate(round(x / scale) + zero point), halves to even; without rounding to small floats.
    static let quantizeLinear = NativeOperator(.quantizeLinear) { node in
        let input = try node.floats(0)
        let scale = try spread(node, node.floats(1), input.shape)
        let work = try node.temporary(.float32, input.shape)
        try emitBinary(node, MARTLET_DIV, input, scale, work)
        let zero = try node.optionalFloats(2).map { try spread(node, $0, input.shape) }
        try emitQuantized(node, work, zero: zero, node.output())
    }

    /// A scale or zero point in a shape that broadcasts to the data.
    private static func spread(
        _ node: Lowering, _ operand: Operand, _ data: Shape
    ) throws -> Operand {
        if operand.count == 1 { return operand.viewed(as: []) }
        let axis = try node.axis(node.int("axis", default: 1), rank: data.rank)
        if operand.shape.rank == 1 && (data.rank > 1 || operand.count == data[axis]) {
            guard operand.count == data[axis] else {
                throw node.failure("scales of shape \(operand.shape)", .invalidModel)
            }
            var shape = Shape(repeating: 1, rank: data.rank)
            shape[axis] = operand.count
            return operand.viewed(as: shape)
        }
        return try blocks(node, operand, data, axis: axis)
    }

    /// Scales that each serve `block_size` neighbours along the axis, one for each element.
    private static func blocks(
        _ node: Lowering, _ operand: Operand, _ data: Shape, axis: Int
    ) throws -> Operand {
        var expected = data
        expected[axis] = operand.shape.rank == data.rank ? operand.shape[axis] : 0
        guard operand.shape == expected, operand.shape[axis] > 0 else {
            throw node.failure("scales of shape \(operand.shape)", .invalidModel)
        }
        let scales = operand.shape[axis]
        let given = node.int("block_size")
        let size = given > 0 ? given : (data[axis] + scales - 1) / scales
        let places = (0..<data[axis]).map { Int64(Swift.min($0 / size, scales - 1)) }
        let full = try node.temporary(.float32, data)
        try emitGather(node, operand, node.constantOperand(Tensor(places)), full, axis: axis)
        return full
    }
}

/// Emits `output = saturate(round(value) + zero)`; `value` (32-bit floats) is overwritten.
func emitQuantized(
    _ node: Lowering, _ value: Operand, zero: Operand?, _ output: Operand
) throws {
    if output.elementType.isInteger { try emitUnary(node, MARTLET_ROUND, value, value) }
    if let zero { try emitBinary(node, MARTLET_ADD, value, zero, value) }
    if let range = output.elementType.integerRange {
        try emitUnary(node, MARTLET_CLIP, value, value, alpha: range.low, beta: range.high)
    }
    try emitCast(
        node, value, output, saturates: node.int("saturate", default: 1) != 0)
}
