// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// `shape`, `dtype`, `mean`, `scale`, `seed`.
    public static let randomNormal = drawn("RandomNormal")
    /// `shape`, `dtype`, `low`, `high`, `seed`.
    public static let randomUniform = drawn("RandomUniform")
    /// Shaped as the input; `dtype` (the input's), `mean`, `scale`, `seed`.
    public static let randomNormalLike = drawnLike("RandomNormalLike")
    /// Shaped as the input; `dtype` (the input's), `low`, `high`, `seed`.
    public static let randomUniformLike = drawnLike("RandomUniformLike")
    /// Input: probabilities; `dtype` (the input's), `seed`.
    public static let bernoulli = drawnLike("Bernoulli")

    /// Input: log probabilities[B, classes]. `sample_size` (1), `dtype` (int32), `seed`.
    public static let multinomial = OperatorSchema("Multinomial") { context throws(GraphError) in
        let data = try context.type(0)
        let type = try stated(context) ?? .int32
        let samples = context.int("sample_size", default: 1)
        guard samples >= 0 else { throw context.failure("\(samples) samples") }
        guard let dimensions = data.dimensions else {
            return try context.setOutput(0, type, nil)
        }
        guard dimensions.count == 2 else { throw context.failure("needs [batch, classes]") }
        try context.setOutput(0, type, [dimensions[0], Dimension(samples)])
    }

    private static func drawn(_ name: String) -> OperatorSchema {
        OperatorSchema(name) { context throws(GraphError) in
            guard let shape = context.ints("shape") else {
                throw context.failure("'shape' is missing", code: .invalidModel)
            }
            try context.setOutput(0, try stated(context) ?? .float32, shape.map { Dimension($0) })
        }
    }

    private static func drawnLike(_ name: String) -> OperatorSchema {
        OperatorSchema(name) { context throws(GraphError) in
            let data = try context.type(0)
            try context.setOutput(0, try stated(context) ?? data.elementType, data.dimensions)
        }
    }

    private static func stated(_ context: ShapeContext) throws(GraphError) -> ElementType? {
        guard let raw = context.attributes["dtype"]?.int else { return nil }
        guard let type = UInt8(exactly: raw).flatMap(ElementType.init(rawValue:)) else {
            throw context.failure("the unknown type \(raw)", code: .unsupported)
        }
        return type
    }
}
