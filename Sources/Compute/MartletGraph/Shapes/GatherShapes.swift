// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// Slices of data along `axis` (0) at each index; negative indices count from the end.
    public static let gather = OperatorSchema("Gather") { context throws(GraphError) in
        let data = try context.type(0)
        guard let dimensions = data.dimensions, let indices = try context.dimensions(1) else {
            return try context.setOutput(0, data.elementType, nil)
        }
        let axis = try context.axis(context.int("axis"), rank: dimensions.count)
        let result = Array(dimensions[..<axis]) + indices + Array(dimensions[(axis + 1)...])
        try context.setOutput(0, data.elementType, result)
        guard axis == 0, dimensions.count == 1, context.isKnown(0), context.isKnown(1),
            let value = context.value(0), let index = context.value(1),
            let picks = index.integers
        else { return }
        var places: [Int] = []
        for pick in picks {
            let place = pick < 0 ? pick + value.count : pick
            guard place >= 0, place < value.count else {
                throw context.failure("index \(pick) of \(value.count) elements")
            }
            places.append(place)
        }
        try context.setValue(0, value.gathered(places, shape: index.shape))
    }

    /// Output has the indices' shape; `axis` (0).
    public static let gatherElements = OperatorSchema(
        "GatherElements"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        try context.setOutput(0, data.elementType, context.dimensions(1))
    }

    /// Indices[…, k] name slices of data; `batch_dims` (0).
    public static let gatherND = OperatorSchema("GatherND") { context throws(GraphError) in
        let data = try context.type(0)
        guard let dimensions = data.dimensions, let indices = try context.dimensions(1),
            let depth = indices.last?.fixed
        else { return try context.setOutput(0, data.elementType, nil) }
        let batch = context.int("batch_dims")
        guard batch >= 0, batch < indices.count, depth >= 1, batch + depth <= dimensions.count
        else {
            throw context.failure(
                "indices \(context.describe(indices)) of \(dimensions.count) axes")
        }
        let result = Array(indices.dropLast()) + Array(dimensions[(batch + depth)...])
        try context.setOutput(0, data.elementType, result)
    }

    /// Data with some slices replaced; inputs: data, indices, updates.
    public static let scatterND = OperatorSchema("ScatterND") { context throws(GraphError) in
        let data = try context.type(0)
        _ = try context.type(2)
        try context.setOutput(0, data.elementType, data.dimensions)
    }

    /// Data with some elements replaced; inputs: data, indices, updates.
    public static let scatterElements = OperatorSchema(
        "ScatterElements"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        _ = try context.type(2)
        try context.setOutput(0, data.elementType, data.dimensions)
    }

    /// Inputs: indices, depth, [off, on]. `axis` (-1): where the new dimension goes.
    public static let oneHot = OperatorSchema("OneHot") { context throws(GraphError) in
        let elementType = try context.type(2).elementType
        guard var dimensions = try context.dimensions(0) else {
            return try context.setOutput(0, elementType, nil)
        }
        let axis = try context.axis(
            context.int("axis", default: -1), rank: dimensions.count + 1)
        let depth: Dimension? =
            switch context.value(1)?.elements {
            case .integers(let values): values.first
            case .reals(let values):
                values.first.flatMap { Int(exactly: $0.rounded(.towardZero)) }.map { Dimension($0) }
            case nil: nil
            }
        dimensions.insert(depth ?? context.freshDimension(), at: axis)
        try context.setOutput(0, elementType, dimensions)
    }
}
