// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Keeps constant 4-bit matrices with a scale a block as they are, where a product reads them:
/// MatMul(A, DequantizeLinear(B)) and the same of Gemm.
///
/// Runs before constants are folded, which would turn the weights into floats.
public struct RecoverBlockProducts: MatchingPass {
    public static let name = "recover-block-products"

    public init() {}

    public func matches(_ node: NodeID, in graph: Graph) -> Bool {
        [.matMul, .gemm].contains(graph.schema(of: node))
            && graph.producer(of: graph.input(1, of: node), is: .dequantizeLinear) != nil
    }

    public func rewrite(_ node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        let isTransposed = graph.attributeInt("transB", of: node, default: 0) != 0
        guard let data = graph.input(0, of: node), graph.isFloat32(data),
            (graph.rank(of: data) ?? 0) >= 2,
            let source = graph.producer(of: graph.input(1, of: node), is: .dequantizeLinear),
            let matrix = graph.input(0, of: source), let tensor = graph.constant(matrix),
            [.int4, .uint4].contains(tensor.elementType), tensor.shape.rank == 2,
            let scale = graph.input(1, of: source), let scales = graph.constant(scale),
            scales.elementType == .float32, scales.shape.rank == 2,
            graph.attributeInt("transA", of: node, default: 0) == 0,
            (graph.attribute("alpha", of: node)?.float ?? 1) == 1,
            graph.input(2, of: node) == nil
        else { return false }
        let depthAxis = isTransposed ? 1 : 0
        let k = tensor.shape[depthAxis]
        let n = tensor.shape[1 - depthAxis]
        let size = graph.attributeInt("block_size", of: source, default: 0)
        let stated = graph.attributeInt("axis", of: source, default: 1)
        guard (stated < 0 ? stated + 2 : stated) == depthAxis, size > 0, k > 0, n > 0,
            scales.shape[depthAxis] == (k + size - 1) / size, scales.shape[1 - depthAxis] == n
        else { return false }
        var inputs: [ValueID?] = [data, matrix, nil, nil, scale]
        if let zero = graph.input(2, of: source) {
            guard let zeros = graph.constant(zero), zeros.elementType == tensor.elementType,
                zeros.shape == scales.shape, let numbers = zeros.nibbles
            else { return false }
            inputs.append(
                try graph.addFloats(
                    numbers, shape: zeros.shape, name: graph.name(of: zero) + ".floats"))
        }
        graph.rewrite(
            node, as: .blockMatMul, inputs: inputs,
            attributes: [
                "K": .int(Int64(k)), "N": .int(Int64(n)), "block_size": .int(Int64(size)),
                "transB": .int(isTransposed ? 1 : 0),
            ])
        return true
    }
}

extension Tensor {
    /// The numbers of a tensor of 4-bit values, two to a byte, the low half first.
    package var nibbles: [Float]? {
        guard elementType == .int4 || elementType == .uint4 else { return nil }
        let bytes = unsafe Array(self.bytes)
        guard bytes.count * 2 >= elementCount else { return nil }
        return (0..<elementCount).map { index in
            let nibble = Int(bytes[index / 2] >> (index % 2 == 0 ? 0 : 4)) & 15
            return Float(elementType == .int4 && nibble > 7 ? nibble - 16 : nibble)
        }
    }
}
