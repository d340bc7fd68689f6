// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// Inputs: data, roi?, scales?, sizes?. `mode`, `coordinate_transformation_mode`,
    /// `nearest_mode`,
    /// `axes`, `keep_aspect_ratio_policy`, `layout`.
    public static let resize = OperatorSchema("Resize") { context throws(GraphError) in
        let data = try context.type(0)
        guard let dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        var axes = Array(dimensions.indices)
        if let named = context.ints("axes") {
            axes = []
            for axis in named { axes.append(try context.axis(axis, rank: dimensions.count)) }
        }
        var result = dimensions
        let scalesLength = context.has(2) ? try context.length(2) : 0
        if context.has(3) {
            guard let sizes = context.value(3)?.dimensions else {
                for axis in axes { result[axis] = context.freshDimension() }
                return try context.setOutput(0, data.elementType, result)
            }
            guard sizes.count == axes.count else {
                throw context.failure("\(sizes.count) sizes for \(axes.count) axes")
            }
            for (axis, size) in zip(axes, sizes) { result[axis] = size }
            try keepRatio(&result, dimensions, axes, context)
        } else if scalesLength != 0 {
            let scales = context.value(2)?.reals
            if let scales, scales.count != axes.count {
                throw context.failure("\(scales.count) scales for \(axes.count) axes")
            }
            for (index, axis) in axes.enumerated() {
                result[axis] = try scaled(context, dimensions[axis], by: scales?[index])
            }
        } else {
            throw context.failure("neither scales nor sizes are given", code: .invalidModel)
        }
        try context.setOutput(0, data.elementType, result)
    }

    /// One scale for all axes, where the policy asks for it.
    private static func keepRatio(
        _ result: inout [Dimension], _ input: [Dimension], _ axes: [Int], _ context: ShapeContext
    ) throws(GraphError) {
        let policy = context.string("keep_aspect_ratio_policy", default: "stretch")
        if policy == "stretch" { return }
        guard policy == "not_larger" || policy == "not_smaller" else {
            throw context.failure("policy '\(policy)'", code: .unsupported)
        }
        var scales: [Double] = []
        for axis in axes {
            guard let size = result[axis].fixed, let own = input[axis].fixed else {
                for axis in axes { result[axis] = context.freshDimension() }
                return
            }
            guard own > 0, size >= 0 else { throw context.failure("\(own) to \(size) elements") }
            scales.append(Double(size) / Double(own))
        }
        guard let scale = policy == "not_larger" ? scales.min() : scales.max() else { return }
        for axis in axes {
            let size = (Double(input[axis].fixed ?? 0) * scale).rounded()
            guard let whole = Int(exactly: size) else { throw context.failure("scale \(scale)") }
            result[axis] = Dimension(whole)
        }
    }

    private static func scaled(
        _ context: ShapeContext, _ dimension: Dimension, by scale: Double?
    ) throws(GraphError) -> Dimension {
        guard let scale else { return context.freshDimension() }
        guard scale > 0, scale.isFinite else { throw context.failure("scale \(scale)") }
        guard let size = dimension.fixed else {
            if let whole = Int(exactly: scale) {
                return try context.product(dimension, Dimension(whole))
            }
            return context.freshDimension()
        }
        guard let result = Int(exactly: (Double(size) * scale).rounded(.down)) else {
            throw context.failure("\(size) elements scaled by \(scale)")
        }
        return Dimension(result)
    }

    /// `blocksize`, `mode` ("DCR" or "CRD"): channels become places.
    public static let depthToSpace = OperatorSchema("DepthToSpace") { context throws(GraphError) in
        try inferBlocks(&context) { context, dimensions, block throws(GraphError) in
            guard let channels = dimensions[1].fixed, channels % (block * block) == 0 else {
                throw context.failure("\(dimensions[1]) channels in blocks of \(block)")
            }
            return [
                dimensions[0], Dimension(channels / (block * block)),
                try context.product(dimensions[2], Dimension(block)),
                try context.product(dimensions[3], Dimension(block)),
            ]
        }
    }

    /// `blocksize`: places become channels.
    public static let spaceToDepth = OperatorSchema("SpaceToDepth") { context throws(GraphError) in
        try inferBlocks(&context) { context, dimensions, block throws(GraphError) in
            func part(_ size: Dimension, _ block: Int) throws(GraphError) -> Dimension {
                if let fixed = size.fixed, fixed % block != 0 {
                    throw context.failure("\(fixed) places in blocks of \(block)")
                }
                return size.dividedRoundingDown(by: block) ?? context.freshDimension()
            }
            return [
                dimensions[0], try context.product(dimensions[1], Dimension(block * block)),
                try part(dimensions[2], block), try part(dimensions[3], block),
            ]
        }
    }

    private static func inferBlocks(
        _ context: inout ShapeContext,
        _ shape: (ShapeContext, _ dimensions: [Dimension], _ block: Int) throws(GraphError) ->
            [Dimension]
    ) throws(GraphError) {
        let data = try context.type(0)
        guard let dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        let block = context.int("blocksize")
        guard dimensions.count == 4, block >= 1, block <= 1 << 15 else {
            throw context.failure("blocks of \(block) on \(dimensions.count) dimensions")
        }
        try context.setOutput(0, data.elementType, shape(context, dimensions, block))
    }
}
