// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Makes products with a constant matrix take in what follows: bias, residual, activation.
public struct FuseMatMulEpilogue: GraphPass {
    public static let name = "fuse-matmul-epilogue"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in Array(graph.nodes) where startFusion(node, in: &graph) { changes += 1 }
        for node in Array(graph.nodes) where !graph.isDead[Int(node.index)] {
            if addBias(at: node, in: &graph) { changes += 1 }
        }
        // Bias first, then residual, then activation: the order in which the fused form applies
        // them.
        for fused in [OperatorSchema.fusedMatMul, .quantizedMatMul, .blockMatMul] {
            for node in Array(graph.nodes) where !graph.isDead[Int(node.index)] {
                if Epilogue.addResidual(at: node, to: fused, in: &graph) { changes += 1 }
            }
            for node in Array(graph.nodes) where !graph.isDead[Int(node.index)] {
                if Epilogue.addActivation(at: node, to: fused, in: &graph) { changes += 1 }
            }
        }
        return changes
    }

    /// MatMul and plain Gemm by a constant matrix become the fused form.
    private func startFusion(_ node: NodeID, in graph: inout Graph) -> Bool {
        guard let data = graph.input(0, of: node), let weights = graph.input(1, of: node),
            let tensor = graph.constant(weights), tensor.elementType == .float32,
            tensor.shape.rank == 2, graph.isFloat32(data), (graph.rank(of: data) ?? 0) >= 2
        else { return false }
        if graph.schema(of: node) == .matMul {
            graph.rewrite(node, as: .fusedMatMul, inputs: [data, weights])
            return true
        }
        guard graph.schema(of: node) == .gemm,
            graph.attributeInt("transA", of: node, default: 0) == 0,
            (graph.attribute("alpha", of: node)?.float ?? 1) == 1
        else { return false }
        let isTransposed = graph.attributeInt("transB", of: node, default: 0) != 0
        let columns = tensor.shape[isTransposed ? 0 : 1]
        var inputs: [ValueID?] = [data, weights]
        if let bias = graph.input(2, of: node) {
            guard (graph.attribute("beta", of: node)?.float ?? 1) == 1,
                let vector = vector(bias, length: columns, in: &graph)
            else { return false }
            inputs.append(vector)
        }
        graph.rewrite(
            node, as: .fusedMatMul, inputs: inputs,
            attributes: isTransposed ? ["transB": .int(1)] : [:])
        return true
    }

    /// A constant that adds one number to each column, as a vector.
    private func vector(_ value: ValueID, length: Int, in graph: inout Graph) -> ValueID? {
        guard let tensor = graph.constant(value), tensor.elementType == .float32,
            tensor.shape.last == length, tensor.elementCount == length
        else { return nil }
        if tensor.shape.rank == 1 { return value }
        guard let flat = try? tensor.reshaped(to: [length]) else { return nil }
        return graph.addConstant(name: graph.name(of: value) + ".flat", flat)
    }

    private func addBias(at node: NodeID, in graph: inout Graph) -> Bool {
        guard graph.schema(of: node) == .add else { return false }
        for slot in 0..<2 {
            guard let product = graph.input(slot, of: node), graph.hasSingleUse(product),
                let before = graph.producer(of: product),
                [.fusedMatMul, .quantizedMatMul, .blockMatMul].contains(graph.schema(of: before)),
                graph.isFloat32(product), graph.input(2, of: before) == nil,
                graph.input(3, of: before) == nil,
                graph.attribute("activation", of: before) == nil,
                let shape = graph.dimensions(of: product), let length = shape.last?.fixed,
                let bias = graph.input(1 - slot, of: node),
                graph.rank(of: bias).map({ $0 <= shape.count }) == true,
                let vector = vector(bias, length: length, in: &graph)
            else { continue }
            graph.rewrite(
                node, as: graph.schema(of: before),
                inputs: Epilogue.inputs(of: before, at: 2, vector, in: graph),
                attributes: graph.attributes[Int(before.index)])
            graph.removeNode(before)
            return true
        }
        return false
    }
}

/// What the fused matrix product and the fused convolution take in alike.
enum Epilogue {
    /// Add(fused, other of the same shape) becomes the fused node's residual.
    static func addResidual(
        at node: NodeID, to fused: OperatorSchema, in graph: inout Graph
    ) -> Bool {
        let schema = graph.schema(of: node)
        guard schema == .add || schema == .sum, graph.inputs(of: node).count == 2 else {
            return false
        }
        for slot in [1, 0] {
            guard let product = graph.input(slot, of: node), graph.hasSingleUse(product),
                let before = graph.producer(of: product, is: fused),
                graph.input(3, of: before) == nil,
                graph.attribute("activation", of: before) == nil,
                let other = graph.input(1 - slot, of: node), other != product,
                let shape = graph.dimensions(of: product), graph.dimensions(of: other) == shape,
                graph.type(of: other).elementType == graph.type(of: product).elementType
            else { continue }
            graph.rewrite(
                node, as: fused, inputs: inputs(of: before, at: 3, other, in: graph),
                attributes: graph.attributes[Int(before.index)])
            graph.removeNode(before)
            return true
        }
        return false
    }

    /// A node's inputs with one more.
    static func inputs(
        of node: NodeID, at slot: Int, _ value: ValueID, in graph: Graph
    ) -> [ValueID?] {
        var inputs = graph.inputs(of: node)
        while inputs.count <= slot { inputs.append(nil) }
        inputs[slot] = value
        return inputs
    }

    /// An activation after the fused node becomes its own.
    static func addActivation(
        at node: NodeID, to fused: OperatorSchema, in graph: inout Graph
    ) -> Bool {
        guard let data = graph.input(0, of: node), graph.hasSingleUse(data),
            let before = graph.producer(of: data, is: fused), graph.isFloat32(data),
            graph.attribute("activation", of: before) == nil,
            let activation = activation(of: node, in: graph)
        else { return false }
        let attributes = graph.attributes[Int(before.index)]
            .merging(activation.attributes) { $1 }
        graph.rewrite(node, as: fused, inputs: graph.inputs(of: before), attributes: attributes)
        graph.removeNode(before)
        return true
    }

    /// The activation that a node is, where it can be fused.
    static func activation(of node: NodeID, in graph: Graph) -> FusedActivation? {
        func number(_ name: String, _ fallback: Float) -> Float {
            graph.attribute(name, of: node)?.float ?? fallback
        }
        switch graph.schema(of: node) {
        case .relu: return .relu
        case .sigmoid: return .sigmoid
        case .tanh: return .tanh
        case .hardSwish: return .hardSwish
        case .gelu:
            return graph.attribute("approximate", of: node)?.string == "tanh" ? .geluTanh : .gelu
        case .swish: return number("alpha", 1) == 1 ? .silu : nil
        case .leakyRelu: return .leakyRelu(slope: number("alpha", 0.01))
        case .hardSigmoid:
            return .hardSigmoid(alpha: number("alpha", 0.2), beta: number("beta", 0.5))
        case .clip:
            let lowest = graph.input(1, of: node)
            let highest = graph.input(2, of: node)
            let minimum = graph.scalar(lowest) ?? -Double(Float.greatestFiniteMagnitude)
            let maximum = graph.scalar(highest) ?? Double(Float.greatestFiniteMagnitude)
            guard lowest == nil || graph.scalar(lowest) != nil,
                highest == nil || graph.scalar(highest) != nil
            else { return nil }
            return .clip(minimum: Float(minimum), maximum: Float(maximum))
        default: return nil
        }
    }
}
