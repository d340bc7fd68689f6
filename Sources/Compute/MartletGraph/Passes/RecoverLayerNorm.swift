// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Recognises a layer normalisation that an export wrote out:
/// (x - mean(x)) / sqrt(mean((x - mean(x))²) + ε), then · scale + bias where they follow.
public struct RecoverLayerNorm: MatchingPass {
    public static let name = "recover-layer-norm"

    public init() {}

    public func matches(_ node: NodeID, in graph: Graph) -> Bool {
        graph.schema(of: node) == .div && normalized(at: node, in: graph) != nil
    }

    /// What a division normalises, by how much at least, and how many numbers at a time.
    private func normalized(
        at division: NodeID, in graph: Graph
    ) -> (x: ValueID, epsilon: Double, length: Int)? {
        guard let centred = graph.input(0, of: division),
            let subtraction = graph.producer(of: centred, is: .sub),
            let x = graph.input(0, of: subtraction), graph.isFloat32(x),
            let mean = graph.input(1, of: subtraction), isMean(mean, of: x, in: graph),
            let epsilon = epsilon(graph.input(1, of: division), of: x, centred: centred, in: graph),
            let last = graph.dimensions(of: x)?.last?.fixed, last > 0
        else { return nil }
        return (x, epsilon, last)
    }

    public func rewrite(_ division: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        guard let (x, epsilon, last) = normalized(at: division, in: graph) else { return false }
        var end = division
        var scale: ValueID?
        var bias: ValueID?
        if let value = graph.result(of: end), let next = graph.onlyConsumer(of: value, is: .mul),
            let factor = graph.parameter(of: next, than: value, length: last)
        {
            (end, scale) = (next, factor)
            if let value = graph.result(of: end),
                let next = graph.onlyConsumer(of: value, is: .add),
                let term = graph.parameter(of: next, than: value, length: last)
            {
                (end, bias) = (next, term)
            }
        }
        if scale == nil {
            scale = try graph.addFloats(
                Array(repeating: 1, count: last), shape: [last],
                name: graph.name(of: x) + ".ones")
        }
        graph.rewrite(
            end, as: .layerNormalization, inputs: [x, scale] + (bias.map { [$0] } ?? []),
            attributes: ["axis": .int(-1), "epsilon": .float(Float(epsilon))])
        return true
    }

    private func isMean(_ value: ValueID, of x: ValueID, in graph: Graph) -> Bool {
        graph.meanOverLast(value) == x
    }

    /// ε where the value is sqrt(mean(centred²) + ε).
    private func epsilon(
        _ value: ValueID?, of x: ValueID, centred: ValueID, in graph: Graph
    ) -> Double? {
        guard let root = graph.producer(of: value, is: .sqrt),
            let sum = graph.producer(of: graph.input(0, of: root), is: .add)
        else { return nil }
        for slot in 0..<2 {
            guard let epsilon = graph.scalar(graph.input(1 - slot, of: sum)),
                let variance = graph.producer(of: graph.input(slot, of: sum), is: .reduceMean),
                let variances = graph.result(of: variance),
                let square = graph.meanOverLast(variances),
                let power = graph.producer(of: square),
                isSquare(power, of: x, centred: centred, in: graph)
            else { continue }
            return epsilon
        }
        return nil
    }

    /// centred², where x - mean(x) may have been written twice.
    private func isSquare(
        _ node: NodeID, of x: ValueID, centred: ValueID, in graph: Graph
    ) -> Bool {
        guard let base = graph.input(0, of: node) else { return false }
        if base != centred {
            guard let again = graph.producer(of: base, is: .sub), graph.input(0, of: again) == x,
                let mean = graph.input(1, of: again), isMean(mean, of: x, in: graph)
            else { return false }
        }
        switch graph.schema(of: node) {
        case .pow: return graph.isScalar(graph.input(1, of: node), 2)
        case .mul: return graph.input(1, of: node) == base
        default: return false
        }
    }
}
