// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// Inputs: data, scale, bias?. `axis` (-1), `epsilon` (1e-5). Outputs 1 and 2, the mean and the
    /// inverse deviation, have size 1 from the axis on.
    public static let layerNormalization = OperatorSchema(
        "LayerNormalization"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        try context.setOutput(0, data.elementType, data.dimensions)
        let axis = try inferNormalizedPart(&context, data: data, scaleInput: 1)
        guard let axis, var reduced = data.dimensions else { return }
        for index in axis..<reduced.count { reduced[index] = 1 }
        try context.setOutput(1, data.elementType, reduced)
        try context.setOutput(2, data.elementType, reduced)
    }

    /// LayerNormalization(X + residual). Inputs: X, residual, scale, bias?. `epsilon` (1e-5); over
    /// the last axis. Output 1, where asked for: X + residual.
    public static let skipLayerNormalization = OperatorSchema(
        "SkipLayerNormalization", domain: "martlet"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        let dimensions = try context.broadcast([data.dimensions, context.dimensions(1)])
        try context.setOutput(0, data.elementType, dimensions)
        try context.setOutput(1, data.elementType, dimensions)
        _ = try inferNormalizedPart(
            &context, data: ValueType(dimensions: dimensions), scaleInput: 2)
    }

    /// Inputs: data, scale. `axis` (-1), `epsilon` (1e-5).
    public static let rmsNormalization = OperatorSchema(
        "RMSNormalization"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        try context.setOutput(0, data.elementType, data.dimensions)
        _ = try inferNormalizedPart(&context, data: data, scaleInput: 1)
    }

    /// Inputs: data[N, C, …], scale[C], bias[C], mean[C], variance[C]. `epsilon` (1e-5); `layout`
    /// "NHWC" when the channels of data and output come last.
    public static let batchNormalization = OperatorSchema(
        "BatchNormalization"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        try inferChannelwise(&context, parameters: 1..<5)
        for index in 1..<5 {
            try context.setOutput(index, data.elementType, context.dimensions(index))
        }
    }

    /// Inputs: data[N, C, …], scale[C], bias[C]. `epsilon` (1e-5).
    public static let instanceNormalization = OperatorSchema(
        "InstanceNormalization"
    ) { context throws(GraphError) in try inferChannelwise(&context, parameters: 1..<3) }

    /// Inputs: data[N, C, …], scale[C], bias[C]. `num_groups`, `epsilon` (1e-5).
    public static let groupNormalization = OperatorSchema(
        "GroupNormalization"
    ) { context throws(GraphError) in try inferChannelwise(&context, parameters: 1..<3) }

    /// activation(X · scale[C] + bias[C]) with the channels as `layout` says, the activation as
    /// `FusedActivation` documents it: what a batch normalisation is once
    /// its statistics are constants.
    public static let scaleShift = OperatorSchema(
        "ScaleShift", domain: "martlet"
    ) { context throws(GraphError) in try inferChannelwise(&context, parameters: 1..<3) }

    /// X[…, H] divided by its Euclidean length over the last axis, at least `epsilon` (1e-12).
    public static let l2Normalize = elementwise("L2Normalize", domain: "martlet")

    private static func inferNormalizedPart(
        _ context: inout ShapeContext, data: ValueType, scaleInput: Int
    ) throws(GraphError) -> Int? {
        let scale = try context.dimensions(scaleInput)
        guard let dimensions = data.dimensions else { return nil }
        guard !dimensions.isEmpty else { throw context.failure("the input is a scalar") }
        let axis = try context.axis(context.int("axis", default: -1), rank: dimensions.count)
        let normalized = Array(dimensions[axis...])
        if let scale, try context.broadcast(normalized, scale).count > normalized.count {
            throw context.failure(
                "scale \(context.describe(scale)) for \(context.describe(normalized))")
        }
        return axis
    }

    private static func inferChannelwise(
        _ context: inout ShapeContext, parameters: Range<Int>
    ) throws(GraphError) {
        let data = try context.type(0)
        try context.setOutput(0, data.elementType, data.dimensions)
        guard let dimensions = data.dimensions else { return }
        guard dimensions.count >= 2 else {
            throw context.failure("needs [batch, channels, …], got \(context.describe(dimensions))")
        }
        let channels = dimensions[context.string("layout") == "NHWC" ? dimensions.count - 1 : 1]
        for index in parameters {
            guard let length = try context.length(index) else { continue }
            try context.expectEqual(
                channels, Dimension(length), "channels and length of input \(index)")
        }
    }
}
