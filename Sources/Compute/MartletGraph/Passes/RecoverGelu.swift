// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Recognises GELU that an export wrote out, in the erf form x/2 · (1 + erf(x/√2)) and in the tanh
/// form x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), and the gated forms x · sigmoid(x) and
/// x · hardSigmoid(x).
public struct RecoverGelu: MatchingPass {
    public static let name = "recover-gelu"

    public init() {}

    public func matches(_ node: NodeID, in graph: Graph) -> Bool {
        form(at: node, in: graph) != nil
    }

    public func rewrite(_ node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        guard let form = form(at: node, in: graph) else { return false }
        graph.rewrite(
            form.end, as: form.schema, inputs: [form.x], attributes: form.attributes)
        return true
    }

    /// The node that ends the form around one, and what stands for it.
    private struct Form {
        var end: NodeID
        var schema: OperatorSchema
        var x: ValueID
        var attributes: [String: AttributeValue] = [:]
    }

    private func form(at node: NodeID, in graph: Graph) -> Form? {
        switch graph.schema(of: node) {
        case .erf:
            guard let x = erfArgument(of: node, in: graph),
                let end = halfProduct(from: node, x: x, in: graph)
            else { return nil }
            return Form(end: end, schema: .gelu, x: x)
        case .tanh:
            guard let x = tanhArgument(of: node, in: graph),
                let end = halfProduct(from: node, x: x, in: graph)
            else { return nil }
            return Form(
                end: end, schema: .gelu, x: x, attributes: ["approximate": .string("tanh")])
        case .sigmoid:
            guard let (x, end) = gated(node, in: graph) else { return nil }
            return Form(end: end, schema: .swish, x: x, attributes: ["alpha": .float(1)])
        case .hardSigmoid:
            guard isHardSwishGate(node, in: graph), let (x, end) = gated(node, in: graph) else {
                return nil
            }
            return Form(end: end, schema: .hardSwish, x: x)
        default: return nil
        }
    }

    /// x of erf(x / √2).
    private func erfArgument(of node: NodeID, in graph: Graph) -> ValueID? {
        guard let scaled = graph.input(0, of: node), let before = graph.producer(of: scaled) else {
            return nil
        }
        let root = 2.0.squareRoot()
        switch graph.schema(of: before) {
        case .div where graph.isScalar(graph.input(1, of: before), root):
            return graph.input(0, of: before)
        case .mul: return factor(of: before, beside: 1 / root, in: graph)
        default: return nil
        }
    }

    /// The other factor of a product with a constant.
    private func factor(of node: NodeID, beside number: Double, in graph: Graph) -> ValueID? {
        if graph.isScalar(graph.input(1, of: node), number) { return graph.input(0, of: node) }
        if graph.isScalar(graph.input(0, of: node), number) { return graph.input(1, of: node) }
        return nil
    }

    /// x of tanh(√(2/π) · (x + 0.044715 x³)).
    private func tanhArgument(of node: NodeID, in graph: Graph) -> ValueID? {
        guard let outer = graph.producer(of: graph.input(0, of: node), is: .mul),
            let sum = factor(of: outer, beside: 0.7978845608, in: graph),
            let addition = graph.producer(of: sum, is: .add)
        else { return nil }
        for slot in 0..<2 {
            guard let x = graph.input(slot, of: addition),
                let product = graph.producer(of: graph.input(1 - slot, of: addition), is: .mul),
                let cube = factor(of: product, beside: 0.044715, in: graph),
                isCube(cube, of: x, in: graph)
            else { continue }
            return x
        }
        return nil
    }

    private func isCube(_ value: ValueID, of x: ValueID, in graph: Graph) -> Bool {
        guard let node = graph.producer(of: value) else { return false }
        if graph.schema(of: node) == .pow {
            return graph.input(0, of: node) == x && graph.isScalar(graph.input(1, of: node), 3)
        }
        guard graph.schema(of: node) == .mul, let other = graph.otherInput(of: node, than: x),
            graph.inputs(of: node).contains(x),
            let square = graph.producer(of: other)
        else { return false }
        if graph.schema(of: square) == .pow {
            return graph.input(0, of: square) == x && graph.isScalar(graph.input(1, of: square), 2)
        }
        return graph.schema(of: square) == .mul && graph.inputs(of: square) == [x, x]
    }

    /// The last node of x · ½ · (1 + f), in any order of the factors, from the node that makes f.
    private func halfProduct(from node: NodeID, x: ValueID, in graph: Graph) -> NodeID? {
        guard let value = graph.result(of: node),
            let addition = graph.onlyConsumer(of: value, is: .add),
            graph.isScalar(graph.otherInput(of: addition, than: value), 1),
            let sum = graph.result(of: addition),
            let first = graph.onlyConsumer(of: sum, is: .mul),
            let other = graph.otherInput(of: first, than: sum),
            let product = graph.result(of: first)
        else { return nil }
        if let half = graph.producer(of: other, is: .mul),
            factor(of: half, beside: 0.5, in: graph) == x
        {
            return first
        }
        if let half = graph.producer(of: other, is: .div), graph.input(0, of: half) == x,
            graph.isScalar(graph.input(1, of: half), 2)
        {
            return first
        }
        let needsHalf = other == x
        guard needsHalf || graph.isScalar(other, 0.5),
            let second = graph.onlyConsumer(of: product, is: .mul),
            let last = graph.otherInput(of: second, than: product)
        else { return nil }
        return (needsHalf ? graph.isScalar(last, 0.5) : last == x) ? second : nil
    }

    /// x and the product, where the gate's only reader multiplies it by its own input.
    private func gated(_ gate: NodeID, in graph: Graph) -> (x: ValueID, end: NodeID)? {
        guard let x = graph.input(0, of: gate), let value = graph.result(of: gate),
            let product = graph.onlyConsumer(of: value, is: .mul),
            graph.otherInput(of: product, than: value) == x
        else { return nil }
        return (x, product)
    }

    private func isHardSwishGate(_ node: NodeID, in graph: Graph) -> Bool {
        let alpha = graph.attribute("alpha", of: node)?.float ?? 0.2
        let beta = graph.attribute("beta", of: node)?.float ?? 0.5
        return Swift.abs(alpha - 1 / 6) < 1e-5 && beta == 0.5
    }
}
