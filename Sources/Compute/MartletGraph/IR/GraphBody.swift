// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// A graph inside a node: the body of a loop, a branch of a condition.
///
/// A body is closed: what it reads of the graphs around it are inputs of the node, behind the
/// formal ones, and inputs of the body, behind its own.
public struct GraphBody: Sendable {
    /// The attribute that holds it.
    public var name: String
    public var graph: Graph
    /// For each of the body's last inputs, the node's input that it is.
    public var captures: [Int]

    /// How many of the body's inputs are its own.
    public var ownInputCount: Int { graph.inputs.count - captures.count }

    /// The attribute with the places of a body's captures among the node's inputs.
    public static func capturesAttribute(of body: String) -> String { body + ".captures" }

    /// The attribute with the number of the node's inputs that are no captures.
    public static let formalAttribute = "formal_inputs"
}

extension [String: AttributeValue] {
    /// The graphs among a node's attributes, by name; those whose captures do not fit are left out.
    public func bodies(inputCount: Int) -> [GraphBody] {
        var bodies: [GraphBody] = []
        for (name, value) in self {
            guard case .graph(let graph) = value else { continue }
            let captures = self[GraphBody.capturesAttribute(of: name)]?.ints ?? []
            guard captures.count <= graph.inputs.count,
                captures.allSatisfy({ $0 >= 0 && $0 < Int64(inputCount) })
            else { continue }
            bodies.append(GraphBody(name: name, graph: graph, captures: captures.map { Int($0) }))
        }
        return bodies.sorted { $0.name < $1.name }
    }

    /// How many of a node's inputs are no captures.
    public func formalInputCount(of inputCount: Int) -> Int {
        Swift.min(Swift.max(self[GraphBody.formalAttribute]?.int ?? inputCount, 0), inputCount)
    }
}

extension Graph {
    /// The graphs inside a node.
    public func bodies(of node: NodeID) -> [GraphBody] {
        attributes[Int(node.index)].bodies(inputCount: nodeInputs[Int(node.index)].count)
    }

    /// Whether the node runs graphs.
    func hasBodies(_ node: NodeID) -> Bool {
        attributes[Int(node.index)].values.contains { attribute in
            if case .graph = attribute { true } else { false }
        }
    }

    /// The same graph with its inputs' types stated, and some of them constant: those are inputs no
    /// more.
    func bound(to types: [ValueType], constants bound: [Int: Tensor]) -> Graph {
        var copy = self
        for (index, input) in inputs.enumerated() {
            if let tensor = bound[index] {
                copy.setConstant(input, tensor)
            } else if index < types.count {
                copy.valueTypes[Int(input.index)] = types[index]
            }
        }
        if !bound.isEmpty { copy.keepInputs(inputs.indices.filter { bound[$0] == nil }) }
        return copy
    }
}
