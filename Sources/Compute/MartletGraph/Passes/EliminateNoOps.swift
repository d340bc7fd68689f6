// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Removes nodes whose output is their input: identities, casts to the same type, reshapes,
/// slices, pads and expansions that keep the shape, sums of one, additions of zero; and lets a
/// reshape of a reshape read the first one's input.
public struct EliminateNoOps: MatchingPass {
    public static let name = "eliminate-no-ops"

    public init() {}

    public func matches(_ node: NodeID, in graph: Graph) -> Bool {
        // What lies before a reshape may go first.
        graph.schema(of: node) == .reshape || source(of: node, in: graph) != nil
    }

    public func rewrite(_ node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        guard let source = source(of: node, in: graph), let result = graph.result(of: node) else {
            return skipReshape(node, in: &graph)
        }
        guard canPass(source, for: result, in: graph) else { return false }
        if graph.replaceUses(of: result, with: source) { graph.removeNode(node) }
        return true
    }

    /// Whether something changes when `source` takes the place of `result`.
    private func canPass(_ source: ValueID, for result: ValueID, in graph: Graph) -> Bool {
        graph.canReplace(result, with: source) || !graph.consumers(of: result).isEmpty
    }

    /// The value that a node's output equals.
    private func source(of node: NodeID, in graph: Graph) -> ValueID? {
        guard let data = graph.input(0, of: node), let result = graph.result(of: node) else {
            return nil
        }
        let before = graph.type(of: data)
        let after = graph.type(of: result)
        let keepsShape = before.dimensions != nil && before.dimensions == after.dimensions
        switch graph.schema(of: node) {
        case .identity, .dropout: return data
        case .cast, .castLike:
            return before.elementType != nil && before.elementType == after.elementType ? data : nil
        case .reshape, .flatten, .squeeze, .unsqueeze, .expand, .tile:
            return keepsShape ? data : nil
        case .pad:
            let pads = graph.constantIntegers(graph.input(1, of: node))
            return keepsShape && pads?.allSatisfy({ $0 == 0 }) == true ? data : nil
        case .slice:
            let steps = graph.input(4, of: node)
            let isForward =
                steps == nil || graph.constantIntegers(steps)?.allSatisfy { $0 == 1 } == true
            return keepsShape && isForward ? data : nil
        case .transpose:
            let order = graph.attribute("perm", of: node)?.ints
            return order.map { $0 == Array(0..<Int64($0.count)) } == true ? data : nil
        case .concat, .sum, .max, .min, .mean:
            return graph.inputs(of: node).count == 1 ? data : nil
        case .add: return neutral(0, of: node, in: graph, eitherSide: true)
        case .sub: return neutral(0, of: node, in: graph, eitherSide: false)
        case .mul: return neutral(1, of: node, in: graph, eitherSide: true)
        case .div: return neutral(1, of: node, in: graph, eitherSide: false)
        default: return nil
        }
    }

    private func neutral(
        _ number: Double, of node: NodeID, in graph: Graph, eitherSide: Bool
    ) -> ValueID? {
        guard let left = graph.input(0, of: node), let right = graph.input(1, of: node),
            let result = graph.result(of: node), let shape = graph.dimensions(of: result)
        else { return nil }
        if graph.scalar(right) == number, graph.dimensions(of: left) == shape { return left }
        if eitherSide, graph.scalar(left) == number, graph.dimensions(of: right) == shape {
            return right
        }
        return nil
    }

    /// A reshape to a wholly stated shape reads past reshapes before it.
    private func skipReshape(_ node: NodeID, in graph: inout Graph) -> Bool {
        let reshapes: Set<OperatorSchema> = [.reshape, .flatten, .squeeze, .unsqueeze]
        guard graph.schema(of: node) == .reshape, let data = graph.input(0, of: node),
            let before = graph.producer(of: data), reshapes.contains(graph.schema(of: before)),
            let source = graph.input(0, of: before),
            let target = graph.constantIntegers(graph.input(1, of: node)),
            !target.contains(0)
        else { return false }
        graph.setInput(0, of: node, to: source)
        return true
    }
}
