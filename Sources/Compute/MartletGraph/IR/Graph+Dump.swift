// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension Graph {
    /// The graph as text, a line for each value and node: stable, made to be compared.
    ///
    ///     graph "mlp"
    ///     input x: float32[batch, 4]
    ///     constant w: float32[4, 2]
    ///     y: float32[batch, 2] = MatMul(x, w)
    ///     output y
    public func dump() -> String {
        var text = "graph \"\(name)\"\n"
        let labels = valueLabels()
        func label(_ value: ValueID?) -> String { value.map { labels[Int($0.index)] } ?? "_" }
        for input in inputs { text += "input \(label(input)): \(type(of: input))\n" }
        for constant in constants.keys.sorted() {
            text += "constant \(label(constant)): \(type(of: constant))"
            text += constants[constant].flatMap(preview) ?? ""
            text += "\n"
        }
        for node in nodes {
            text += outputs(of: node).map { value in
                guard let value else { return "_" }
                let type = type(of: value)
                return type == ValueType() ? label(value) : "\(label(value)): \(type)"
            }.joined(separator: ", ")
            text += " = \(schema(of: node))("
            text += inputs(of: node).map(label).joined(separator: ", ") + ")"
            text += dump(attributes[Int(node.index)])
            text += "\n"
        }
        for output in outputs { text += "output \(label(output))\n" }
        return text
    }

    /// Names made unique and never empty.
    private func valueLabels() -> [String] {
        var seen: Set<String> = []
        return valueNames.enumerated().map { index, name in
            if !name.isEmpty && seen.insert(name).inserted { return name }
            return "\(name)%\(index)"
        }
    }

    private func dump(_ attributes: [String: AttributeValue]) -> String {
        if attributes.isEmpty { return "" }
        let parts = attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return " {" + parts.joined(separator: ", ") + "}"
    }

    private func preview(_ tensor: Tensor) -> String? {
        guard tensor.elementCount <= 8, let value = HostValue(tensor) else { return nil }
        return " = \(value)"
    }
}

extension ValueType: CustomStringConvertible {
    /// "float32[batch, 4]"; "?" stands for what is not known.
    public var description: String {
        let type = elementType.map { "\($0)" } ?? "?"
        let axes = dimensions.map { $0.map(\.description).joined(separator: ", ") } ?? "…"
        let tensor = "\(type)[\(axes)]"
        return switch container {
        case .tensor: tensor
        case .sequence: "sequence(\(tensor))"
        case .optionalTensor: "optional(\(tensor))"
        case .optionalSequence: "optional(sequence(\(tensor)))"
        }
    }
}

extension AttributeValue: CustomStringConvertible {
    public var description: String {
        switch self {
        case .int(let value): "\(value)"
        case .float(let value): "\(value)"
        case .string(let value): "\"\(value)\""
        case .tensor(let value): "\(value.elementType)\(value.shape)"
        case .ints(let values): "\(values)"
        case .floats(let values): "\(values)"
        case .strings(let values): "\(values)"
        case .graph(let graph): "graph(\(graph.nodeCount) nodes)"
        }
    }
}
