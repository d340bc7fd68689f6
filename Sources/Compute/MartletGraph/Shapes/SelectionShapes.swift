// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// Inputs: data, k. `axis` (-1), `largest` (1), `sorted` (1). Outputs: values, int64 indices.
    public static let topK = OperatorSchema("TopK") { context throws(GraphError) in
        let data = try context.type(0)
        _ = try context.type(1)
        guard var dimensions = data.dimensions else {
            try context.setOutput(0, data.elementType, nil)
            return try context.setOutput(1, .int64, nil)
        }
        let axis = try context.axis(context.int("axis", default: -1), rank: dimensions.count)
        let wanted = context.value(1)?.dimensions?.first
        if let count = wanted?.fixed, let size = dimensions[axis].fixed, count > size || count < 0 {
            throw context.failure("the \(count) largest of \(size)")
        }
        dimensions[axis] = wanted ?? context.freshDimension()
        try context.setOutput(0, data.elementType, dimensions)
        try context.setOutput(1, .int64, dimensions)
    }

    /// The places of what is not zero: [rank, count].
    public static let nonZero = OperatorSchema("NonZero") { context throws(GraphError) in
        let rank = try context.dimensions(0)?.count
        try context.setOutput(
            0, .int64,
            [rank.map { Dimension($0) } ?? context.freshDimension(), context.freshDimension()])
    }

    /// Inputs: data, condition. `axis` (flattened when absent).
    public static let compress = OperatorSchema("Compress") { context throws(GraphError) in
        let data = try context.type(0)
        guard context.attributes["axis"] != nil else {
            return try context.setOutput(0, data.elementType, [context.freshDimension()])
        }
        guard var dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        let axis = try context.axis(context.int("axis"), rank: dimensions.count)
        dimensions[axis] = context.freshDimension()
        try context.setOutput(0, data.elementType, dimensions)
    }

    /// A matrix of the input's shape with ones on diagonal `k`. `dtype`.
    public static let eyeLike = OperatorSchema("EyeLike") { context throws(GraphError) in
        let data = try context.type(0)
        let type = UInt8(exactly: context.int("dtype")).flatMap(ElementType.init(rawValue:))
        try context.setOutput(0, type ?? data.elementType, data.dimensions)
    }
}

// What is kept, and how much of it, follows from the data.
extension OperatorSchema {
    /// `axis` (flattened when absent), `sorted` (1). Outputs: distinct slices; for each its first
    /// place, for each input slice its number, and how often each is there.
    public static let unique = OperatorSchema("Unique") { context throws(GraphError) in
        let data = try context.type(0)
        let count = context.freshDimension()
        var shape: [Dimension]? = [count]
        if context.attributes["axis"] != nil {
            shape = data.dimensions
            if let rank = shape?.count {
                shape?[try context.axis(context.int("axis"), rank: rank)] = count
            }
        }
        try context.setOutput(0, data.elementType, shape)
        try context.setOutput(1, .int64, [count])
        try context.setOutput(2, .int64, [context.freshDimension()])
        try context.setOutput(3, .int64, [count])
    }

    /// Inputs: boxes [b, n, 4], scores [b, c, n], the most boxes of a class?, the largest
    /// overlap?, the least score?. Output: rows of image, class, box.
    public static let nonMaxSuppression = OperatorSchema("NonMaxSuppression") {
        context throws(GraphError) in
        _ = try context.type(0)
        _ = try context.type(1)
        try context.setOutput(0, .int64, [context.freshDimension(), 3])
    }
}
