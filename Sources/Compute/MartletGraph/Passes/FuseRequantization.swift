// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Lets quantised products make 8-bit answers where a quantisation follows, and computes sums and
/// products of two dequantised tensors that are quantised again in 8 bits.
public struct FuseRequantization: GraphPass {
    public static let name = "fuse-requantization"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in Array(graph.nodes)
        where graph.schema(of: node) == .quantizeLinear && !graph.isDead[Int(node.index)] {
            if fuse(node, in: &graph) || fuseBinary(node, in: &graph) { changes += 1 }
        }
        return changes
    }

    /// The scale and zero point of a quantisation to 8 bits by constants of one number.
    private func numbers(
        _ node: NodeID, in graph: Graph
    ) -> (scale: ValueID, zero: ValueID)? {
        guard let scale = graph.input(1, of: node), graph.isSingle(scale),
            graph.constant(scale) != nil, graph.isFloat32(scale),
            let zero = graph.input(2, of: node), graph.isSingle(zero),
            graph.constant(zero) != nil, graph.isByte(zero)
        else { return nil }
        return (scale, zero)
    }

    private func fuse(_ node: NodeID, in graph: inout Graph) -> Bool {
        guard let (scale, zero) = numbers(node, in: graph), let data = graph.input(0, of: node),
            graph.hasSingleUse(data), let product = graph.producer(of: data),
            [.quantizedMatMul, .quantizedConv].contains(graph.schema(of: product)),
            graph.input(QuantizedInput.outputScale, of: product) == nil
        else { return false }
        var inputs = graph.inputs(of: product)
        while inputs.count < QuantizedInput.count { inputs.append(nil) }
        inputs[QuantizedInput.outputScale] = scale
        inputs[QuantizedInput.outputZero] = zero
        graph.rewrite(
            node, as: graph.schema(of: product), inputs: inputs,
            attributes: graph.attributes[Int(product.index)])
        graph.removeNode(product)
        return true
    }

    /// Quantize(Relu?(Add or Mul(dequantised, dequantised))); the ReLU must be what quantising to
    /// unsigned values with a zero point of 0 does anyway.
    private func fuseBinary(_ node: NodeID, in graph: inout Graph) -> Bool {
        guard let (scale, zero) = numbers(node, in: graph), var data = graph.input(0, of: node),
            graph.hasSingleUse(data)
        else { return false }
        if let relu = graph.producer(of: data, is: .relu) {
            guard graph.wholeNumbers(zero) == [0], graph.type(of: zero).elementType == .uint8,
                let before = graph.input(0, of: relu), graph.hasSingleUse(before)
            else { return false }
            data = before
        }
        guard let binary = graph.producer(of: data),
            [.add, .mul].contains(graph.schema(of: binary)),
            let left = graph.dequantized(graph.input(0, of: binary)),
            let right = graph.dequantized(graph.input(1, of: binary)),
            let shape = graph.dimensions(of: left.value),
            graph.dimensions(of: right.value) == shape
        else { return false }
        graph.rewrite(
            node, as: .quantizedBinary,
            inputs: [
                left.value, left.scale, left.zero, right.value, right.scale, right.zero, scale,
                zero,
            ],
            attributes: ["operation": .string(graph.schema(of: binary).name)])
        return true
    }
}
