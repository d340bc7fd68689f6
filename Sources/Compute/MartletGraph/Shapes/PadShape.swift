// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// Inputs: data, pads (begins, then ends; negative ones cut), value?, axes?. `mode`.
    public static let pad = OperatorSchema("Pad") { context throws(GraphError) in
        let data = try context.type(0)
        _ = try context.type(1)
        guard var dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        var axes: [Int]? = Array(dimensions.indices)
        if context.has(3) {
            axes = try context.integers(3).map { raw throws(GraphError) in
                var result: [Int] = []
                for axis in raw { result.append(try context.axis(axis, rank: dimensions.count)) }
                return result
            }
        }
        guard let axes, let pads = context.value(1)?.dimensions else {
            return try context.setOutput(
                0, data.elementType, dimensions.map { _ in context.freshDimension() })
        }
        guard pads.count == 2 * axes.count else {
            throw context.failure("\(pads.count) pads for \(axes.count) axes")
        }
        for (index, axis) in axes.enumerated() {
            let both = try context.sum(pads[index], pads[index + axes.count])
            dimensions[axis] = try context.sum(dimensions[axis], both)
        }
        try context.setOutput(0, data.elementType, dimensions)
    }

    /// Inputs: data, how often each axis is repeated.
    public static let tile = OperatorSchema("Tile") { context throws(GraphError) in
        let data = try context.type(0)
        _ = try context.type(1)
        guard let dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard let repeats = context.value(1)?.dimensions else {
            return try context.setOutput(
                0, data.elementType, dimensions.map { _ in context.freshDimension() })
        }
        guard repeats.count == dimensions.count else {
            throw context.failure("\(repeats.count) repeats for \(dimensions.count) dimensions")
        }
        var result: [Dimension] = []
        for (dimension, times) in zip(dimensions, repeats) {
            result.append(try context.product(dimension, times))
        }
        try context.setOutput(0, data.elementType, result)
    }
}
