// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Puts the branch that a constant condition chooses in the condition's place.
public struct InlineConditions: GraphPass {
    public static let name = "inline-conditions"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        // A branch may hold further conditions: they are appended, and looked at in turn.
        var index = 0
        while index < graph.nodeCount {
            let node = NodeID(index: Int32(index))
            index += 1
            guard !graph.isDead[Int(node.index)], graph.schema(of: node) == .if,
                let chosen = chosen(node, in: graph)
            else { continue }
            if inline(chosen, at: node, in: &graph) { changes += 1 }
        }
        return changes
    }

    private func chosen(_ node: NodeID, in graph: Graph) -> GraphBody? {
        guard let condition = graph.scalar(graph.input(0, of: node)) else { return nil }
        let name = condition != 0 ? "then_branch" : "else_branch"
        return graph.bodies(of: node).first { $0.name == name }
    }

    private func inline(_ body: GraphBody, at node: NodeID, in graph: inout Graph) -> Bool {
        let outputs = graph.outputs(of: node)
        guard body.graph.outputs.count >= outputs.count, body.ownInputCount == 0 else {
            return false
        }
        var moved = [ValueID?](repeating: nil, count: body.graph.valueCount)
        for (input, place) in zip(body.graph.inputs, body.captures) {
            moved[Int(input.index)] = graph.inputs(of: node)[place]
        }
        func value(_ value: ValueID) -> ValueID {
            if let known = moved[Int(value.index)] { return known }
            let name = body.graph.name(of: value)
            let made =
                body.graph.constant(value).map { graph.addConstant(name: name, $0) }
                ?? graph.addValue(name: name, type: body.graph.type(of: value))
            moved[Int(value.index)] = made
            return made
        }
        for inner in Array(body.graph.nodes) {
            let inputs = body.graph.inputs(of: inner).map { $0.map(value) }
            let results = body.graph.outputs(of: inner).map { $0.map(value) }
            graph.addNode(
                body.graph.schema(of: inner), name: body.graph.name(of: inner), inputs: inputs,
                outputs: results, attributes: body.graph.attributes[Int(inner.index)])
        }
        let results = body.graph.outputs.map(value)
        graph.removeNode(node)
        for case (let output?, let result) in zip(outputs, results) {
            if graph.canReplace(output, with: result) {
                graph.replaceUses(of: output, with: result)
            } else {
                graph.addNode(.identity, inputs: [result], outputs: [output])
            }
        }
        return true
    }
}
