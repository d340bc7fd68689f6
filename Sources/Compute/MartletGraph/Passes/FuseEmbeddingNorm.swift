// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Takes the look-ups of words, places and kinds, and their sums, into the layer normalisation that
/// follows: each token's rows are added and normalised while they are in the cache.
public struct FuseEmbeddingNorm: MatchingPass {
    public static let name = "fuse-embedding-norm"

    /// The most tables that one node looks up.
    static let tableCountMax = 4

    public init() {}

    public func matches(_ node: NodeID, in graph: Graph) -> Bool {
        graph.schema(of: node) == .layerNormalization && !lookups(of: node, in: graph).isEmpty
    }

    public func rewrite(_ node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        let found = lookups(of: node, in: graph)
        guard !found.isEmpty else { return false }
        let parameters = [graph.input(1, of: node), graph.input(2, of: node)]
        graph.rewrite(
            node, as: .embeddingSumNorm, inputs: parameters + found,
            attributes: ["epsilon": graph.attribute("epsilon", of: node) ?? .float(1e-5)])
        return true
    }

    /// Tables and indices in turn, where a normalisation is of a sum of at least two look-ups.
    private func lookups(of node: NodeID, in graph: Graph) -> [ValueID?] {
        guard let sum = graph.input(0, of: node), let shape = graph.dimensions(of: sum),
            shape.count == 3, graph.isFloat32(sum), let width = shape[2].fixed, width > 0,
            graph.isLastAxis(graph.attributeInt("axis", of: node, default: -1), of: sum),
            graph.dimensions(of: graph.input(1, of: node)) == [shape[2]],
            graph.input(2, of: node).map({ graph.dimensions(of: $0) == [shape[2]] }) ?? true,
            graph.outputs(of: node).dropFirst().allSatisfy({ $0 == nil })
        else { return [] }
        var found: [ValueID?] = []
        var open = [sum]
        while let value = open.popLast() {
            guard graph.hasSingleUse(value), let maker = graph.producer(of: value) else {
                return []
            }
            switch graph.schema(of: maker) {
            case .add:
                for case let term? in graph.inputs(of: maker) { open.append(term) }
            case .gather:
                guard let table = graph.input(0, of: maker), let ids = graph.input(1, of: maker),
                    graph.isFloat32(table), graph.rank(of: table) == 2,
                    graph.dimensions(of: table)?.last == shape[2],
                    graph.attributeInt("axis", of: maker, default: 0) == 0,
                    let places = graph.dimensions(of: ids), places.count == 2,
                    places[1] == shape[1], places[0] == shape[0] || places[0].fixed == 1
                else { return [] }
                found += [table, ids]
            default: return []
            }
            if open.count + found.count > 2 * FuseEmbeddingNorm.tableCountMax { return [] }
        }
        return found.count >= 4 && found.count <= 2 * FuseEmbeddingNorm.tableCountMax ? found : []
    }
}
