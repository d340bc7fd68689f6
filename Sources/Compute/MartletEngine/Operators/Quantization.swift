// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// (x - zero point) · scale, per tensor, per axis or per block of an axis.
    static let dequantizeLinear = NativeOperator(.dequantizeLinear) { node in
        let input = try node.input()
        if let form = try ByteQuantization(node, bytes: input, floats: node.output()) {
            return try form.emit(node, from: input, to: node.output(), isBack: true)
        }
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
        if let form = try ByteQuantization(node, bytes: node.output(), floats: node.input()) {
            return try form.emit(node, from: node.input(), to: node.output(), isBack: false)
        }
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

/// Quantisation to and from 8 bits by constants, per tensor or per place of an axis.
private struct ByteQuantization {
    var scales: Slot
    var zeros: Slot
    var outer: Int64 = 1
    var channels: Int64 = 1
    var inner: Int64
    var isSigned: Bool

    /// Nil where the general way has to do it.
    init?(_ node: Lowering, bytes: Operand, floats: Operand) throws {
        guard bytes.elementType.isByte, floats.elementType == .float32,
            let scale = node.optional(1), scale.elementType == .float32, scale.constant != nil,
            node.int("block_size") == 0
        else { return nil }
        isSigned = bytes.elementType == .int8
        inner = Int64(bytes.count)
        scales = scale.slot
        zeros = .none
        if scale.count != 1 {
            let shape = bytes.shape
            let axis = try node.axis(node.int("axis", default: 1), rank: shape.rank)
            // Short runs are quicker the general way.
            guard scale.shape.rank == 1, scale.count == shape[axis] else { return nil }
            inner = Int64(shape.product((axis + 1)..<shape.rank))
            channels = Int64(scale.count)
            outer = Int64(shape.product(0..<axis))
            guard inner >= 16 else { return nil }
        }
        guard let zero = node.optional(2) else { return }
        guard zero.constant != nil, zero.elementType == bytes.elementType,
            zero.count == Int(channels)
        else { return nil }
        zeros = node.constant(try Tensor(zero.bytes(node)))
    }

    func emit(_ node: Lowering, from: Operand, to: Operand, isBack: Bool) throws {
        try unsafe node.emit(
            byteQuantizationStep,
            ByteQuantizationArguments(
                input: from.slot, output: to.slot, scales: scales, zeros: zeros, outer: outer,
                channels: channels, inner: inner, isSigned: isSigned, isBack: isBack))
    }
}

struct ByteQuantizationArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var scales: Slot
    var zeros: Slot
    var outer: Int64
    var channels: Int64
    var inner: Int64
    var isSigned: Bool
    var isBack: Bool
}

func byteQuantizationStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: ByteQuantizationArguments.self)
    let frame = unsafe StepFrame(frame)
    var form = unsafe martlet_quantize_args(
        outer: arguments.outer, channels: arguments.channels, inner: arguments.inner,
        scales: frame.floats(arguments.scales),
        zeros: frame[arguments.zeros]?.assumingMemoryBound(to: Int32.self),
        is_signed: arguments.isSigned ? 1 : 0)
    if arguments.isBack {
        unsafe martlet_dequantize_linear(
            &form, frame[arguments.input], frame.floats(arguments.output), frame.threads)
    } else {
        unsafe martlet_quantize_linear(
            &form, frame.floats(arguments.input), frame[arguments.output], frame.threads)
    }
    return StepStatus.done
}
