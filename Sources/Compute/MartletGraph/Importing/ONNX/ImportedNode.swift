// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats

/// A node on its way from the file to the graph: values still by name, functions expanded.
struct ImportedNode {
    var operatorType: String
    var domain: String
    var name: String
    /// "" where absent.
    var inputs: [String]
    var outputs: [String]
    var attributes: [String: AttributeValue]
    /// The version of the node's operator set.
    var version: Int64
    /// Graphs among the attributes, with the operator versions that hold inside.
    var bodies: [String: ONNXGraph] = [:]
    var versions: [String: Int64] = [:]

    /// "Conv 'stem'": how messages name a node.
    var description: String {
        let kind = domain.isEmpty ? operatorType : "\(domain).\(operatorType)"
        if !name.isEmpty { return "\(kind) '\(name)'" }
        return "\(kind) of '\(outputs.first { !$0.isEmpty } ?? "")'"
    }

    func input(_ index: Int) -> String? {
        index < inputs.count && !inputs[index].isEmpty ? inputs[index] : nil
    }

    /// Puts a value at an input place, filling the places before it with absent ones.
    mutating func setInput(_ index: Int, to value: String) {
        while inputs.count <= index { inputs.append("") }
        inputs[index] = value
    }

    /// Takes an attribute out.
    mutating func take(_ name: String) -> AttributeValue? {
        attributes.removeValue(forKey: name)
    }
}

/// Replaces function calls by the functions' bodies.
struct FunctionExpansion {
    private struct Key: Hashable {
        var domain: String
        var name: String
        var overload: String
    }

    private let functions: [Key: ONNXFunction]
    private let operators: OperatorSet
    private var result: [ONNXNodeInScope] = []
    private var calls = 0
    /// Nodes of all graphs so far.
    private var nodeCount = 0

    /// A node, and the operator versions that hold where it was written.
    struct ONNXNodeInScope {
        var node: ONNXNode
        var versions: [String: Int64]
    }

    init(model: ONNXModel, operators: OperatorSet) {
        var functions: [Key: ONNXFunction] = [:]
        for function in model.functions {
            let key = Key(
                domain: function.domain, name: function.name, overload: function.overload)
            functions[key] = function
        }
        self.functions = functions
        self.operators = operators
    }

    /// A graph's nodes, function calls replaced.
    mutating func expand(
        _ nodes: [ONNXNode], versions: [String: Int64], problems: inout ImportProblems
    ) -> [ONNXNodeInScope] {
        result = []
        for node in nodes { add(node, versions: versions, callers: [], problems: &problems) }
        defer { result = [] }
        return result
    }

    static func versions(_ sets: [ONNXOperatorSet]) -> [String: Int64] {
        var versions: [String: Int64] = [:]
        for set in sets { versions[set.domain] = set.version }
        return versions
    }

    private mutating func add(
        _ node: ONNXNode, versions: [String: Int64], callers: [Key],
        problems: inout ImportProblems
    ) {
        guard nodeCount < ONNXImporter.nodesMax else {
            problems.add(
                .limitExceeded, "more than \(ONNXImporter.nodesMax) nodes after expansion")
            return
        }
        let key = Key(domain: node.domain, name: node.operatorType, overload: node.overload)
        guard let function = functions[key],
            operators.schema(node.operatorType, domain: node.domain) == nil
        else {
            nodeCount += 1
            result.append(ONNXNodeInScope(node: node, versions: versions))
            return
        }
        let label = "function '\(key.domain).\(key.name)'"
        guard !callers.contains(key) else {
            problems.add(.invalidModel, "\(label) calls itself")
            return
        }
        guard callers.count < ONNXImporter.functionDepthMax else {
            problems.add(
                .limitExceeded,
                "\(label): functions are nested deeper than \(ONNXImporter.functionDepthMax)")
            return
        }
        calls += 1
        guard calls <= ONNXImporter.nodesMax else {
            problems.add(.limitExceeded, "more than \(ONNXImporter.nodesMax) function calls")
            return
        }
        let inner = FunctionExpansion.versions(function.operatorSets)
        let body = body(of: function, calledBy: node, problems: &problems)
        for bodyNode in body.nodes {
            add(bodyNode, versions: inner, callers: callers + [key], problems: &problems)
        }
        for copy in body.copies {
            nodeCount += 1
            result.append(
                ONNXNodeInScope(node: copy, versions: ["": ONNXModel.operatorSetVersionMax]))
        }
    }

    /// The function's nodes with the call's values and attributes put in, and copies of what it
    /// gives back as it came.
    private func body(
        of function: ONNXFunction, calledBy node: ONNXNode, problems: inout ImportProblems
    ) -> (nodes: [ONNXNode], copies: [ONNXNode]) {
        var names: [String: String] = ["": ""]
        let label = "\(function.domain).\(function.name) '\(node.name)'"
        if node.inputs.count > function.inputs.count {
            problems.add(
                .invalidModel,
                "\(label): \(node.inputs.count) inputs, takes \(function.inputs.count)")
        }
        if node.outputs.count > function.outputs.count {
            problems.add(
                .invalidModel,
                "\(label): \(node.outputs.count) outputs, makes \(function.outputs.count)")
        }
        for (index, formal) in function.inputs.enumerated() {
            names[formal] = index < node.inputs.count ? node.inputs[index] : ""
        }
        var copies: [ONNXNode] = []
        for (index, formal) in function.outputs.enumerated()
        where index < node.outputs.count && !node.outputs[index].isEmpty {
            // An input of the function, or the same output once more.
            if let known = names[formal] {
                copies.append(
                    ONNXNode(
                        name: "\(node.name)/\(formal)", operatorType: "Identity",
                        inputs: [known], outputs: [node.outputs[index]]))
            } else {
                names[formal] = node.outputs[index]
            }
        }
        let prefix = node.name.isEmpty ? "\(function.name)#\(calls)" : "\(node.name)#\(calls)"
        var actual: [String: ONNXAttributeValue] = [:]
        for attribute in function.attributes + node.attributes {
            actual[attribute.name] = attribute.value
        }
        let renaming = Renaming(names: names, prefix: prefix, attributes: actual)
        return (function.nodes.map { renaming.renamed($0, depth: 0) }, copies)
    }
}

/// Puts a call's names and attributes into a function's nodes, those of inner graphs included.
private struct Renaming {
    let names: [String: String]
    let prefix: String
    let attributes: [String: ONNXAttributeValue]

    private func renamed(_ value: String) -> String { names[value] ?? "\(prefix)/\(value)" }

    func renamed(_ node: ONNXNode, depth: Int) -> ONNXNode {
        var copy = node
        copy.name = "\(prefix)/\(node.name)"
        copy.inputs = node.inputs.map(renamed)
        copy.outputs = node.outputs.map(renamed)
        copy.attributes = node.attributes.compactMap { attribute in
            if let reference = attribute.reference, !reference.isEmpty {
                return attributes[reference].map { ONNXAttribute(name: attribute.name, value: $0) }
            }
            guard case .graph(let graph)? = attribute.value else { return attribute }
            // Deeper graphs are refused when they are read.
            guard depth < ONNXImporter.bodyDepthMax else { return attribute }
            return ONNXAttribute(
                name: attribute.name, value: .graph(renamed(graph, depth: depth + 1)))
        }
        return copy
    }

    private func renamed(_ graph: ONNXGraph, depth: Int) -> ONNXGraph {
        var copy = graph
        copy.nodes = graph.nodes.map { renamed($0, depth: depth) }
        for index in copy.initializers.indices {
            copy.initializers[index].name = renamed(copy.initializers[index].name)
        }
        for index in copy.inputs.indices {
            copy.inputs[index].name = renamed(copy.inputs[index].name)
        }
        for index in copy.outputs.indices {
            copy.outputs[index].name = renamed(copy.outputs[index].name)
        }
        copy.valueInfo = []
        return copy
    }
}
