// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// Inputs: data, scale, zero point? (which gives the type; uint8 without). `axis`,
    /// `output_dtype`.
    public static let quantizeLinear = OperatorSchema(
        "QuantizeLinear"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        let stated = UInt8(exactly: context.int("output_dtype")).flatMap(
            ElementType.init(rawValue:))
        let type = context.has(2) ? try context.type(2).elementType : stated ?? .uint8
        try context.setOutput(0, type, data.dimensions)
    }

    /// Inputs: data, scale, zero point?. `axis`, `block_size`, `output_dtype` (the scale's type).
    public static let dequantizeLinear = OperatorSchema(
        "DequantizeLinear"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        let stated = UInt8(exactly: context.int("output_dtype")).flatMap(
            ElementType.init(rawValue:))
        let scaleType = try context.type(1).elementType
        try context.setOutput(0, stated ?? scaleType, data.dimensions)
    }

    /// Outputs: uint8 data, scale, zero point.
    public static let dynamicQuantizeLinear = OperatorSchema(
        "DynamicQuantizeLinear"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        try context.setOutput(0, .uint8, data.dimensions)
        try context.setOutput(1, .float32, [])
        try context.setOutput(2, .uint8, [])
    }

    /// MatMul of 8-bit numbers with int32 sums. Inputs: A, B, A's zero point?, B's zero point?.
    public static let matMulInteger = OperatorSchema(
        "MatMulInteger"
    ) { context throws(GraphError) in
        try matMul.infer(&context)
        try context.setOutput(0, .int32, context.outputs.first?.dimensions)
    }
}

extension OperatorSchema {
    /// Inputs: A, its scale and zero point, B, its scale and zero point, Y's scale and zero point.
    public static let qLinearMatMul = OperatorSchema("QLinearMatMul") {
        context throws(GraphError) in
        let type = try context.type(7).elementType
        for index in 0..<8 { _ = try context.type(index) }
        guard let left = try context.dimensions(0), let right = try context.dimensions(3) else {
            return try context.setOutput(0, type, nil)
        }
        try context.setOutput(0, type, try context.product(ofMatrices: left, right))
    }

    /// Convolution of 8-bit numbers. Inputs: X, W, X's zero point?, W's zero point?. Conv's
    /// attributes.
    public static let convInteger = OperatorSchema("ConvInteger") { context throws(GraphError) in
        try inferConvolution(&context, weights: 1, bias: nil)
        try context.setOutput(0, .int32, context.outputs.first?.dimensions)
    }

    /// Inputs: X, scale, zero point, W, scale, zero point, Y's scale and zero point, bias?.
    public static let qLinearConv = OperatorSchema("QLinearConv") { context throws(GraphError) in
        try inferConvolution(&context, weights: 3, bias: 8)
        let type = try context.type(7).elementType
        try context.setOutput(0, type, context.outputs.first?.dimensions)
    }
}
