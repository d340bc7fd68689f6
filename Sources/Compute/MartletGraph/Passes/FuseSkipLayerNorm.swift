// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Takes the addition before a layer normalisation over the last axis into it, where nothing else
/// reads the sum.
public struct FuseSkipLayerNorm: GraphPass {
    public static let name = "fuse-skip-layer-norm"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in Array(graph.nodes) where graph.schema(of: node) == .layerNormalization {
            guard let sum = graph.input(0, of: node), graph.hasSingleUse(sum),
                let addition = graph.producer(of: sum, is: .add), graph.isFloat32(sum),
                graph.isLastAxis(graph.attributeInt("axis", of: node, default: -1), of: sum),
                graph.outputs(of: node).dropFirst().allSatisfy({ $0 == nil }),
                let left = graph.input(0, of: addition), let right = graph.input(1, of: addition),
                graph.dimensions(of: left) == graph.dimensions(of: right),
                graph.dimensions(of: left) != nil
            else { continue }
            let epsilon = graph.attribute("epsilon", of: node) ?? .float(1e-5)
            let inputs = [left, right] + graph.inputs(of: node).dropFirst()
            graph.rewrite(
                node, as: .skipLayerNormalization, inputs: inputs, attributes: ["epsilon": epsilon])
            changes += 1
        }
        return changes
    }
}
