// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// Modes "nearest" and "linear", one axis after the other.
    static let resize = NativeOperator(.resize) { node in
        let input = try node.input()
        let output = try node.output()
        let mode = node.string("mode", default: "nearest")
        guard mode == "nearest" || mode == "linear" else { throw node.failure("mode '\(mode)'") }
        if mode == "linear" { try node.expectFloat32(input) }
        let changed = input.shape.indices.filter { input.shape[$0] != output.shape[$0] }
        if changed.isEmpty { return try node.alias() }
        let scales = node.optional(2)?.reals
        let axes = try node.ints("axes")?.map { try node.axis($0, rank: input.shape.rank) }
        var current = input
        for axis in changed {
            var shape = current.shape
            shape[axis] = output.shape[axis]
            let target =
                axis == changed.last ? output : try node.temporary(input.elementType, shape)
            let entry = axes.map { $0.firstIndex(of: axis) } ?? axis
            let scale = entry.flatMap { entry in
                scales.flatMap { entry < $0.count ? $0[entry] : nil }
            }
            let points = try (0..<output.shape[axis]).map {
                try coordinate(
                    $0, from: input.shape[axis], to: output.shape[axis], scale: scale, node)
            }
            if mode == "nearest" {
                try emitNearest(node, current, target, axis: axis, points)
            } else {
                try emitLinear(node, current, target, axis: axis, points)
            }
            current = target
        }
    }

    private static func coordinate(
        _ place: Int, from size: Int, to length: Int, scale: Double?, _ node: Lowering
    ) throws -> Double {
        let scale = scale ?? Double(length) / Double(size)
        let place = Double(place)
        switch node.string("coordinate_transformation_mode", default: "half_pixel") {
        case "half_pixel": return (place + 0.5) / scale - 0.5
        case "pytorch_half_pixel": return length > 1 ? (place + 0.5) / scale - 0.5 : 0
        case "asymmetric": return place / scale
        case "align_corners":
            return length > 1 ? place * Double(size - 1) / Double(length - 1) : 0
        case "half_pixel_symmetric":
            let adjustment = Double(length) / (scale * Double(size))
            let offset = Double(size) / 2 * (1 - adjustment)
            return offset + (place + 0.5) / scale - 0.5
        case let other: throw node.failure("coordinate_transformation_mode '\(other)'")
        }
    }

    private static func emitNearest(
        _ node: Lowering, _ input: Operand, _ output: Operand, axis: Int, _ points: [Double]
    ) throws {
        let rounding = node.string("nearest_mode", default: "round_prefer_floor")
        let places = try points.map { point -> Int64 in
            let rounded: Double =
                switch rounding {
                case "round_prefer_floor": (point - 0.5).rounded(.up)
                case "round_prefer_ceil": (point + 0.5).rounded(.down)
                case "floor": point.rounded(.down)
                case "ceil": point.rounded(.up)
                default: throw node.failure("nearest_mode '\(rounding)'")
                }
            return Int64(Swift.min(Swift.max(rounded, 0), Double(input.shape[axis] - 1)))
        }
        try emitGather(node, input, node.constantOperand(Tensor(places)), output, axis: axis)
    }

    private static func emitLinear(
        _ node: Lowering, _ input: Operand, _ output: Operand, axis: Int, _ points: [Double]
    ) throws {
        let last = Double(input.shape[axis] - 1)
        let clamped = points.map { Swift.min(Swift.max($0, 0), last) }
        let lows = clamped.map { $0.rounded(.down) }
        var column = Shape(repeating: 1, rank: output.shape.rank)
        column[axis] = points.count
        let shares = zip(clamped, lows).map { Float($0 - $1) }
        let high = try node.temporary(.float32, output.shape)
        try emitGather(
            node, input, node.constantOperand(Tensor(lows.map { Int64($0) })), output, axis: axis)
        try emitGather(
            node, input,
            node.constantOperand(Tensor(lows.map { Int64(Swift.min($0 + 1, last)) })), high,
            axis: axis)
        // low + share · (high - low)
        try emitBinary(node, MARTLET_SUB, high, output, high)
        try emitBinary(
            node, MARTLET_MUL, high, node.constantOperand(Tensor(shares, shape: column)), high)
        try emitBinary(node, MARTLET_ADD, output, high, output)
    }

    /// Channels become places.
    static let depthToSpace = NativeOperator(.depthToSpace) { node in
        let output = try node.output()
        let input = try node.input()
        let block = node.int("blocksize", default: 1)
        let channels = output.shape[1]
        let isColumnFirst = node.string("mode", default: "DCR") == "CRD"
        let (height, width) = (input.shape[2], input.shape[3])
        let shape: Shape =
            isColumnFirst
            ? [input.shape[0], channels, block, block, height, width]
            : [input.shape[0], block, block, channels, height, width]
        try emitTranspose(
            node, input.viewed(as: shape), output,
            order: isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2])
    }

    /// Places become channels.
    static let spaceToDepth = NativeOperator(.spaceToDepth) { node in
        let input = try node.input()
        let output = try node.output()
        let block = node.int("blocksize", default: 1)
        let isColumnFirst = node.string("mode", default: "DCR") == "CRD"
        let blocks: Shape = [
            input.shape[0], input.shape[1], output.shape[2], block, output.shape[3], block,
        ]
        try emitTranspose(
            node, input.viewed(as: blocks), output,
            order: isColumnFirst ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4])
    }
}
