// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Recognises a root-mean-square normalisation over the last axis that an export wrote out:
/// x / sqrt(mean(x²) + ε), then · scale where it follows.
///
/// The root may stand as a divisor, as a reciprocal or as 1 / root that x is multiplied by, or as
/// the power -½.
public struct RecoverRMSNorm: MatchingPass {
    public static let name = "recover-rms-norm"

    public init() {}

    public func matches(_ node: NodeID, in graph: Graph) -> Bool {
        normalized(at: node, in: graph) != nil
    }

    public func rewrite(_ node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        guard let (x, epsilon, length) = normalized(at: node, in: graph) else { return false }
        var end = node
        var scale: ValueID?
        if let value = graph.result(of: node), let next = graph.onlyConsumer(of: value, is: .mul) {
            scale = graph.parameter(of: next, than: value, length: length)
            if scale != nil { end = next }
        }
        if scale == nil {
            scale = try graph.addFloats(
                Array(repeating: 1, count: length), shape: [length],
                name: graph.name(of: x) + ".ones")
        }
        graph.rewrite(
            end, as: .rmsNormalization, inputs: [x, scale],
            attributes: ["axis": .int(-1), "epsilon": .float(Float(epsilon))])
        return true
    }

    /// What a product or quotient normalises, by how much at least, and how many numbers at a time.
    private func normalized(
        at node: NodeID, in graph: Graph
    ) -> (x: ValueID, epsilon: Double, length: Int)? {
        guard let (x, squares) = parts(of: node, in: graph), graph.isFloat32(x),
            let length = graph.dimensions(of: x)?.last?.fixed, length > 0,
            let sum = graph.producer(of: squares, is: .add)
        else { return nil }
        for slot in 0..<2 {
            guard let epsilon = graph.scalar(graph.input(1 - slot, of: sum)), epsilon >= 0,
                let mean = graph.input(slot, of: sum),
                let square = graph.meanOverLast(mean), isSquare(square, of: x, in: graph)
            else { continue }
            return (x, epsilon, length)
        }
        return nil
    }

    /// x and mean(x²) + ε of x · (mean(x²) + ε)^-½ in one of its spellings.
    private func parts(of node: NodeID, in graph: Graph) -> (x: ValueID, squares: ValueID?)? {
        switch graph.schema(of: node) {
        case .div:
            guard let x = graph.input(0, of: node),
                let root = graph.producer(of: graph.input(1, of: node), is: .sqrt)
            else { return nil }
            return (x, graph.input(0, of: root))
        case .mul:
            for slot in 0..<2 {
                guard let x = graph.input(1 - slot, of: node),
                    let inverse = graph.input(slot, of: node),
                    let squares = underInverseRoot(inverse, in: graph)
                else { continue }
                return (x, squares)
            }
            return nil
        default: return nil
        }
    }

    /// v where the value is 1 / sqrt(v).
    private func underInverseRoot(_ value: ValueID, in graph: Graph) -> ValueID? {
        guard let node = graph.producer(of: value) else { return nil }
        let root: ValueID?
        switch graph.schema(of: node) {
        case .reciprocal: root = graph.input(0, of: node)
        case .div where graph.isScalar(graph.input(0, of: node), 1): root = graph.input(1, of: node)
        case .pow where graph.isScalar(graph.input(1, of: node), -0.5):
            return graph.input(0, of: node)
        default: return nil
        }
        return graph.producer(of: root, is: .sqrt).flatMap { graph.input(0, of: $0) }
    }

    private func isSquare(_ value: ValueID, of x: ValueID, in graph: Graph) -> Bool {
        guard let node = graph.producer(of: value), graph.input(0, of: node) == x else {
            return false
        }
        switch graph.schema(of: node) {
        case .pow: return graph.isScalar(graph.input(1, of: node), 2)
        case .mul: return graph.input(1, of: node) == x
        default: return false
        }
    }
}
