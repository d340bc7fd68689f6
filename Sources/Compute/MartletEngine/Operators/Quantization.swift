// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// (x - zero point) · scale, per tensor or per axis.
    static let dequantizeLinear = NativeOperator(.dequantizeLinear) { node in
        let input = try node.input()
        let output = try node.output()
        try node.expectFloat32(output)
        let scale = try perAxis(node, node.input(1), input.shape)
        try emitCast(node, input, output)
        if let zero = node.optional(2) {
            let shift = try node.cast(perAxis(node, zero, input.shape), to: .float32)
            try emitBinary(node, MARTLET_SUB, output, shift, output)
        }
        try emitBinary(node, MARTLET_MUL, output, scale, output)
    }

    /// saturate(round(x / scale) + zero point), halves to even.
    static let quantizeLinear = NativeOperator(.quantizeLinear) { node in
        let input = try node.input()
        let output = try node.output()
        try node.expectFloat32(input)
        let scale = try perAxis(node, node.input(1), input.shape)
        let work = try node.temporary(.float32, input.shape)
        try emitBinary(node, MARTLET_DIV, input, scale, work)
        try emitUnary(node, MARTLET_ROUND, work, work)
        if let zero = node.optional(2) {
            let shift = try node.cast(perAxis(node, zero, input.shape), to: .float32)
            try emitBinary(node, MARTLET_ADD, work, shift, work)
        }
        // A cast to whole numbers saturates.
        try emitCast(node, work, output)
    }

    /// A scale or zero point with its axis where the data has it.
    private static func perAxis(
        _ node: Lowering, _ operand: Operand, _ data: Shape
    ) throws -> Operand {
        if operand.count == 1 { return operand.viewed(as: []) }
        let axis = try node.axis(node.int("axis", default: 1), rank: data.rank)
        guard operand.shape.rank == 1, operand.count == data[axis] else {
            throw node.failure("scales of shape \(operand.shape)")
        }
        var shape = Shape(repeating: 1, rank: data.rank)
        shape[axis] = operand.count
        return operand.viewed(as: shape)
    }
}
