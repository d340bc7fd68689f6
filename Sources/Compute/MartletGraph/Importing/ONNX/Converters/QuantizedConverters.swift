// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// The quantised operators of ONNX Runtime's own domain.
extension ONNXConverters {
    /// A, scale, zero point?, B, scale, zero point?, the output's scale, zero point?.
    @Sendable static func qLinearBinary(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        let operation = node.operatorType == "QLinearMul" ? "Mul" : "Add"
        node.operatorType = "QuantizedBinary"
        node.domain = "martlet"
        node.attributes = ["operation": .string(operation)]
        if node.input(7) == nil {
            node.setInput(7, to: try zeroByte(&build, near: node))
        }
        return [node]
    }

    /// A, scale, zero point?, B, scale, zero point?, bias? (int32), the output's scale? and zero
    /// point?. `transB`; `alpha` 1.
    @Sendable static func qGemm(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.attributes["transA"]?.int ?? 0 == 0, node.attributes["alpha"]?.float ?? 1 == 1
        else { throw GraphError(.unsupported, "transA or alpha") }
        var made: [ImportedNode] = []
        var inputs = [node.input(0), node.input(3), nil, nil]
        if let bias = node.input(6), let left = node.input(1), let right = node.input(4) {
            let floats = build.freshName(near: bias)
            let factor = build.freshName(near: bias)
            let scaled = build.freshName(near: bias)
            made = [
                step("Cast", [bias], floats, node, ["to": .int(1)]),
                step("Mul", [left, right], factor, node),
                step("Mul", [floats, factor], scaled, node),
            ]
            inputs[2] = scaled
        }
        for index in [1, 2, 4, 5, 7, 8] { inputs.append(node.input(index)) }
        let transposed = node.attributes["transB"]?.int ?? 0
        made.append(
            quantizedProduct(node, inputs, transposed != 0 ? ["transB": .int(1)] : [:]))
        return made
    }

    /// A (float), B, its scale, zero point?, bias?.
    @Sendable static func dynamicQuantizeMatMul(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard let data = node.input(0) else { throw GraphError(.invalidModel, "no input") }
        let bytes = build.freshName(near: data)
        let scale = build.freshName(near: data)
        let zero = build.freshName(near: data)
        var quantize = step("DynamicQuantizeLinear", [data], bytes, node)
        quantize.outputs = [bytes, scale, zero]
        return [
            quantize,
            quantizedProduct(
                node,
                [
                    bytes, node.input(1), node.input(4), nil, scale, zero, node.input(2),
                    node.input(3),
                ]
            ),
        ]
    }

    /// A, B, A's scale, B's scale, A's zero point?, B's zero point?, bias?.
    @Sendable static func matMulIntegerToFloat(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        let places = [0, 1, 6, nil, 2, 4, 3, 5]
        return [quantizedProduct(node, places.map { $0.flatMap { node.input($0) } })]
    }

    /// X, scale, zero point?, Y's scale, zero point?: in floats between two quantisations.
    @Sendable static func qLinearGlobalAveragePool(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.attributes["channels_last"]?.int ?? 0 == 0 else {
            throw GraphError(.unsupported, "channels_last")
        }
        return try between("GlobalAveragePool", &node, &build)
    }

    /// The same inputs; Sigmoid and LeakyRelu.
    @Sendable static func qLinearUnary(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        try between(String(node.operatorType.dropFirst("QLinear".count)), &node, &build)
    }

    /// A, B (4-bit, two to a byte, [N, blocks, block / 2]), scales, zero points? (4-bit or float),
    /// g_idx?, bias?. `K`, `N`, `bits` 4, `block_size`.
    @Sendable static func matMulNBits(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.attributes["bits"]?.int ?? 4 == 4 else {
            throw GraphError(.unsupported, "weights of other than 4 bits")
        }
        guard node.input(4) == nil else { throw GraphError(.unsupported, "g_idx") }
        guard let k = node.attributes["K"]?.int, let n = node.attributes["N"]?.int,
            let size = node.attributes["block_size"]?.int, k > 0, n > 0, size >= 16,
            size <= 1 << 20, k <= 1 << 30, n <= 1 << 30
        else { throw GraphError(.invalidModel, "K, N or block_size") }
        let blocks = (k + size - 1) / size
        guard n * blocks <= 1 << 30 else {
            throw GraphError(.limitExceeded, "\(n * blocks) blocks")
        }
        var zeros = [Float](repeating: 8, count: n * blocks)
        if let name = node.input(3) {
            guard let tensor = build.constant(named: name) else {
                throw GraphError(.unsupported, "zero points that are computed")
            }
            if tensor.elementType == .float32, tensor.elementCount == zeros.count {
                zeros = (try? tensor.elements(as: Float.self)) ?? zeros
            } else {
                let row = (blocks + 1) / 2
                guard tensor.elementType == .uint8, tensor.byteCount == n * row else {
                    throw GraphError(.unsupported, "zero points of another type or size")
                }
                let bytes = unsafe Array(tensor.bytes)
                for index in zeros.indices {
                    let byte = bytes[index / blocks * row + index % blocks / 2]
                    zeros[index] = Float(index % blocks % 2 == 0 ? byte & 15 : byte >> 4)
                }
            }
        }
        let constant: String
        do throws(TensorError) {
            constant = build.constant(
                try Tensor(zeros, shape: [n, blocks]), near: node.outputs.first ?? "")
        } catch {
            throw GraphError(.invalidModel, error.message)
        }
        var product = node
        product.operatorType = "BlockMatMul"
        product.domain = "martlet"
        product.inputs = [
            node.input(0) ?? "", node.input(1) ?? "", node.input(5) ?? "", "",
            node.input(2) ?? "", constant,
        ]
        product.attributes = [
            "K": .int(Int64(k)), "N": .int(Int64(n)), "block_size": .int(Int64(size)),
            "transB": .int(1),
        ]
        return [product]
    }

    // MARK: Parts

    private static func zeroByte(
        _ build: inout ONNXGraphBuild, near node: ImportedNode
    ) throws(GraphError) -> String {
        do throws(TensorError) {
            return build.constant(
                try Tensor([UInt8(0)], shape: []), near: node.outputs.first ?? node.name)
        } catch {
            throw GraphError(.invalidModel, error.message)
        }
    }

    private static func step(
        _ type: String, _ inputs: [String], _ output: String, _ node: ImportedNode,
        _ attributes: [String: AttributeValue] = [:]
    ) -> ImportedNode {
        ImportedNode(
            operatorType: type, domain: "", name: node.name, inputs: inputs, outputs: [output],
            attributes: attributes, version: node.version)
    }

    private static func quantizedProduct(
        _ node: ImportedNode, _ inputs: [String?], _ attributes: [String: AttributeValue] = [:]
    ) -> ImportedNode {
        ImportedNode(
            operatorType: "QuantizedMatMul", domain: "martlet", name: node.name,
            inputs: inputs.map { $0 ?? "" }, outputs: node.outputs, attributes: attributes,
            version: node.version)
    }

    private static func between(
        _ type: String, _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard let data = node.input(0), let scale = node.input(1), let outputScale = node.input(3),
            let output = node.outputs.first
        else { throw GraphError(.invalidModel, "an input is missing") }
        let floats = build.freshName(near: data)
        let result = build.freshName(near: data)
        var attributes = node.attributes
        attributes["channels_last"] = nil
        return [
            step("DequantizeLinear", [data, scale, node.input(2) ?? ""], floats, node),
            step(type, [floats], result, node, attributes),
            step("QuantizeLinear", [result, outputScale, node.input(4) ?? ""], output, node),
        ]
    }
}
