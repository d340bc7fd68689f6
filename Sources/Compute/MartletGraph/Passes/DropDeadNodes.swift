// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Removes nodes that nothing reads, and optional outputs that nothing reads.
public struct DropDeadNodes: GraphPass {
    public static let name = "drop-dead-nodes"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        let optional: Set<OperatorSchema> = [
            .maxPool, .layerNormalization, .skipLayerNormalization, .dropout, .batchNormalization,
        ]
        // New nodes may stand after their readers: what is removed has its producers looked at
        // again.
        var waiting = Array(graph.nodes)
        while let node = waiting.popLast() {
            if graph.isDead[Int(node.index)] { continue }
            let outputs = graph.outputs(of: node)
            let isRead = outputs.map { value in
                value.map { !graph.consumers(of: $0).isEmpty || graph.isOutput($0) } ?? false
            }
            guard isRead.contains(true) else {
                graph.removeNode(node)
                changes += 1
                for case let input? in graph.inputs(of: node) {
                    if let producer = graph.producer(of: input) { waiting.append(producer) }
                }
                continue
            }
            guard optional.contains(graph.schema(of: node)) else { continue }
            for index in outputs.indices.dropFirst() where outputs[index] != nil && !isRead[index] {
                graph.setOutput(index, of: node, to: nil)
                changes += 1
            }
        }
        return changes
    }
}
