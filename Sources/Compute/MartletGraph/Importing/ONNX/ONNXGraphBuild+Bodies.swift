// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletTensor

/// The values of a graph as its bodies see them, with those of the graphs around it in turn.
///
/// It shares the graph's tables, so it must be gone before the graph is changed again.
final class OuterValues {
    private let values: [String: ValueID]
    private let graph: Graph
    private let next: OuterValues?
    /// How many graphs there are around a body.
    let depth: Int

    init(values: [String: ValueID], graph: Graph, next: OuterValues?) {
        self.values = values
        self.graph = graph
        self.next = next
        depth = (next?.depth ?? 0) + 1
    }

    /// Whether a name is visible, and the constant that it is, if it is one.
    func find(_ name: String) -> Tensor?? {
        var scope: OuterValues? = self
        while let current = scope {
            if let value = current.values[name] { return .some(current.graph.constant(value)) }
            scope = current.next
        }
        return nil
    }
}

// Graphs inside nodes: they become graphs of their own that take what they read of the graphs
// around them as further inputs.
extension ONNXGraphBuild {
    /// The value of a name, captured from the graphs around where this one does not have it.
    mutating func lookUp(_ name: String) -> ValueID? {
        if let own = values[name] { return own }
        guard let found = outer?.find(name) else { return nil }
        let value: ValueID
        if let constant = found {
            value = graph.addConstant(name: name, constant)
        } else {
            value = graph.addInput(name: name, type: ValueType())
            captures.append((name, value))
        }
        values[name] = value
        return value
    }

    /// A node's graph, and the values of this one that it captures; nil, with the problem noted,
    /// where it cannot be read.
    mutating func body(
        _ source: ONNXGraph, _ name: String, of node: ImportedNode
    ) -> (Graph, captured: [ValueID])? {
        let label = "\(node.description), \(name)"
        guard (outer?.depth ?? 0) < ONNXImporter.bodyDepthMax else {
            problems.add(
                .limitExceeded,
                "\(label): graphs are nested deeper than \(ONNXImporter.bodyDepthMax)")
            return nil
        }
        guard let (body, names) = read(source, label, node.versions) else { return nil }
        var captured: [ValueID] = []
        for name in names {
            // Found in this graph, or captured from further out in turn.
            guard let value = lookUp(name) else {
                problems.add(.invalidModel, "\(label) reads '\(name)', which nothing makes")
                return nil
            }
            captured.append(value)
        }
        return (body, captured)
    }

    /// A body's graph, and the names that it captures.
    private mutating func read(
        _ source: ONNXGraph, _ label: String, _ versions: [String: Int64]
    ) -> (Graph, captures: [String])? {
        var inner = ONNXGraphBuild(
            source: source, operators: operators, externalFiles: externalFiles,
            expansion: expansion, problems: problems)
        inner.outer = OuterValues(values: values, graph: graph, next: outer)
        let nodes = inner.expansion.expand(
            source.nodes, versions: versions, problems: &inner.problems)
        inner.addValues()
        inner.addNodes(nodes)
        inner.addOutputs()
        expansion = inner.expansion
        problems = inner.problems
        guard inner.graph.topologicalOrder() != nil else {
            problems.add(.invalidModel, "\(label): \(inner.cycleError().message)")
            return nil
        }
        return (inner.graph.compacted(), inner.captures.map(\.name))
    }

    /// Notes everything that a node and the graphs inside it read.
    mutating func noteReads(of node: ONNXNode, depth: Int) {
        readNames.formUnion(node.inputs)
        guard depth <= ONNXImporter.bodyDepthMax else { return }
        for attribute in node.attributes {
            guard case .graph(let body)? = attribute.value else { continue }
            readNames.formUnion(body.outputs.map(\.name))
            for inner in body.nodes { noteReads(of: inner, depth: depth + 1) }
        }
    }

    /// A type as attributes: its elements' type, and what holds them.
    mutating func addType(_ type: ONNXType, to node: inout ImportedNode) {
        guard let (dataType, _, container) = contents(of: type),
            let elementType = elementType(dataType)
        else {
            return problems.add(.unsupported, "\(node.description): a value of type \(type)")
        }
        node.attributes["elementType"] = .int(Int64(elementType.rawValue))
        let holdsSequence = container == .sequence || container == .optionalSequence
        node.attributes["holdsSequence"] = .int(holdsSequence ? 1 : 0)
    }
}
