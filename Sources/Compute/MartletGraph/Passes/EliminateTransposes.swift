// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Joins transpositions of transpositions, removes those that undo each other, and turns those
/// that move only axes of size 1 into reshapes.
public struct EliminateTransposes: GraphPass {
    public static let name = "eliminate-transposes"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in Array(graph.nodes) where graph.schema(of: node) == .transpose {
            if join(node, in: &graph) { changes += 1 }
            guard let data = graph.input(0, of: node), let result = graph.result(of: node),
                let order = graph.attribute("perm", of: node)?.ints
            else { continue }
            if order == Array(0..<Int64(order.count)) {
                guard graph.replaceUses(of: result, with: data) else { continue }
                graph.removeNode(node)
                changes += 1
            } else if try reshapeInstead(node, data: data, result: result, in: &graph) {
                changes += 1
            }
        }
        return changes
    }

    /// Reads past a transposition before this one.
    private func join(_ node: NodeID, in graph: inout Graph) -> Bool {
        guard let data = graph.input(0, of: node),
            let before = graph.producer(of: data, is: .transpose),
            let source = graph.input(0, of: before),
            let outer = graph.attribute("perm", of: node)?.ints,
            let inner = graph.attribute("perm", of: before)?.ints, inner.count == outer.count,
            outer.allSatisfy({ $0 >= 0 && $0 < inner.count })
        else { return false }
        graph.rewrite(
            node, as: .transpose, inputs: [source],
            attributes: ["perm": .ints(outer.map { inner[Int($0)] })])
        return true
    }

    private func reshapeInstead(
        _ node: NodeID, data: ValueID, result: ValueID, in graph: inout Graph
    ) throws(GraphError) -> Bool {
        guard let order = graph.attribute("perm", of: node)?.ints,
            let before = graph.dimensions(of: data), before.count == order.count
        else { return false }
        let moved = order.map { Int($0) }.filter { before[$0].fixed != 1 }
        guard moved == moved.sorted() else { return false }
        let after = order.map { before[Int($0)] }
        guard let sizes = SimplifyShapes.target(from: before, to: after),
            let tensor = try? Tensor(sizes)
        else { return false }
        let target = graph.addConstant(name: graph.name(of: result) + ".shape", tensor)
        graph.rewrite(node, as: .reshape, inputs: [data, target])
        return true
    }
}
