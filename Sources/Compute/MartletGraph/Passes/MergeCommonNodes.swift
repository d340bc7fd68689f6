// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Lets equal nodes on equal inputs be one, and small equal constants too.
public struct MergeCommonNodes: GraphPass {
    public static let name = "merge-common-nodes"

    /// Larger constants are not compared.
    static let constantBytesMax = 256

    public init() {}

    private struct NodeKey: Hashable {
        var schema: OperatorSchema
        var inputs: [ValueID?]
        var attributeNames: [String]
        var outputCount: Int
    }

    private struct ConstantKey: Hashable {
        var elementType: ElementType
        var shape: Shape
        var bytes: [UInt8]
    }

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = mergeConstants(in: &graph)
        var seen: [NodeKey: [NodeID]] = [:]
        for node in Array(graph.nodes) where !graph.schema(of: node).isRandom {
            let attributes = graph.attributes[Int(node.index)]
            let key = NodeKey(
                schema: graph.schema(of: node), inputs: graph.inputs(of: node),
                attributeNames: attributes.keys.sorted(), outputCount: graph.outputs(of: node).count
            )
            let twin = seen[key]?.first { other in
                let others = graph.attributes[Int(other.index)]
                return attributes.allSatisfy { name, value in
                    others[name]?.isSame(as: value) ?? false
                }
            }
            guard let twin, merge(node, into: twin, in: &graph) else {
                seen[key, default: []].append(node)
                continue
            }
            changes += 1
        }
        return changes
    }

    private func merge(_ node: NodeID, into twin: NodeID, in graph: inout Graph) -> Bool {
        let pairs = Array(zip(graph.outputs(of: node), graph.outputs(of: twin)))
        for (old, new) in pairs {
            guard let old else { continue }
            guard let new, graph.canReplace(old, with: new) else { return false }
        }
        for case (let old?, let new?) in pairs { graph.replaceUses(of: old, with: new) }
        graph.removeNode(node)
        return true
    }

    private func mergeConstants(in graph: inout Graph) -> Int {
        var changes = 0
        var seen: [ConstantKey: ValueID] = [:]
        for value in graph.constants.keys.sorted() {
            guard let tensor = graph.constant(value),
                tensor.byteCount <= MergeCommonNodes.constantBytesMax,
                !graph.consumers(of: value).isEmpty
            else { continue }
            let key = ConstantKey(
                elementType: tensor.elementType, shape: tensor.shape,
                bytes: unsafe Array(tensor.bytes))
            guard let twin = seen[key] else {
                seen[key] = value
                continue
            }
            if graph.isOutput(value) { continue }
            graph.replaceUses(of: value, with: twin)
            changes += 1
        }
        return changes
    }
}
