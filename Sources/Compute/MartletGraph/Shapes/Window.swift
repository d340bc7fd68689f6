// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A sliding window's attributes, checked: what convolutions and pools share.
public struct Window: Sendable {
    public enum Padding: Sendable { case explicit, valid, sameUpper, sameLower }

    public var kernel: [Dimension]
    public var strides: [Int]
    public var dilations: [Int]
    /// All begins, then all ends.
    public var pads: [Int]
    public var padding: Padding
    public var roundsUp: Bool

    /// - Parameter kernel: the window's size where the weights say it.
    /// - Throws: `GraphError` for lists of another rank and for sizes below one.
    init(
        _ context: ShapeContext, rank: Int, kernel given: [Dimension]? = nil
    ) throws(GraphError) {
        func list(_ name: String, default fallback: Int, count: Int) throws(GraphError) -> [Int] {
            guard let values = context.ints(name) else {
                return Array(repeating: fallback, count: count)
            }
            guard values.count == count else {
                throw context.failure("'\(name)' has \(values.count) entries, needs \(count)")
            }
            return values
        }
        strides = try list("strides", default: 1, count: rank)
        dilations = try list("dilations", default: 1, count: rank)
        pads = try list("pads", default: 0, count: 2 * rank)
        roundsUp = context.int("ceil_mode") != 0
        switch context.string("auto_pad", default: "NOTSET") {
        case "NOTSET", "": padding = .explicit
        case "VALID": padding = .valid
        case "SAME_UPPER": padding = .sameUpper
        case "SAME_LOWER": padding = .sameLower
        case let other: throw context.failure("unknown auto_pad '\(other)'")
        }
        if let sizes = context.ints("kernel_shape") {
            guard sizes.count == rank else {
                throw context.failure("'kernel_shape' has \(sizes.count) entries, needs \(rank)")
            }
            kernel = sizes.map { Dimension($0) }
            for (own, other) in zip(kernel, given ?? []) {
                try context.expectEqual(own, other, "kernel_shape and weights")
            }
        } else if let given {
            kernel = given
        } else {
            throw context.failure("'kernel_shape' is missing", code: .invalidModel)
        }
        let limit = Int(Int32.max)
        let sizes = strides + dilations + kernel.compactMap(\.fixed)
        guard sizes.allSatisfy({ $0 >= 1 && $0 <= limit }),
            pads.allSatisfy({ $0 >= -limit && $0 <= limit })
        else { throw context.failure("a stride, dilation, kernel size or pad is out of range") }
    }

    /// What the window covers along an axis; nil when the kernel is not known.
    private func extent(_ axis: Int) -> Int? {
        kernel[axis].fixed.map { ($0 - 1) * dilations[axis] + 1 }
    }

    func size(
        _ context: ShapeContext, _ input: Dimension, axis: Int
    ) throws(GraphError) -> Dimension {
        let stride = strides[axis]
        if padding == .sameUpper || padding == .sameLower {
            return input.adding(stride - 1)?.dividedRoundingDown(by: stride)
                ?? context.freshDimension()
        }
        guard let extent = extent(axis) else { return context.freshDimension() }
        let pad = padding == .valid ? 0 : pads[axis] + pads[axis + strides.count]
        guard let room = input.adding(pad - extent) else {
            throw context.failure("a padded dimension overflows")
        }
        guard let room = room.fixed else {
            if stride == 1 { return try context.sum(room, 1) }
            return context.freshDimension()
        }
        guard room >= 0 else {
            throw context.failure("window of \(extent) on \(input) elements and \(pad) of padding")
        }
        let steps = roundsUp ? room / stride + (room % stride == 0 ? 0 : 1) : room / stride
        // A window that would begin in the padding after the data is left out.
        if roundsUp, let input = input.fixed, steps * stride >= input + pads[axis] {
            return Dimension(steps)
        }
        return Dimension(steps + 1)
    }

    func transposedSize(
        _ context: ShapeContext, _ input: Dimension, axis: Int, extra: Int
    ) throws(GraphError) -> Dimension {
        guard extra >= 0, extra <= Int(Int32.max) else {
            throw context.failure("output_padding \(extra)")
        }
        let stride = strides[axis]
        if padding == .sameUpper || padding == .sameLower {
            return try context.product(input, Dimension(stride))
        }
        guard let extent = extent(axis) else { return context.freshDimension() }
        let pad = padding == .valid ? 0 : pads[axis] + pads[axis + strides.count]
        let scaled = try context.product(input, Dimension(stride))
        return try context.sum(scaled, Dimension(extent - stride + extra - pad))
    }

    /// The padding before and after the data along an axis, for an input and output of these sizes.
    public func padding(
        axis: Int, input: Int, output: Int
    ) -> (before: Int, after: Int) {
        switch padding {
        case .explicit: return (pads[axis], pads[axis + strides.count])
        case .valid: return (0, 0)
        case .sameUpper, .sameLower:
            let total = max((output - 1) * strides[axis] + (extent(axis) ?? 1) - input, 0)
            let small = total / 2
            return padding == .sameUpper ? (small, total - small) : (total - small, small)
        }
    }
}
