// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let pad = NativeOperator(.pad) { node in
        let input = try node.input()
        let output = try node.output()
        let rank = input.shape.rank
        guard let amounts = try node.input(1).integers else {
            throw node.failure("pads must be known before the run")
        }
        var axes = Array(0..<rank)
        if let given = node.optional(3) {
            guard let known = given.integers else {
                throw node.failure("axes must be known before the run")
            }
            axes = try known.map { try node.axis($0, rank: rank) }
        }
        guard amounts.count == 2 * axes.count else {
            throw node.failure("\(amounts.count) pads for \(axes.count) axes", .invalidModel)
        }
        var begins = Array(repeating: 0, count: rank)
        for (index, axis) in axes.enumerated() { begins[axis] = amounts[index] }
        let mode = node.string("mode", default: "constant")
        if mode == "constant" {
            return try padConstant(node, input, output, begins: begins)
        }
        try padByGathering(node, input, output, begins: begins, mode: mode)
    }

    private static func padConstant(
        _ node: Lowering, _ input: Operand, _ output: Operand, begins: [Int]
    ) throws {
        if let value = node.optional(2) {
            try emitExpand(node, value, output)
        } else {
            try emitFill(node, output, bits: 0)
        }
        let fromStrides = input.strides
        let toStrides = output.strides
        var from = 0
        var to = 0
        var shape: [Int64] = []
        for axis in input.shape.indices {
            // A negative pad cuts: the copy begins inside the input.
            let first = Swift.max(0, -begins[axis])
            let target = Swift.max(0, begins[axis])
            let length = Swift.min(input.shape[axis] - first, output.shape[axis] - target)
            shape.append(Int64(Swift.max(length, 0)))
            from += first * Int(fromStrides[axis])
            to += target * Int(toStrides[axis])
        }
        try emitStridedCopy(
            node, elementBytes: node.elementBytes(input), shape: shape,
            from: StridedView(slot: input.slot, offset: from, strides: fromStrides),
            to: StridedView(slot: output.slot, offset: to, strides: toStrides))
    }

    /// Modes that repeat the input's elements: one gather for each padded axis.
    private static func padByGathering(
        _ node: Lowering, _ input: Operand, _ output: Operand, begins: [Int], mode: String
    ) throws {
        var current = input
        let padded = input.shape.indices.filter {
            input.shape[$0] != output.shape[$0] || begins[$0] != 0
        }
        if padded.isEmpty { return try node.alias() }
        for axis in padded {
            let size = input.shape[axis]
            guard size > 0 else { throw node.failure("padding of an empty axis", .invalidInput) }
            try node.expectTable(of: output.shape[axis])
            let places = try (0..<output.shape[axis]).map {
                Int64(try source($0 - begins[axis], size: size, mode: mode, node))
            }
            var shape = current.shape
            shape[axis] = output.shape[axis]
            let target =
                axis == padded.last ? output : try node.temporary(input.elementType, shape)
            try emitGather(
                node, current, node.constantOperand(Tensor(places)), target, axis: axis)
            current = target
        }
    }

    private static func source(
        _ place: Int, size: Int, mode: String, _ node: Lowering
    ) throws -> Int {
        switch mode {
        case "edge": return Swift.min(Swift.max(place, 0), size - 1)
        case "wrap":
            let rest = place % size
            return rest < 0 ? rest + size : rest
        case "reflect":
            if size == 1 { return 0 }
            let period = 2 * (size - 1)
            var rest = place % period
            if rest < 0 { rest += period }
            return rest < size ? rest : period - rest
        default: throw node.failure("mode '\(mode)'")
        }
    }
}
