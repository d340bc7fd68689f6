// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// States reshapes by constants where the inferred sizes allow it ([0, 0, 12, -1]), and lets what
/// remains of shape arithmetic read the graph's inputs instead of values in the middle.
public struct SimplifyShapes: GraphPass {
    public static let name = "simplify-shapes"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        let inferred = try ShapeInference(graph).run()
        var changes = 0
        let places = inputPlaces(in: graph)
        for node in Array(graph.nodes) {
            switch graph.schema(of: node) {
            case .reshape:
                if try stateReshape(node, in: &graph) { changes += 1 }
            case .gather:
                if try readInput(node, inferred, places, in: &graph) { changes += 1 }
            default: continue
            }
        }
        return changes
    }

    private func stateReshape(_ node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        guard let target = graph.input(1, of: node), graph.constant(target) == nil,
            let before = graph.dimensions(of: graph.input(0, of: node)),
            let result = graph.result(of: node), let after = graph.dimensions(of: result),
            let sizes = SimplifyShapes.target(from: before, to: after),
            let tensor = try? Tensor(sizes)
        else { return false }
        let constant = graph.addConstant(name: graph.name(of: result) + ".shape", tensor)
        graph.setInput(1, of: node, to: constant)
        graph.attributes[Int(node.index)]["allowzero"] = nil
        return true
    }

    /// The target of a reshape in Reshape's terms: numbers, 0 for "as it was", one -1; nil where
    /// that does not say it.
    static func target(from before: [Dimension], to after: [Dimension]) -> [Int64]? {
        var sizes: [Int64] = []
        var hasRest = false
        for (axis, dimension) in after.enumerated() {
            if let fixed = dimension.fixed {
                if fixed == 0 { return nil }
                sizes.append(Int64(fixed))
            } else if axis < before.count, before[axis] == dimension {
                sizes.append(0)
            } else if !hasRest {
                hasRest = true
                sizes.append(-1)
            } else {
                return nil
            }
        }
        return sizes
    }

    private struct Place {
        var input: ValueID
        var axis: Int
    }

    /// Where the graph's inputs have each symbol.
    private func inputPlaces(in graph: Graph) -> [String: Place] {
        var places: [String: Place] = [:]
        for input in graph.inputs {
            for (axis, dimension) in (graph.dimensions(of: input) ?? []).enumerated() {
                guard let symbol = dimension.symbol, places[symbol] == nil else { continue }
                places[symbol] = Place(input: input, axis: axis)
            }
        }
        return places
    }

    /// One dimension picked from the shape of a value in the middle is picked from an input's.
    private func readInput(
        _ node: NodeID, _ inferred: InferredTypes, _ places: [String: Place],
        in graph: inout Graph
    ) throws(GraphError) -> Bool {
        guard let shape = graph.producer(of: graph.input(0, of: node), is: .shape),
            let value = graph.input(0, of: shape), graph.producer(of: value) != nil,
            let result = graph.result(of: node), let known = inferred.value(of: result),
            known.elementType == .int64, let dimensions = known.dimensions, dimensions.count == 1,
            let symbol = dimensions[0].symbol, let place = places[symbol],
            let index = try? Tensor([Int64(place.axis)], shape: known.shape)
        else { return false }
        let sizes = graph.apply(.shape, place.input)
        let axis = graph.addConstant(name: graph.name(of: result) + ".axis", index)
        graph.rewrite(
            node, as: .gather, inputs: [sizes, axis], attributes: ["axis": .int(0)])
        return true
    }
}
