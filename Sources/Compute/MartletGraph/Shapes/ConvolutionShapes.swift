// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// X[N, C, …], W[M, C/group, …], bias[M]?. `kernel_shape`, `strides`, `pads`, `dilations`,
    /// `group`, `auto_pad`. While passes run it may carry `fusedConv`'s scale as its fifth input.
    public static let conv = OperatorSchema("Conv") { context throws(GraphError) in
        try inferConvolution(&context)
    }

    /// activation(conv(X, W) + bias + residual).
    ///
    /// Inputs: X, W (constant, [M, C/group, …] whatever the layout), bias[M]?, residual? (of the
    /// output's shape and layout), scale[M]? (constant: W is taken times this, by output channel).
    /// Attributes: Conv's, the activation as `FusedActivation` documents it, `layout`: "NCHW"
    /// (default) or "NHWC" for X, residual and output, and `in_shuffle`: X is read as if its
    /// channels had been shuffled from so many groups (pointwise convolutions only).
    public static let fusedConv = OperatorSchema(
        "FusedConv", domain: "martlet"
    ) { context throws(GraphError) in
        try inferConvolution(&context)
        guard context.has(3), let residual = try context.dimensions(3),
            let result = context.outputs.first?.dimensions
        else { return }
        guard residual.count == result.count else {
            throw context.failure("residual of shape \(context.describe(residual))")
        }
        for (own, other) in zip(result, residual) {
            try context.expectEqual(own, other, "residual and output")
        }
    }

    /// X[N, C, …], W[C, M/group, …], bias[M]?. Conv's attributes, `output_padding`, `output_shape`.
    public static let convTranspose = OperatorSchema(
        "ConvTranspose"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        guard let input = data.dimensions, let weights = try context.dimensions(1) else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard input.count >= 3, weights.count == input.count else {
            throw context.failure(
                "data \(context.describe(input)) and weights \(context.describe(weights))")
        }
        try context.expectEqual(input[1], weights[0], "channels of data and weights")
        let window = try Window(context, rank: input.count - 2, kernel: Array(weights[2...]))
        let extra = context.ints("output_padding") ?? Array(repeating: 0, count: input.count - 2)
        let wanted = context.ints("output_shape")
        guard extra.count == input.count - 2, wanted.map({ $0.count == extra.count }) ?? true,
            extra.allSatisfy({ $0 >= 0 && $0 <= Int(Int32.max) })
        else { throw context.failure("output_padding or output_shape of another rank") }
        let groups = try group(context)
        var result = [input[0], try context.product(weights[1], Dimension(groups))]
        for axis in 0..<(input.count - 2) {
            if let wanted {
                result.append(Dimension(wanted[axis]))
            } else {
                result.append(
                    try window.transposedSize(
                        context, input[axis + 2], axis: axis, extra: extra[axis]))
            }
        }
        try context.setOutput(0, data.elementType, result)
    }

    /// X[N, C, H, W], W[M, C/group, …], offsets[N, parts · taps · 2, …], bias[M]?, mask?. Conv's
    /// attributes and `offset_group`.
    public static let deformConv = OperatorSchema("DeformConv") { context throws(GraphError) in
        try inferConvolution(&context, bias: 3)
    }

    /// X[N, C · taps, places], image shape, block shape. `dilations`, `pads`, `strides`.
    public static let col2Im = OperatorSchema("Col2Im") { context throws(GraphError) in
        let data = try context.type(0)
        guard let dimensions = data.dimensions, let image = context.value(1)?.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard dimensions.count == 3 else { throw context.failure("needs three dimensions") }
        var channels = context.freshDimension()
        if let block = context.integers(2) {
            var taps = Dimension(1)
            for size in block { taps = try context.product(taps, Dimension(size)) }
            guard let taps = taps.fixed, taps > 0 else {
                throw context.failure("a block of shape \(block)")
            }
            if let rows = dimensions[1].fixed, rows % taps != 0 {
                throw context.failure("\(rows) rows in blocks of \(taps)")
            }
            channels = dimensions[1].dividedRoundingDown(by: taps) ?? channels
        }
        try context.setOutput(0, data.elementType, [dimensions[0], channels] + image)
    }

    private static func group(_ context: ShapeContext) throws(GraphError) -> Int {
        let groups = context.int("group", default: 1)
        guard groups > 0 else { throw context.failure("group is \(groups)") }
        return groups
    }

    /// - Parameters:
    ///   - weights: the input that holds the weights.
    ///   - bias: the input that may hold a bias.
    static func inferConvolution(
        _ context: inout ShapeContext, weights: Int = 1, bias biasInput: Int? = 2
    ) throws(GraphError) {
        let data = try context.type(0)
        guard let raw = data.dimensions, let weights = try context.dimensions(weights) else {
            return try context.setOutput(0, data.elementType, nil)
        }
        let layout = try Layout(context, rank: raw.count)
        let input = layout.channelsFirst(raw)
        guard input.count >= 3, weights.count == input.count else {
            throw context.failure(
                "data \(context.describe(input)) and weights \(context.describe(weights))")
        }
        let groups = try group(context)
        let channels = try context.product(weights[1], Dimension(groups))
        try context.expectEqual(input[1], channels, "channels of data and weights · group")
        if let outputs = weights[0].fixed, outputs % groups != 0 {
            throw context.failure("\(outputs) output channels in \(groups) groups")
        }
        if let biasInput, context.has(biasInput), let bias = try context.length(biasInput) {
            try context.expectEqual(Dimension(bias), weights[0], "bias and output channels")
        }
        let window = try Window(context, rank: input.count - 2, kernel: Array(weights[2...]))
        var result = [input[0], weights[0]]
        for axis in 0..<(input.count - 2) {
            result.append(try window.size(context, input[axis + 2], axis: axis))
        }
        try context.setOutput(0, data.elementType, layout.asStored(result))
    }
}

/// Where the channels of an image-like tensor are: second ("NCHW") or last ("NHWC").
public enum ImageLayout: String, Sendable {
    case nchw = "NCHW"
    case nhwc = "NHWC"
}

struct Layout {
    var isChannelsLast: Bool

    init(_ context: ShapeContext, rank: Int) throws(GraphError) {
        let name = context.string("layout", default: "NCHW")
        guard let layout = ImageLayout(rawValue: name) else {
            throw context.failure("unknown layout '\(name)'")
        }
        guard rank >= 2 else { throw context.failure("needs [batch, channels, …]") }
        isChannelsLast = layout == .nhwc
    }

    func channelsFirst(_ stored: [Dimension]) -> [Dimension] {
        guard isChannelsLast else { return stored }
        return [stored[0], stored[stored.count - 1]] + stored[1..<(stored.count - 1)]
    }

    func asStored(_ channelsFirst: [Dimension]) -> [Dimension] {
        guard isChannelsLast else { return channelsFirst }
        return [channelsFirst[0]] + channelsFirst[2...] + [channelsFirst[1]]
    }
}
