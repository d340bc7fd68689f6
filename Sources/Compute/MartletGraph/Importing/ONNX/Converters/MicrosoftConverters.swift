// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// What ONNX Runtime's own optimiser leaves in a file, in our terms.
extension ONNXConverters {
    /// Gelu, FastGelu (the tanh form) and BiasGelu, with their optional bias.
    @Sendable static func microsoftGelu(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        let isTanh = node.operatorType == "FastGelu"
        node.operatorType = "Gelu"
        node.domain = ""
        node.attributes = isTanh ? ["approximate": .string("tanh")] : [:]
        guard let bias = node.input(1), let input = node.input(0) else { return [node] }
        let sum = build.freshName(near: node.outputs.first ?? "")
        let add = ImportedNode(
            operatorType: "Add", domain: "", name: node.name, inputs: [input, bias],
            outputs: [sum], attributes: [:], version: node.version)
        node.inputs = [sum]
        return [add, node]
    }

    /// x · sigmoid(alpha · x), alpha 1.702.
    @Sendable static func quickGelu(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        node.operatorType = "Swish"
        node.domain = ""
        if node.attributes["alpha"] == nil { node.attributes["alpha"] = .float(1.702) }
        return [node]
    }

    /// Inputs: X, residual, scale, bias?, and a bias of X? that is added first.
    @Sendable static func skipLayerNormalization(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        node.domain = "martlet"
        if node.attributes["epsilon"] == nil { node.attributes["epsilon"] = .float(1e-12) }
        if let read = node.outputs.dropFirst().first(where: { build.readNames.contains($0) }),
            !read.isEmpty, node.outputs.count < 4 || read != node.outputs[3]
        {
            throw GraphError(.unsupported, "its statistics '\(read)' are read")
        }
        let sumOutput =
            node.outputs.count > 3 && build.readNames.contains(node.outputs[3])
            ? node.outputs[3] : nil
        node.outputs = Array(node.outputs.prefix(1)) + (sumOutput.map { [$0] } ?? [])
        guard let bias = node.input(4), let input = node.input(0) else {
            node.inputs = Array(node.inputs.prefix(4))
            return [node]
        }
        let sum = build.freshName(near: node.outputs.first ?? "")
        let add = ImportedNode(
            operatorType: "Add", domain: "", name: node.name, inputs: [input, bias],
            outputs: [sum], attributes: [:], version: node.version)
        node.inputs = Array(node.inputs.prefix(4))
        node.inputs[0] = sum
        return [add, node]
    }

    /// Conv with an activation.
    @Sendable static func fusedConv(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        node.domain = "martlet"
        let name = node.attributes["activation"]?.string ?? ""
        let parameters = node.take("activation_params")?.floats ?? []
        let activation: FusedActivation
        switch (name, parameters.count) {
        case ("", _): activation = .none
        case ("Relu", _): activation = .relu
        case ("Sigmoid", _): activation = .sigmoid
        case ("Tanh", _): activation = .tanh
        case ("LeakyRelu", 1): activation = .leakyRelu(slope: parameters[0])
        case ("Clip", 2): activation = .clip(minimum: parameters[0], maximum: parameters[1])
        case ("HardSigmoid", 2):
            activation = .hardSigmoid(alpha: parameters[0], beta: parameters[1])
        default: throw GraphError(.unsupported, "activation '\(name)'")
        }
        node.attributes["activation"] = nil
        node.attributes.merge(activation.attributes) { $1 }
        return [node]
    }
}
