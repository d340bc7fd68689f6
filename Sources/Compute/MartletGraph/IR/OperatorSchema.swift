// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// What the graph knows of an operator: its name and how types and shapes follow from its inputs.
///
/// Schemas are compared by identity. Each is a static member declared in the operator's shape-rule
/// file (`Shapes/GeluShape.swift`: `extension OperatorSchema { static let gelu = … }`).
public final class OperatorSchema: Sendable, Hashable, CustomStringConvertible {
    public typealias Inference = @Sendable (inout ShapeContext) throws -> Void

    /// "" for ONNX's own domain, "com.microsoft", "ai.onnx.ml", or "martlet" for fused forms.
    public let domain: String
    public let name: String
    public let infer: Inference

    public init(_ name: String, domain: String = "", infer: @escaping Inference) {
        self.domain = domain
        self.name = name
        self.infer = infer
    }

    public static func == (left: OperatorSchema, right: OperatorSchema) -> Bool { left === right }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
    public var description: String { domain.isEmpty ? name : "\(domain).\(name)" }
}

/// What a shape rule sees of its node, and where it writes the outputs' types.
public struct ShapeContext {
    public let nodeName: String
    /// The inputs' types; nil where an optional input is absent.
    public let inputs: [ValueType?]
    /// The inputs' contents where they are known (constants, and folded shape arithmetic).
    public let values: [Tensor?]
    public let attributes: [String: AttributeValue]
    public var outputs: [ValueType]
    /// Makes a dimension that is equal to no other.
    public var freshDimension: () -> Dimension

    public init(
        nodeName: String, inputs: [ValueType?], values: [Tensor?],
        attributes: [String: AttributeValue], outputCount: Int,
        freshDimension: @escaping () -> Dimension
    ) {
        self.nodeName = nodeName
        self.inputs = inputs
        self.values = values
        self.attributes = attributes
        outputs = Array(repeating: ValueType(), count: outputCount)
        self.freshDimension = freshDimension
    }
}
