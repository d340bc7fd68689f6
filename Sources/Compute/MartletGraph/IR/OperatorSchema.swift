// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What the graph knows of an operator: its name and how types and shapes follow from its inputs.
///
/// Schemas are compared by identity. Each is a static member declared in the operator's shape-rule
/// file (`Shapes/GeluShape.swift`: `extension OperatorSchema { static let gelu = … }`).
public final class OperatorSchema: Sendable, Hashable, CustomStringConvertible {
    /// A shape rule: writes the outputs' types and, for shape arithmetic, their contents.
    public typealias Inference = @Sendable (inout ShapeContext) throws(GraphError) -> Void

    /// "" for ONNX's own domain, "com.microsoft", "ai.onnx.ml", or "martlet" for fused forms.
    public let domain: String
    public let name: String
    public let infer: Inference
    /// What it takes, where ONNX says so.
    let signature: OperatorSignature?

    public init(_ name: String, domain: String = "", infer: @escaping Inference) {
        signature = OperatorSignature.signature(of: name, domain: domain)
        self.domain = domain
        self.name = name
        self.infer = infer
    }

    /// Whether two nodes with equal inputs may differ.
    var isRandom: Bool {
        name.hasPrefix("Random") || name == "Bernoulli" || name == "Multinomial"
    }

    public static func == (left: OperatorSchema, right: OperatorSchema) -> Bool { left === right }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
    public var description: String { domain.isEmpty ? name : "\(domain).\(name)" }
}

/// The operators that something can run, found by domain and name.
public struct OperatorSet: Sendable {
    private var schemas: [String: OperatorSchema] = [:]

    public init(_ schemas: some Sequence<OperatorSchema> = []) {
        for schema in schemas { insert(schema) }
    }

    public mutating func insert(_ schema: OperatorSchema) {
        schemas[OperatorSet.key(schema.domain, schema.name)] = schema
    }

    /// The schema of an operator; "ai.onnx" means ONNX's own domain.
    public func schema(_ name: String, domain: String = "") -> OperatorSchema? {
        schemas[OperatorSet.key(domain == "ai.onnx" ? "" : domain, name)]
    }

    public func contains(_ schema: OperatorSchema) -> Bool {
        schemas[OperatorSet.key(schema.domain, schema.name)] == schema
    }

    /// All of them, by domain and name.
    package var listed: [OperatorSchema] { schemas.sorted { $0.key < $1.key }.map(\.value) }

    public var names: [String] { schemas.values.map(\.description).sorted() }

    private static func key(_ domain: String, _ name: String) -> String { domain + "\u{0}" + name }
}
