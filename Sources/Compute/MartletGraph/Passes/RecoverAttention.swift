// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Recognises multi-head attention that an export wrote out in products, transpositions and a
/// softmax.
///
/// Where heads are split by Reshape [B, S, H, D] and Transpose [0, 2, 1, 3] they are read in place;
/// otherwise operands of four dimensions are taken as they are. Keys and values may be repeated for
/// groups of queries; the scale may be a factor of the scores, the queries or the keys; scores may
/// be capped by a tanh; the mask is a float addend or a `Where` with a constant.
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
            let weighing = weighing(after: softmax, in: graph)
        else { return false }
        let mask = findMask(scores, shape: shape, in: graph)
        guard let products = products(mask?.scores ?? scores, in: graph),
            graph.dimensions(of: products.value) == shape,
            let queries = heads(graph.input(0, of: products.node), isTransposed: false, in: graph),
            let keys = heads(graph.input(1, of: products.node), isTransposed: true, in: graph),
            let values = heads(graph.input(1, of: weighing), isTransposed: false, in: graph),
            values.scale == 1, queries.groupSize == 1, keys.groupSize == values.groupSize,
            keys.count == values.count, queries.count == keys.count * keys.groupSize,
            products.scale * queries.scale * keys.scale != 0
        else { return false }
        let scale = Float(products.scale * queries.scale * keys.scale)
        guard let form = form(queries, keys, values, after: weighing, products, in: graph) else {
            return false
        }
        if let mask, form.schema == .scaledAttention {
            guard coversKeys(mask, of: shape, in: graph) else { return false }
        }
        var inputs: [ValueID?] = form.operands
        var attributes: [String: AttributeValue] = form.attributes
        attributes["scale"] = .float(scale)
        if let mask, isCausal(mask, shape: shape, in: graph) {
            attributes[form.schema == .attention ? "causal" : "is_causal"] = .int(1)
        } else if let mask {
            inputs.append(try additive(mask, in: &graph))
        }
        graph.rewrite(form.end, as: form.schema, inputs: inputs, attributes: attributes)
        return true
    }

    private struct Form {
        var schema: OperatorSchema
        var end: NodeID
        var operands: [ValueID?]
        var attributes: [String: AttributeValue]
    }

    /// Which operator stands for the pattern: ours where heads lie side by side and are as many,
    /// ONNX's otherwise.
    private func form(
        _ queries: Heads, _ keys: Heads, _ values: Heads, after weighing: NodeID,
        _ products: Products, in graph: Graph
    ) -> Form? {
        if let query = queries.flat, let key = keys.flat, let value = values.flat,
            let end = mergedHeads(after: weighing, in: graph)
        {
            if keys.groupSize == 1, products.softcap == 0 {
                return Form(
                    schema: .attention, end: end, operands: [query, key, value],
                    attributes: ["heads": .int(Int64(queries.count))])
            }
            return Form(
                schema: .scaledAttention, end: end, operands: [query, key, value],
                attributes: products.attributes.merging([
                    "q_num_heads": .int(Int64(queries.count)),
                    "kv_num_heads": .int(Int64(keys.count)),
                ]) { $1 })
        }
        guard let query = queries.rows, let key = keys.rows, let value = values.rows,
            let left = graph.dimensions(of: query), let right = graph.dimensions(of: key),
            let third = graph.dimensions(of: value), left[0] == right[0], right[0] == third[0],
            right[2] == third[2], left[3] == right[3]
        else { return nil }
        return Form(
            schema: .scaledAttention, end: weighing, operands: [query, key, value],
            attributes: products.attributes)
    }

    /// Scores before the mask: what multiplies queries and keys, by what and how capped.
    struct Products {
        var value: ValueID
        var node: NodeID
        var scale: Double
        /// 0: none.
        var softcap: Double

        var attributes: [String: AttributeValue] {
            softcap == 0 ? [:] : ["softcap": .float(Float(softcap))]
        }
    }

    func products(_ scores: ValueID, in graph: Graph) -> Products? {
        var (value, scale) = scaled(scores, in: graph)
        var softcap = 0.0
        if let cap = graph.producer(of: value, is: .tanh), scale > 0,
            let inside = graph.input(0, of: cap)
        {
            softcap = scale
            (value, scale) = scaled(inside, in: graph)
            scale *= softcap
        }
        guard let node = graph.producer(of: value, is: .matMul), graph.hasSingleUse(value) else {
            return nil
        }
        return Products(value: value, node: node, scale: scale, softcap: softcap)
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

    /// The value before products and quotients with constants, and the constants' product.
    func scaled(_ value: ValueID, in graph: Graph) -> (ValueID, Double) {
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
}
