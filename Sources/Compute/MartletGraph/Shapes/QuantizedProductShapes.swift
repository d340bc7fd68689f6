// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Where the quantised products' inputs are; bias and residual lie as in the fused products.
public enum QuantizedInput {
    public static let left = 0, right = 1, bias = 2, residual = 3
    /// One number each, computed or constant; a zero point is of the left side's type.
    public static let leftScale = 4, leftZero = 5
    /// Constants: one number, or one for each column (output channel).
    public static let rightScale = 6, rightZero = 7
    /// Constants of one number; without them the answers are float32.
    public static let outputScale = 8, outputZero = 9
    public static let count = 10
}

extension OperatorSchema {
    /// activation(sum((A - a zero)(B - b zero)) · a scale · b scale + bias + residual), then
    /// quantised where an output scale is given.
    ///
    /// Inputs: `QuantizedInput`; A[…, K] and the constant B are 8-bit. Attributes: as FusedMatMul.
    public static let quantizedMatMul = OperatorSchema(
        "QuantizedMatMul", domain: "martlet"
    ) { context throws(GraphError) in
        try fusedMatMul.infer(&context)
        try setQuantizedType(&context)
    }

    /// The same of a convolution by the constant W[M, C/group, …]. Attributes: as FusedConv.
    public static let quantizedConv = OperatorSchema(
        "QuantizedConv", domain: "martlet"
    ) { context throws(GraphError) in
        try fusedConv.infer(&context)
        try setQuantizedType(&context)
    }

    /// quantise((A - a zero) · a scale + (B - b zero) · b scale), or their product, of 8-bit
    /// tensors of one shape.
    ///
    /// Inputs: A, its scale and zero point, B, its scale and zero point, Y's scale and zero point;
    /// scales and zero points are constants of one number. `operation`: "Add" or "Mul".
    public static let quantizedBinary = OperatorSchema(
        "QuantizedBinary", domain: "martlet"
    ) { context throws(GraphError) in
        guard let left = try context.dimensions(0), let right = try context.dimensions(3) else {
            return try context.setOutput(0, try context.type(7).elementType, nil)
        }
        try context.setOutput(
            0, try context.type(7).elementType, try context.broadcast(left, right))
    }

    private static func setQuantizedType(_ context: inout ShapeContext) throws(GraphError) {
        let dimensions = context.outputs.first?.dimensions
        guard context.has(QuantizedInput.outputScale) else {
            return try context.setOutput(0, .float32, dimensions)
        }
        let type =
            context.has(QuantizedInput.outputZero)
            ? try context.type(QuantizedInput.outputZero).elementType : .uint8
        try context.setOutput(0, type, dimensions)
    }
}
