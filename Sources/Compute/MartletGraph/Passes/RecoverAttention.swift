// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Recognises multi-head attention that an export wrote out in products, transpositions and a
/// softmax.
///
/// Heads are split by Reshape [B, S, H, D] and Transpose [0, 2, 1, 3]; the scale may be a factor of
/// the scores, the queries or the keys; the mask is a float addend or a `Where` with a constant.
public struct RecoverAttention: GraphPass {
    public static let name = "recover-attention"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in Array(graph.nodes) where graph.schema(of: node) == .softmax {
            if try recover(at: node, in: &graph) { changes += 1 }
        }
        return changes
    }

    private func recover(at softmax: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        guard let scores = graph.input(0, of: softmax),
            graph.isLastAxis(graph.attributeInt("axis", of: softmax, default: -1), of: scores),
            let shape = graph.dimensions(of: scores), shape.count == 4, graph.isFloat32(scores),
            let weighing = weighing(after: softmax, in: graph),
            let values = head(graph.input(1, of: weighing), isTransposed: false, in: graph),
            let end = mergedHeads(after: weighing, in: graph)
        else { return false }
        let mask = findMask(scores, shape: shape, in: graph)
        let (products, scale) = scaled(mask?.scores ?? scores, in: graph)
        guard graph.hasSingleUse(products), graph.dimensions(of: products) == shape,
            let matMul = graph.producer(of: products, is: .matMul),
            let queries = head(graph.input(0, of: matMul), isTransposed: false, in: graph),
            let keys = head(graph.input(1, of: matMul), isTransposed: true, in: graph),
            values.scale == 1, queries.heads == keys.heads, values.heads == keys.heads
        else { return false }
        var inputs: [ValueID?] = [queries.source, keys.source, values.source]
        if let mask { inputs.append(try additive(mask, in: &graph)) }
        let whole = Float(scale * queries.scale * keys.scale)
        graph.rewrite(
            end, as: .attention, inputs: inputs,
            attributes: ["heads": .int(Int64(queries.heads)), "scale": .float(whole)])
        return true
    }

    /// The product of the probabilities and the values, past a guard against empty rows.
    private func weighing(after softmax: NodeID, in graph: Graph) -> NodeID? {
        guard let probabilities = graph.result(of: softmax), !graph.isOutput(probabilities) else {
            return nil
        }
        var value = probabilities
        let readers = graph.consumers(of: probabilities)
        if readers.count == 2, let test = readers.first(where: { graph.schema(of: $0) == .isNaN }),
            let choice = readers.first(where: { graph.schema(of: $0) == .where }),
            graph.input(0, of: choice) == graph.result(of: test),
            graph.scalar(graph.input(1, of: choice)) == 0,
            graph.input(2, of: choice) == probabilities, let guarded = graph.result(of: choice)
        {
            value = guarded
        }
        guard let product = graph.onlyConsumer(of: value, is: .matMul),
            graph.input(0, of: product) == value
        else { return nil }
        return product
    }

    /// The reshape that puts the heads side by side again.
    private func mergedHeads(after product: NodeID, in graph: Graph) -> NodeID? {
        guard let value = graph.result(of: product),
            let transpose = graph.onlyConsumer(of: value, is: .transpose),
            graph.attribute("perm", of: transpose)?.ints == [0, 2, 1, 3],
            let moved = graph.result(of: transpose),
            let reshape = graph.onlyConsumer(of: moved, is: .reshape),
            let before = graph.dimensions(of: moved), let result = graph.result(of: reshape),
            let after = graph.dimensions(of: result), after.count == 3,
            after[0] == before[0], after[1] == before[1],
            let width = after[2].fixed, let heads = before[2].fixed, let size = before[3].fixed,
            width == heads * size
        else { return nil }
        return reshape
    }

    private struct Head {
        var source: ValueID
        var heads: Int
        var scale: Double
    }

    /// Where a [B, H, S, D] operand (or [B, H, D, S]) comes from, as [B, S, H·D].
    private func head(_ value: ValueID?, isTransposed: Bool, in graph: Graph) -> Head? {
        guard let value else { return nil }
        var (current, scale) = scaled(value, in: graph)
        var wanted: [Int64] = isTransposed ? [0, 2, 3, 1] : [0, 2, 1, 3]
        guard let outer = graph.producer(of: current, is: .transpose),
            let inside = graph.input(0, of: outer)
        else { return nil }
        current = inside
        var order = graph.attribute("perm", of: outer)?.ints
        if isTransposed, order == [0, 1, 3, 2] {
            let (unscaled, more) = scaled(current, in: graph)
            guard let inner = graph.producer(of: unscaled, is: .transpose),
                let inside = graph.input(0, of: inner)
            else { return nil }
            scale *= more
            current = inside
            order = graph.attribute("perm", of: inner)?.ints
            wanted = [0, 2, 1, 3]
        }
        guard order == wanted, let reshape = graph.producer(of: current, is: .reshape),
            let source = graph.input(0, of: reshape), graph.isFloat32(source),
            let before = graph.dimensions(of: source), let after = graph.dimensions(of: current),
            before.count == 3, after.count == 4, before[0] == after[0], before[1] == after[1],
            let heads = after[2].fixed, let size = after[3].fixed, heads > 0,
            before[2].fixed == heads * size
        else { return nil }
        return Head(source: source, heads: heads, scale: scale)
    }

    /// The value before products and quotients with constants, and the constants' product.
    private func scaled(_ value: ValueID, in graph: Graph) -> (ValueID, Double) {
        var current = value
        var scale = 1.0
        while let node = graph.producer(of: current) {
            let left = graph.input(0, of: node)
            let right = graph.input(1, of: node)
            if graph.schema(of: node) == .mul, let factor = graph.scalar(right), let left {
                (current, scale) = (left, scale * factor)
            } else if graph.schema(of: node) == .mul, let factor = graph.scalar(left), let right {
                (current, scale) = (right, scale * factor)
            } else if graph.schema(of: node) == .div, let divisor = graph.scalar(right),
                divisor != 0, let left
            {
                (current, scale) = (left, scale / divisor)
            } else {
                break
            }
        }
        return (current, scale)
    }

    private enum MaskForm {
        case addend(ValueID)
        /// Where(condition, hidden, scores), or the other way round.
        case choice(condition: ValueID, hidden: ValueID, hidesWhereTrue: Bool)
    }

    private struct Mask {
        var scores: ValueID
        var form: MaskForm
    }

    private func findMask(_ scores: ValueID, shape: [Dimension], in graph: Graph) -> Mask? {
        guard let node = graph.producer(of: scores), graph.hasSingleUse(scores) else { return nil }
        if graph.schema(of: node) == .add {
            for slot in 0..<2 {
                guard let part = graph.input(slot, of: node), graph.hasSingleUse(part),
                    graph.dimensions(of: part) == shape,
                    graph.producer(of: scaled(part, in: graph).0, is: .matMul) != nil,
                    let mask = graph.input(1 - slot, of: node), graph.isFloat32(mask),
                    (graph.rank(of: mask) ?? 5) <= 4
                else { continue }
                return Mask(scores: part, form: .addend(mask))
            }
        }
        if graph.schema(of: node) == .where, let condition = graph.input(0, of: node),
            (graph.rank(of: condition) ?? 5) <= 4
        {
            for slot in 1...2 {
                guard let part = graph.input(slot, of: node), graph.dimensions(of: part) == shape,
                    let hidden = graph.input(3 - slot, of: node),
                    let number = graph.scalar(hidden), number <= -1e4
                else { continue }
                return Mask(
                    scores: part,
                    form: .choice(
                        condition: condition, hidden: hidden, hidesWhereTrue: slot == 2))
            }
        }
        return nil
    }

    /// The mask as an addend: a chosen constant becomes one that is added to the score.
    private func additive(_ mask: Mask, in graph: inout Graph) throws(GraphError) -> ValueID {
        switch mask.form {
        case .addend(let value): return value
        case .choice(let condition, let hidden, let hidesWhereTrue):
            let zero = try graph.addFloats([0], shape: [], name: "zero")
            return hidesWhereTrue
                ? graph.apply(.where, condition, hidden, zero)
                : graph.apply(.where, condition, zero, hidden)
        }
    }
}
