// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

// Operators that put parts of tensors together or take them apart.
extension NativeOperator {
    static let concat = NativeOperator(.concat) { node in
        let output = try node.output()
        let axis = try node.axis(node.int("axis"), rank: output.shape.rank)
        let outer = output.shape.product(0..<axis)
        let row = output.shape.product(axis..<output.shape.rank)
        var offset = 0
        for case let input? in node.inputs {
            let width = input.shape.product(axis..<input.shape.rank)
            try emitStridedCopy(
                node, elementBytes: node.elementBytes(input),
                shape: [Int64(outer), Int64(width)],
                from: StridedView(slot: input.slot, offset: 0, strides: [Int64(width), 1]),
                to: StridedView(slot: output.slot, offset: offset, strides: [Int64(row), 1]))
            offset += width
        }
    }

    static let split = NativeOperator(.split) { node in
        let input = try node.input()
        let axis = try node.axis(node.int("axis"), rank: input.shape.rank)
        let outer = input.shape.product(0..<axis)
        let row = input.shape.product(axis..<input.shape.rank)
        let elementBytes = try node.elementBytes(input)
        var offset = 0
        let parts = node.outputs
        // The lengths of absent outputs are known from the lengths' input only.
        let lengths = node.optional(1)?.integers
        let inner = input.shape.product((axis + 1)..<input.shape.rank)
        for (index, part) in parts.enumerated() {
            guard let part else {
                guard let lengths, index < lengths.count else {
                    throw node.failure("an absent output without stated lengths")
                }
                offset += lengths[index] * inner
                continue
            }
            let width = part.shape.product(axis..<part.shape.rank)
            if outer == 1 {
                try node.alias(output: index, byteOffset: offset * Int(elementBytes))
            } else {
                try emitStridedCopy(
                    node, elementBytes: elementBytes, shape: [Int64(outer), Int64(width)],
                    from: StridedView(slot: input.slot, offset: offset, strides: [Int64(row), 1]),
                    to: StridedView(slot: part.slot, offset: 0, strides: [Int64(width), 1]))
            }
            offset += width
        }
    }

    static let slice = NativeOperator(.slice) { node in
        let input = try node.input()
        let output = try node.output()
        guard let starts = try node.input(1).integers else {
            throw node.failure("starts must be known before the run")
        }
        let axes = try node.optional(3).map { try known($0, node) } ?? Array(starts.indices)
        let steps = try node.optional(4).map { try known($0, node) } ?? starts.map { _ in 1 }
        var strides = input.strides
        var offset = 0
        var isPrefix = true
        for (index, rawAxis) in axes.enumerated() where index < starts.count {
            let axis = try node.axis(rawAxis, rank: input.shape.rank)
            let size = input.shape[axis]
            let step = index < steps.count ? steps[index] : 1
            let raw = starts[index] < 0 ? starts[index] &+ size : starts[index]
            let start =
                step > 0
                ? Swift.min(Swift.max(raw, 0), size) : Swift.min(Swift.max(raw, -1), size - 1)
            if output.shape[axis] > 0 { offset += start * Int(strides[axis]) }
            strides[axis] *= Int64(step)
            if step != 1 { isPrefix = false }
        }
        // A part of the outermost axis that is not 1 wide is a run of the input's own bytes.
        let firstWide = input.shape.indices.first { output.shape[$0] != 1 } ?? input.shape.rank
        let isRun =
            isPrefix
            && (firstWide + 1..<Swift.max(input.shape.rank, firstWide + 1)).allSatisfy {
                output.shape[$0] == input.shape[$0]
            }
        let elementBytes = try node.elementBytes(input)
        if isRun { return try node.alias(byteOffset: offset * Int(elementBytes)) }
        try emitStridedCopy(
            node, elementBytes: elementBytes, shape: output.shape.map { Int64($0) },
            from: StridedView(slot: input.slot, offset: offset, strides: strides),
            to: StridedView(slot: output.slot, offset: 0, strides: output.strides))
    }

    static let expand = NativeOperator(.expand) { node in
        try emitExpand(node, node.input(), node.output())
    }

    static let tile = NativeOperator(.tile) { node in
        let input = try node.input()
        let output = try node.output()
        var shape: [Int64] = []
        var from: [Int64] = []
        var to: [Int64] = []
        let fromStrides = input.strides
        let toStrides = output.strides
        for axis in input.shape.indices {
            let size = input.shape[axis]
            let times = size == 0 ? 1 : output.shape[axis] / size
            if times != 1 {
                shape.append(Int64(times))
                from.append(0)
                to.append(toStrides[axis] * Int64(size))
            }
            shape.append(Int64(size))
            from.append(fromStrides[axis])
            to.append(toStrides[axis])
        }
        guard shape.count <= 12 else { throw node.failure("more than 12 loops") }
        try emitStridedCopy(
            node, elementBytes: node.elementBytes(input), shape: shape,
            from: StridedView(slot: input.slot, offset: 0, strides: from),
            to: StridedView(slot: output.slot, offset: 0, strides: to))
    }

    private static func known(_ operand: Operand, _ node: Lowering) throws -> [Int] {
        guard let values = operand.integers else {
            throw node.failure("axes and steps must be known before the run")
        }
        return values
    }
}
