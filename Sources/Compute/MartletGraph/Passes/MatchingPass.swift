// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// A pass whose places can be looked for in any order, on several threads at once.
///
/// The search reads the graph as it was before the pass; the places found are then rewritten one
/// after the other, in node order.
public protocol MatchingPass: GraphPass {
    /// Whether the pass might rewrite the node: true wherever `rewrite` would do something on the
    /// graph as the pass finds it.
    func matches(_ node: NodeID, in graph: Graph) -> Bool

    /// Rewrites at a place that matched; false where it does not match any more.
    func rewrite(_ node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool
}

extension MatchingPass {
    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in graph.places(of: self) where !graph.isDead[Int(node.index)] {
            if try rewrite(node, in: &graph) { changes += 1 }
        }
        return changes
    }
}

extension Graph {
    /// Nodes that one thread looks at before it takes more: enough to hide the cost of sharing.
    private static let nodesPerPart = 512

    /// The live nodes that a pass matches, in order.
    ///
    /// - Parameter threads: the most threads; 0 is the whole pool, 1 looks one by one.
    package func places(of pass: some MatchingPass, threads: Int = 0) -> [NodeID] {
        let parts = (nodeCount + Graph.nodesPerPart - 1) / Graph.nodesPerPart
        guard parts > 1, threads != 1 else { return nodes.filter { pass.matches($0, in: self) } }
        let flags = PlaceFlags(count: nodeCount)
        KernelPool.parallel(parts: parts, maximumThreads: threads) { part in
            let first = part * Graph.nodesPerPart
            for index in first..<Swift.min(first + Graph.nodesPerPart, nodeCount)
            where !isDead[index] {
                if pass.matches(NodeID(index: Int32(index)), in: self) { flags.set(index) }
            }
        }
        return flags.indices.map { NodeID(index: Int32($0)) }
    }
}

/// A flag for each node, set from several threads.
// Sendable: parts set the flags of their own nodes only, and all is read after they have ended.
@safe private final class PlaceFlags: @unchecked Sendable {
    private let flags: UnsafeMutableBufferPointer<UInt8>

    init(count: Int) {
        unsafe flags = .allocate(capacity: count)
        unsafe flags.initialize(repeating: 0)
    }

    deinit { unsafe flags.deallocate() }

    func set(_ index: Int) { unsafe flags[index] = 1 }

    var indices: [Int] { unsafe flags.indices.filter { unsafe flags[$0] != 0 } }
}
