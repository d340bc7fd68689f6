// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Recognises a softmax over one axis that an export wrote out: e / sum(e) with e = exp(x) or
/// exp(x - max(x)).
public struct RecoverSoftmax: MatchingPass {
    public static let name = "recover-softmax"

    public init() {}

    public func matches(_ node: NodeID, in graph: Graph) -> Bool {
        graph.schema(of: node) == .div && argument(of: node, in: graph) != nil
    }

    public func rewrite(_ node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        guard let (x, axis) = argument(of: node, in: graph) else { return false }
        graph.rewrite(node, as: .softmax, inputs: [x], attributes: ["axis": .int(Int64(axis))])
        return true
    }

    private func argument(of division: NodeID, in graph: Graph) -> (x: ValueID, axis: Int)? {
        guard let powers = graph.input(0, of: division), graph.isFloat32(powers),
            let exponential = graph.producer(of: powers, is: .exp),
            let x = graph.input(0, of: exponential),
            let total = graph.producer(of: graph.input(1, of: division), is: .reduceSum),
            graph.input(0, of: total) == powers, let axis = axis(of: total, in: graph)
        else { return nil }
        guard let shifted = graph.producer(of: x, is: .sub),
            let whole = graph.input(0, of: shifted),
            let largest = graph.producer(of: graph.input(1, of: shifted), is: .reduceMax),
            graph.input(0, of: largest) == whole, self.axis(of: largest, in: graph) == axis
        else { return (x, axis) }
        return (whole, axis)
    }

    /// The only axis of a reduction that keeps it, counted from the front.
    private func axis(of reduction: NodeID, in graph: Graph) -> Int? {
        guard graph.attributeInt("keepdims", of: reduction, default: 1) == 1,
            let axes = graph.constantIntegers(graph.input(1, of: reduction)), axes.count == 1,
            let rank = graph.rank(of: graph.input(0, of: reduction)), axes[0] >= -rank,
            axes[0] < rank
        else { return nil }
        return axes[0] < 0 ? axes[0] + rank : axes[0]
    }
}
