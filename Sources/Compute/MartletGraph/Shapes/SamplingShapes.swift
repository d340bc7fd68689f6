// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Operators that read images at computed places.
extension OperatorSchema {
    /// Inputs: X[N, C, …], grid[N, …, axes] of coordinates in -1...1, the last axis first. `mode`
    /// ("linear", "nearest", "cubic"), `padding_mode` ("zeros", "border", "reflection"),
    /// `align_corners`.
    public static let gridSample = OperatorSchema("GridSample") { context throws(GraphError) in
        let data = try context.type(0)
        guard let input = data.dimensions, let grid = try context.dimensions(1) else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard input.count >= 3, grid.count == input.count else {
            throw context.failure(
                "data \(context.describe(input)) and grid \(context.describe(grid))")
        }
        try context.expectEqual(input[0], grid[0], "batches of data and grid")
        try context.expectEqual(
            grid[grid.count - 1], Dimension(input.count - 2), "coordinates and axes")
        try context.setOutput(
            0, data.elementType, [input[0], input[1]] + grid[1..<(grid.count - 1)])
    }

    /// Inputs: affine maps[N, r, r + 1], size [N, C, …]. `align_corners`.
    public static let affineGrid = OperatorSchema("AffineGrid") { context throws(GraphError) in
        let type = try context.type(0).elementType
        guard let size = context.value(1)?.dimensions else {
            return try context.setOutput(0, type, nil)
        }
        guard size.count >= 3 else { throw context.failure("a size of \(size.count) numbers") }
        try context.setOutput(0, type, [size[0]] + size[2...] + [Dimension(size.count - 2)])
    }

    /// Inputs: X[N, C, H, W], regions[R, 4], the batch entry of each[R]. `output_height`,
    /// `output_width` (1), `sampling_ratio`, `spatial_scale`, `mode`,
    /// `coordinate_transformation_mode`.
    public static let roiAlign = OperatorSchema("RoiAlign") { context throws(GraphError) in
        let sizes = [
            context.int("output_height", default: 1), context.int("output_width", default: 1),
        ]
        try inferRegions(&context, sizes)
    }

    /// Inputs: X[N, C, H, W], regions[R, 5]. `pooled_shape`, `spatial_scale`.
    public static let maxRoiPool = OperatorSchema("MaxRoiPool") { context throws(GraphError) in
        try inferRegions(&context, context.ints("pooled_shape") ?? [])
    }

    private static func inferRegions(
        _ context: inout ShapeContext, _ sizes: [Int]
    ) throws(GraphError) {
        let data = try context.type(0)
        guard sizes.count == 2, sizes.allSatisfy({ $0 > 0 && $0 <= 1 << 16 }) else {
            throw context.failure("bins of \(sizes)")
        }
        guard let input = data.dimensions, let regions = try context.dimensions(1) else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard input.count == 4, regions.count == 2 else {
            throw context.failure("needs images and a matrix of regions")
        }
        try context.setOutput(
            0, data.elementType,
            [regions[0], input[1], Dimension(sizes[0]), Dimension(sizes[1])])
    }

    /// Inputs: data, shape. `axes` (all).
    public static let centerCropPad = OperatorSchema("CenterCropPad") {
        context throws(GraphError) in
        let data = try context.type(0)
        guard var dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        var axes = Array(dimensions.indices)
        if let named = context.ints("axes") {
            axes = []
            for axis in named { axes.append(try context.axis(axis, rank: dimensions.count)) }
        }
        let sizes = context.value(1)?.dimensions
        guard sizes.map({ $0.count == axes.count }) ?? true else {
            throw context.failure("\(sizes?.count ?? 0) sizes for \(axes.count) axes")
        }
        for (index, axis) in axes.enumerated() {
            dimensions[axis] = sizes?[index] ?? context.freshDimension()
        }
        try context.setOutput(0, data.elementType, dimensions)
    }
}
