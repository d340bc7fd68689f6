// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// Inputs: data, lengths?. `axis` (0), `num_outputs` (equal parts, the last one smaller).
    public static let split = OperatorSchema("Split") { context throws(GraphError) in
        let data = try context.type(0)
        let count = context.outputs.count
        guard let dimensions = data.dimensions else {
            for index in 0..<count { try context.setOutput(index, data.elementType, nil) }
            return
        }
        let axis = try context.axis(context.int("axis"), rank: dimensions.count)
        let lengths = try splitLengths(context, of: dimensions[axis], count: count)
        for index in 0..<count {
            var part = dimensions
            part[axis] = lengths?[index] ?? context.freshDimension()
            try context.setOutput(index, data.elementType, part)
        }
        guard dimensions.count == 1, context.isKnown(0), let value = context.value(0),
            let lengths
        else { return }
        var begin = 0
        for (index, length) in lengths.enumerated() {
            guard let length = length.fixed, begin + length <= value.count else { return }
            try context.setValue(
                index, value.gathered(Array(begin..<(begin + length)), shape: [length]))
            begin += length
        }
    }

    private static func splitLengths(
        _ context: ShapeContext, of whole: Dimension, count: Int
    ) throws(GraphError) -> [Dimension]? {
        if context.has(1) {
            guard let lengths = context.value(1)?.dimensions else { return nil }
            guard lengths.count == count, lengths.allSatisfy({ ($0.fixed ?? 0) >= 0 }) else {
                throw context.failure("lengths \(lengths) for \(count) outputs")
            }
            var total: Dimension = 0
            for length in lengths { total = try context.sum(total, length) }
            try context.expectEqual(total, whole, "sum of the lengths and size of the axis")
            return lengths
        }
        let parts = context.int("num_outputs", default: count)
        guard parts == count, count > 0 else {
            throw context.failure("num_outputs is \(parts), there are \(count) outputs")
        }
        guard let size = whole.fixed else {
            guard whole.constant % count == 0 else { return nil }
            return whole.dividedRoundingDown(by: count).map { Array(repeating: $0, count: count) }
        }
        let length = size / count + (size % count == 0 ? 0 : 1)
        return (0..<count).map { index in
            Dimension(Swift.max(Swift.min(length, size - index * length), 0))
        }
    }
}
