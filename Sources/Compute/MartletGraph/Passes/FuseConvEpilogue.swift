// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Makes convolutions with constant weights take in what follows: residual and activation; and
/// scale and shift its activation.
public struct FuseConvEpilogue: GraphPass {
    public static let name = "fuse-conv-epilogue"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in Array(graph.nodes) where startFusion(node, in: &graph) { changes += 1 }
        for node in Array(graph.nodes) where !graph.isDead[Int(node.index)] {
            if Epilogue.addResidual(at: node, to: .fusedConv, in: &graph) { changes += 1 }
            if Epilogue.addResidual(at: node, to: .quantizedConv, in: &graph) { changes += 1 }
        }
        for node in Array(graph.nodes) where !graph.isDead[Int(node.index)] {
            if Epilogue.addActivation(at: node, to: .fusedConv, in: &graph) { changes += 1 }
            if Epilogue.addActivation(at: node, to: .quantizedConv, in: &graph) { changes += 1 }
            if Epilogue.addActivation(at: node, to: .scaleShift, in: &graph) { changes += 1 }
        }
        return changes
    }

    private func startFusion(_ node: NodeID, in graph: inout Graph) -> Bool {
        guard graph.schema(of: node) == .conv, let weights = graph.input(1, of: node),
            graph.constant(weights)?.elementType == .float32, graph.rank(of: weights) == 4,
            graph.isFloat32(graph.input(0, of: node))
        else { return false }
        if let bias = graph.input(2, of: node), graph.constant(bias) == nil { return false }
        graph.rewrite(
            node, as: .fusedConv, inputs: graph.inputs(of: node),
            attributes: graph.attributes[Int(node.index)])
        return true
    }
}
