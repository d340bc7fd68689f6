// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletTensor

extension ONNXGraphBuild {
    mutating func addNodes(_ scoped: [FunctionExpansion.ONNXNodeInScope]) {
        for entry in scoped { noteReads(of: entry.node, depth: 0) }
        readNames.formUnion(source.outputs.map(\.name))
        var nodes: [ImportedNode] = []
        for entry in scoped {
            guard var node = imported(entry) else {
                // Known by name, so that its readers are not reported as well.
                for output in entry.node.outputs where values[output] == nil {
                    values[output] = graph.addValue(name: output)
                }
                continue
            }
            nodes += converted(&node)
        }
        for node in nodes { defineOutputs(of: node) }
        for node in nodes { add(node) }
    }

    /// The node with its attributes read; nil, with the problem noted, where it cannot be kept.
    private mutating func imported(
        _ entry: FunctionExpansion.ONNXNodeInScope
    ) -> ImportedNode? {
        let node = entry.node
        var result = ImportedNode(
            operatorType: node.operatorType, domain: node.domain, name: node.name,
            inputs: node.inputs, outputs: node.outputs, attributes: [:], version: 0)
        guard let version = entry.versions[node.domain] else {
            problems.add(
                .invalidModel,
                "\(result.description): no operator set of domain '\(node.domain)' is imported")
            return nil
        }
        result.version = version
        result.versions = entry.versions
        if node.domain.isEmpty {
            let known =
                ONNXImporter.operatorSetVersionMin...ONNXModel.operatorSetVersionMax
            guard known.contains(version) else {
                problems.add(
                    .unsupported,
                    "operator set \(version); versions \(known.lowerBound) to \(known.upperBound) "
                        + "are understood")
                return nil
            }
        }
        if let reason = ONNXGraphBuild.reasonAgainst(result) {
            problems.add(.unsupported, "\(result.description): \(reason)")
            return nil
        }
        let signature = OperatorSignature.signature(of: node.operatorType, domain: node.domain)
        if let surplus = signature?.surplus(
            inputCount: (node.inputs.lastIndex { !$0.isEmpty } ?? -1) + 1,
            attributes: node.attributes.lazy.map(\.name))
        {
            problems.add(.invalidModel, "\(result.description): \(surplus)")
            return nil
        }
        // What version 1 said of memory: which input an output may overwrite.
        for attribute in node.attributes where attribute.name != "consumed_inputs" {
            guard let value = attribute.value else {
                noteReference(attribute, of: result)
                continue
            }
            let problemsBefore = problems.count
            if case .graph(let body) = value {
                result.bodies[attribute.name] = body
                continue
            }
            if case .type(let type) = value {
                addType(type, to: &result)
                continue
            }
            guard let read = attributeValue(value, of: result, name: attribute.name) else {
                if problems.count == problemsBefore {
                    problems.add(
                        .unsupported,
                        "\(result.description): attribute '\(attribute.name)' is of a kind that is "
                            + "not supported")
                }
                continue
            }
            result.attributes[attribute.name] = read
        }
        return result
    }

    /// A reference that no function's call has put a value in for.
    private mutating func noteReference(_ attribute: ONNXAttribute, of node: ImportedNode) {
        guard let reference = attribute.reference, !reference.isEmpty else { return }
        problems.add(
            .invalidModel,
            "\(node.description): attribute '\(attribute.name)' is the function's '\(reference)', "
                + "but the node is in no function")
    }

    /// Why no version of this operator can be run, where that needs no table.
    private static func reasonAgainst(_ node: ImportedNode) -> String? {
        switch (node.domain, node.operatorType) {
        case ("ai.onnx.preview.training", _):
            "an operator for training; only inference is supported"
        case ("martlet", _):
            "the domain 'martlet' is of the compiler's own forms, which no file may state"
        default: nil
        }
    }

    private mutating func attributeValue(
        _ value: ONNXAttributeValue, of node: ImportedNode, name: String
    ) -> AttributeValue? {
        switch value {
        case .int(let value): .int(value)
        case .float(let value): .float(value)
        case .string(let value): .string(String(decoding: value, as: UTF8.self))
        case .ints(let values): .ints(values)
        case .floats(let values): .floats(values)
        case .strings(let values): .strings(values.map { String(decoding: $0, as: UTF8.self) })
        case .tensor(let value):
            tensor(value, of: "\(node.description), attribute '\(name)'").map {
                AttributeValue.tensor($0)
            }
        default: nil
        }
    }

    /// The node in canonical form: usually itself, sometimes several or none.
    private mutating func converted(_ node: inout ImportedNode) -> [ImportedNode] {
        guard node.domain.isEmpty || node.domain == "com.microsoft",
            let convert = ONNXConverters.converter(of: node)
        else { return [node] }
        do {
            return try convert(&node, &self)
        } catch {
            problems.add(error.code, "\(node.description): \(error.message)")
            for output in node.outputs where values[output] == nil {
                values[output] = graph.addValue(name: output)
            }
            return []
        }
    }

    private mutating func defineOutputs(of node: ImportedNode) {
        for output in node.outputs where !output.isEmpty {
            guard values[output] == nil else {
                problems.add(
                    .invalidModel, "'\(output)' is made twice, again by \(node.description)")
                continue
            }
            values[output] = graph.addValue(name: output, type: declaredType(output))
        }
    }

    private mutating func add(_ node: ImportedNode) {
        for input in node.inputs where !input.isEmpty && lookUp(input) == nil {
            problems.add(.invalidModel, "\(node.description) reads '\(input)', which nothing makes")
        }
        guard let schema = schema(of: node) else {
            problems.add(.unsupported, "\(node.description): operator not supported")
            return
        }
        var inputs = node.inputs.map { values[$0] }
        var attributes = node.attributes
        for name in node.bodies.keys.sorted() {
            guard let body = node.bodies[name] else { continue }
            guard let (graph, captured) = self.body(body, name, of: node) else { return }
            attributes[name] = .graph(graph)
            var places: [Int64] = []
            for value in captured {
                places.append(Int64(inputs.count))
                inputs.append(value)
            }
            attributes[GraphBody.capturesAttribute(of: name)] = .ints(places)
        }
        if !node.bodies.isEmpty {
            attributes[GraphBody.formalAttribute] = .int(Int64(node.inputs.count))
        }
        graph.addNode(
            schema, name: node.name, inputs: inputs, outputs: node.outputs.map { values[$0] },
            attributes: attributes)
    }

    private func schema(of node: ImportedNode) -> OperatorSchema? {
        let align = OperatorSchema.alignAxis
        if node.domain == align.domain, node.operatorType == align.name { return align }
        return operators.schema(node.operatorType, domain: node.domain)
    }

    /// An error that names a node on a cycle.
    func cycleError() -> GraphError {
        var waiting = [Int](repeating: 0, count: graph.nodeCount)
        var ready: [NodeID] = []
        for node in graph.nodes {
            let needed = graph.inputs(of: node).filter { value in
                value.flatMap { graph.producer(of: $0) } != nil
            }
            waiting[Int(node.index)] = needed.count
            if needed.isEmpty { ready.append(node) }
        }
        while let node = ready.popLast() {
            for case let output? in graph.outputs(of: node) {
                for consumer in graph.consumers(of: output) {
                    waiting[Int(consumer.index)] -= 1
                    if waiting[Int(consumer.index)] == 0 { ready.append(consumer) }
                }
            }
        }
        let stuck = graph.nodes.filter { waiting[Int($0.index)] > 0 }
        let named = stuck.prefix(3).map { graph.describe($0) }.joined(separator: ", ")
        return GraphError(
            .invalidModel,
            "model '\(graph.name)': \(stuck.count) nodes wait for each other in a cycle: \(named)")
    }
}
