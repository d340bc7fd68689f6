// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let topK = NativeOperator(.topK) { node in
        let input = try node.input()
        let axis = try node.axis(node.int("axis", default: -1), rank: input.shape.rank)
        let shape = try node.optionalOutput(0)?.shape ?? node.output(1).shape
        let values =
            try node.optionalOutput(0)?.slot ?? node.temporary(input.elementType, shape).slot
        let indices = try node.optionalOutput(1)?.slot ?? node.temporary(.int64, shape).slot
        try unsafe node.emit(
            topKStep,
            TopKArguments(
                type: node.dtype(input), smallest: node.int("largest", default: 1) == 0 ? 1 : 0,
                input: input.slot, values: values, indices: indices, count: Int64(shape[axis]),
                outer: Int64(input.shape.product(0..<axis)), size: Int64(input.shape[axis]),
                inner: Int64(input.shape.product((axis + 1)..<input.shape.rank))))
    }

    /// Inputs: indices, depth, [off, on].
    static let oneHot = NativeOperator(.oneHot) { node in
        let output = try node.output()
        let axis = try node.axis(node.int("axis", default: -1), rank: output.shape.rank)
        let depth = output.shape[axis]
        try node.expectTable(of: depth)
        let values = try node.input(2)
        guard values.shape == [2] else {
            throw node.failure("values must be [off, on], got \(values.shape)", .invalidModel)
        }
        let indices = try node.cast(node.input(0), to: .int64)
        var column = Shape(repeating: 1, rank: output.shape.rank)
        column[axis] = depth
        var spread = output.shape
        spread[axis] = 1
        let places = try node.constantOperand(
            Tensor((0..<depth).map { Int64($0) }, shape: column))
        // Negative indices count from the end.
        let wrapped = try node.temporary(.int64, spread)
        let size = try node.filled(Double(depth), elementType: .int64)
        let source = indices.viewed(as: spread)
        try emitBinary(node, MARTLET_MOD, source, size, wrapped)
        let isInside = try inside(node, source, depth: depth)
        let hits = try node.temporary(.bool, output.shape)
        try emitBinary(node, MARTLET_EQUAL, wrapped, places, hits)
        try emitBinary(node, MARTLET_AND, hits, isInside, hits)
        let bytes = try node.elementBytes(values)
        let off = Operand(
            slot: values.slot, elementType: values.elementType, shape: [], constant: nil,
            value: nil)
        let on = Operand(
            slot: node.builder.slots.addView(
                of: values.slot, offset: Int(bytes), byteCount: Int(bytes)),
            elementType: values.elementType, shape: [], constant: nil, value: nil)
        try emitWhere(node, hits, on, off, output)
    }

    private static func inside(
        _ node: Lowering, _ indices: Operand, depth: Int
    ) throws -> Operand {
        let low = try node.filled(-Double(depth), elementType: .int64)
        let high = try node.filled(Double(depth), elementType: .int64)
        let above = try node.temporary(.bool, indices.shape)
        let below = try node.temporary(.bool, indices.shape)
        try emitBinary(node, MARTLET_GREATER_EQUAL, indices, low, above)
        try emitBinary(node, MARTLET_LESS, indices, high, below)
        try emitBinary(node, MARTLET_AND, above, below, above)
        return above
    }

    /// Keeps one triangle of the last two axes.
    static let trilu = NativeOperator(.trilu) { node in
        let input = try node.input()
        let rank = input.shape.rank
        guard rank >= 2 else { throw node.failure("needs a matrix") }
        let shift = try node.optional(1).map { operand -> Int in
            guard let known = operand.integers?.first else {
                throw node.failure("the diagonal must be known before the run")
            }
            return known
        }
        let rows = input.shape[rank - 2]
        let columns = input.shape[rank - 1]
        let isUpper = node.int("upper", default: 1) != 0
        var kept: [Bool] = []
        kept.reserveCapacity(rows * columns)
        for row in 0..<rows {
            for column in 0..<columns {
                let distance = (column - row).subtractingReportingOverflow(shift ?? 0).partialValue
                kept.append(isUpper ? distance >= 0 : distance <= 0)
            }
        }
        let mask = try node.constantOperand(Tensor(booleans: kept, shape: [rows, columns]))
        let zero = try node.filled(0, elementType: input.elementType)
        try emitWhere(node, mask, input, zero, node.output())
    }
}

struct TopKArguments: BitwiseCopyable {
    var type: martlet_dtype
    var smallest: Int32
    var input: Slot
    var values: Slot
    var indices: Slot
    var count: Int64
    var outer: Int64
    var size: Int64
    var inner: Int64
}

func topKStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: TopKArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe martlet_top_k(
        arguments.type, arguments.smallest, arguments.count, frame[arguments.input],
        frame[arguments.values], frame[arguments.indices]?.assumingMemoryBound(to: Int64.self),
        arguments.outer, arguments.size, arguments.inner, frame.threads)
}

extension Operand {
    /// The same elements under another shape.
    func viewed(as shape: Shape) -> Operand {
        Operand(slot: slot, elementType: elementType, shape: shape, constant: nil, value: nil)
    }
}
