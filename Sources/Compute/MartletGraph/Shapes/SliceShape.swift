// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// Inputs: data, starts, ends, axes? (the first ones), steps? (1).
    public static let slice = OperatorSchema("Slice") { context throws(GraphError) in
        let data = try context.type(0)
        _ = try context.type(1)
        _ = try context.type(2)
        guard var dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard let parts = try slicedParts(context, rank: dimensions.count) else {
            let unknown = dimensions.map { _ in context.freshDimension() }
            return try context.setOutput(0, data.elementType, unknown)
        }
        for part in parts {
            dimensions[part.axis] =
                try part.length(of: dimensions[part.axis], context) ?? context.freshDimension()
        }
        try context.setOutput(0, data.elementType, dimensions)
        guard dimensions.count == 1, parts.count == 1, context.isKnown(0),
            let value = context.value(0), let places = parts[0].places(count: value.count)
        else { return }
        try context.setValue(0, value.gathered(places, shape: [places.count]))
    }

    /// What is taken of one axis.
    private struct Part {
        var axis: Int
        var start: Dimension
        var end: Dimension
        var step: Int

        /// The number of elements taken; nil where that has no simple form.
        func length(
            of size: Dimension, _ context: ShapeContext
        ) throws(GraphError) -> Dimension? {
            if let size = size.fixed, let (first, last) = bounds(count: size) {
                let span = step > 0 ? last - first : first - last
                return Dimension(span <= 0 ? 0 : (span - 1) / Int(step.magnitude) + 1)
            }
            guard step == 1, let first = start.fixed, first > -(1 << 40) else { return nil }
            // Symbolic ends and sizes: a number of elements that is asked for is assumed to be
            // there.
            guard let last = end.fixed else { return first >= 0 ? end.adding(-first) : nil }
            if last >= Int(Int32.max) {
                return first >= 0 ? size.adding(-first) : Dimension(-first)
            }
            if first >= 0 && last < 0 { return size.adding(last)?.adding(-first) }
            if (first >= 0) == (last >= 0) { return last > first ? Dimension(last - first) : 0 }
            return nil
        }

        /// The first place and the one after the last; nil where they are not known.
        private func bounds(count: Int) -> (Int, Int)? {
            guard let start = start.fixed, let end = end.fixed else { return nil }
            func clamped(_ raw: Int, _ range: ClosedRange<Int>) -> Int {
                let place = raw < 0 ? raw + count : raw
                return Swift.min(Swift.max(place, range.lowerBound), range.upperBound)
            }
            if step > 0 { return (clamped(start, 0...count), clamped(end, 0...count)) }
            return (clamped(start, -1...(count - 1)), clamped(end, -1...(count - 1)))
        }

        func places(count: Int) -> [Int]? {
            guard let (first, last) = bounds(count: count) else { return nil }
            return Array(stride(from: first, to: last, by: step))
        }
    }

    /// The parts asked for; nil where not even the axes are known.
    private static func slicedParts(
        _ context: ShapeContext, rank: Int
    ) throws(GraphError) -> [Part]? {
        guard let starts = context.value(1)?.dimensions, let ends = context.value(2)?.dimensions
        else { return nil }
        guard starts.count == ends.count, starts.count <= rank else {
            throw context.failure(
                "\(starts.count) starts and \(ends.count) ends for \(rank) dimensions")
        }
        var axes = Array(starts.indices)
        if context.has(3) {
            guard let raw = context.integers(3) else { return nil }
            axes = []
            for axis in raw { axes.append(try context.axis(axis, rank: rank)) }
        }
        var steps = Array(repeating: 1, count: starts.count)
        if context.has(4) {
            guard let raw = context.integers(4) else { return nil }
            steps = raw
        }
        guard axes.count == starts.count, steps.count == starts.count,
            Set(axes).count == axes.count
        else {
            throw context.failure(
                "\(starts.count) starts, \(axes.count) axes, \(steps.count) steps")
        }
        guard steps.allSatisfy({ $0 != 0 && $0 != .min }) else {
            throw context.failure("a step is 0")
        }
        return axes.indices.map {
            Part(axis: axes[$0], start: starts[$0], end: ends[$0], step: steps[$0])
        }
    }
}
