// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

// Products and convolutions of 8-bit numbers, summed up in 32 bits.
extension NativeOperator {
    static let matMulInteger = NativeOperator(.matMulInteger) { node in
        try emitIntegerProduct(
            node, left: (0, node.optional(2)), right: (1, node.optional(3)), node.output())
    }

    /// Inputs: A, its scale and zero point, B, its scale and zero point, Y's scale and zero point.
    static let qLinearMatMul = NativeOperator(.qLinearMatMul) { node in
        let output = try node.output()
        let sums = try node.temporary(.int32, output.shape)
        try emitIntegerProduct(
            node, left: (0, node.input(2)), right: (3, node.input(5)), sums)
        let value = try node.cast(sums, to: .float32)
        let scales = [(1, MARTLET_MUL, true), (4, MARTLET_MUL, false), (6, MARTLET_DIV, false)]
        for (index, operation, isRow) in scales {
            let scale = try node.floats(index)
            try emitBinary(
                node, operation, value, isRow ? asRows(scale) : scale, value)
        }
        try emitQuantized(node, value, zero: node.floats(7), output)
    }

    static let convInteger = NativeOperator(.convInteger) { node in
        let input = try shifted(node, node.input(0), node.optional(2))
        let weights = try shifted(
            node, node.input(1), node.optional(3).map { perOutput($0, node) })
        try emitGeneralConvolution(node, input, weights, bias: nil, node.output())
    }

    /// Inputs: X, scale, zero point, W, scale, zero point, Y's scale and zero point, bias?.
    static let qLinearConv = NativeOperator(.qLinearConv) { node in
        let output = try node.output()
        let input = try shifted(node, node.input(0), node.input(2))
        let kernel = try node.input(3)
        let weights = try shifted(node, kernel, perOutput(node.input(5), rank: kernel.shape.rank))
        let sums = try node.temporary(.int32, output.shape)
        try emitGeneralConvolution(node, input, weights, bias: node.optional(8), sums)
        let value = try node.cast(sums, to: .float32)
        try emitBinary(node, MARTLET_MUL, value, node.floats(1), value)
        try emitBinary(
            node, MARTLET_MUL, value, perOutput(node.floats(4), rank: kernel.shape.rank - 1), value)
        try emitBinary(node, MARTLET_DIV, value, node.floats(6), value)
        try emitQuantized(node, value, zero: node.floats(7), output)
    }

    /// Outputs: uint8 values, the scale, the zero point: 0 is always representable.
    static let dynamicQuantizeLinear = NativeOperator(.dynamicQuantizeLinear) { node in
        let input = try node.input()
        try node.expectFloat32(input)
        let scale = try node.optionalOutput(1) ?? node.temporary(.float32, [])
        try unsafe node.emit(
            dynamicQuantizeStep,
            DynamicQuantizeArguments(
                input: input.slot, output: node.optionalOutput(0)?.slot ?? .none,
                scale: scale.slot, zero: node.optionalOutput(2)?.slot ?? .none,
                count: Int64(input.count)))
    }

    private static func emitIntegerProduct(
        _ node: Lowering, left: (index: Int, zero: Operand?), right: (index: Int, zero: Operand?),
        _ output: Operand
    ) throws {
        // One zero point for each row of A, or for each column of B.
        let first = try shifted(node, node.input(left.index), left.zero.map(asRows))
        let second = try shifted(node, node.input(right.index), right.zero)
        try emitMatMul(node, MatMulForm(left: first, right: second, output: output))
    }

    private static func asRows(_ operand: Operand) -> Operand {
        operand.shape.rank == 1 && operand.count > 1
            ? operand.viewed(as: [operand.count, 1]) : operand
    }

    private static func perOutput(_ operand: Operand, _ node: Lowering) -> Operand {
        perOutput(operand, rank: node.optional(1)?.shape.rank ?? 1)
    }

    /// One number for each output channel, in a shape of this rank that broadcasts.
    private static func perOutput(_ operand: Operand, rank: Int) -> Operand {
        guard operand.shape.rank == 1, operand.count > 1, rank >= 1 else { return operand }
        var shape = Shape(repeating: 1, rank: rank)
        shape[0] = operand.count
        return operand.viewed(as: shape)
    }

    /// The operand minus its zero point, in 32 bits.
    private static func shifted(
        _ node: Lowering, _ operand: Operand, _ zero: Operand?
    ) throws -> Operand {
        let wide = try node.cast(operand, to: .int32)
        guard let zero else { return wide }
        let result = try node.temporary(.int32, operand.shape)
        try emitBinary(node, MARTLET_SUB, wide, node.cast(zero, to: .int32), result)
        return result
    }
}

struct DynamicQuantizeArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var scale: Slot
    var zero: Slot
    var count: Int64
}

func dynamicQuantizeStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: DynamicQuantizeArguments.self)
    let frame = unsafe StepFrame(frame)
    var zero: Int32 = 0
    let values = unsafe frame[arguments.output]?.assumingMemoryBound(to: UInt8.self)
    let status = unsafe martlet_dynamic_quantize(
        frame.floats(arguments.input), values, arguments.count, frame.floats(arguments.scale),
        &zero, frame.threads)
    guard status == 0 else { return StepStatus.invalidValue }
    unsafe frame[arguments.zero]?.storeBytes(of: UInt8(clamping: zero), as: UInt8.self)
    return StepStatus.done
}
