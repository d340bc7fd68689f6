// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Takes the addition before a layer normalisation over the last axis into it, where nothing else
/// reads the sum.
public struct FuseSkipLayerNorm: MatchingPass {
    public static let name = "fuse-skip-layer-norm"

    public init() {}

    public func matches(_ node: NodeID, in graph: Graph) -> Bool {
        graph.schema(of: node) == .layerNormalization && addends(of: node, in: graph) != nil
    }

    public func rewrite(_ node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        guard let addends = addends(of: node, in: graph) else { return false }
        let epsilon = graph.attribute("epsilon", of: node) ?? .float(1e-5)
        graph.rewrite(
            node, as: .skipLayerNormalization,
            inputs: addends + graph.inputs(of: node).dropFirst(), attributes: ["epsilon": epsilon])
        return true
    }

    /// What the addition before a normalisation adds.
    private func addends(of node: NodeID, in graph: Graph) -> [ValueID?]? {
        guard let sum = graph.input(0, of: node), graph.hasSingleUse(sum),
            let addition = graph.producer(of: sum, is: .add), graph.isFloat32(sum),
            graph.isLastAxis(graph.attributeInt("axis", of: node, default: -1), of: sum),
            graph.outputs(of: node).dropFirst().allSatisfy({ $0 == nil }),
            let left = graph.input(0, of: addition), let right = graph.input(1, of: addition),
            graph.dimensions(of: left) == graph.dimensions(of: right),
            graph.dimensions(of: left) != nil
        else { return nil }
        return [left, right]
    }
}
