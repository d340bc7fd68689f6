// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Recognises products of 8-bit values: between dequantised tensors, as QLinearMatMul and
/// QLinearConv have them, and with integer sums that are scaled after.
///
/// Runs before constants are folded, which would turn the weights into floats.
public struct RecoverQuantizedProducts: GraphPass {
    public static let name = "recover-quantized-products"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in Array(graph.nodes) where !graph.isDead[Int(node.index)] {
            let isChanged: Bool
            switch graph.schema(of: node) {
            case .matMul, .gemm: isChanged = try recoverProduct(node, in: &graph)
            case .conv: isChanged = try recoverConvolution(node, in: &graph)
            case .qLinearMatMul: isChanged = recoverLinear(node, isConvolution: false, in: &graph)
            case .qLinearConv: isChanged = try recoverLinearConvolution(node, in: &graph)
            case .mul: isChanged = recoverDynamic(node, in: &graph)
            default: isChanged = false
            }
            if isChanged { changes += 1 }
        }
        return changes
    }

    // MARK: Between dequantised tensors

    /// MatMul or Gemm of a dequantised tensor by a dequantised constant matrix.
    private func recoverProduct(_ node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        let isTransposed = graph.attributeInt("transB", of: node, default: 0) != 0
        guard let left = graph.dequantized(graph.input(0, of: node)),
            (graph.rank(of: left.value) ?? 0) >= 2,
            let right = graph.dequantizedConstant(
                graph.input(1, of: node), axis: isTransposed ? 0 : 1),
            let matrix = graph.constant(right.value), matrix.shape.rank == 2,
            graph.attributeInt("transA", of: node, default: 0) == 0,
            (graph.attribute("alpha", of: node)?.float ?? 1) == 1
        else { return false }
        var inputs: [ValueID?] = [left.value, right.value, nil]
        let addend = graph.schema(of: node) == .gemm ? graph.input(2, of: node) : nil
        if addend != nil {
            guard (graph.attribute("beta", of: node)?.float ?? 1) == 1,
                let floats = graph.dequantizedFloats(addend),
                floats.count == matrix.shape[isTransposed ? 0 : 1]
            else { return false }
            inputs[2] = try graph.addFloats(
                floats, shape: [floats.count], name: graph.name(of: node) + ".bias")
        }
        graph.rewrite(
            node, as: .quantizedMatMul, inputs: inputs + [nil] + Self.tail(left, right),
            attributes: isTransposed ? ["transB": .int(1)] : [:])
        return true
    }

    private func recoverConvolution(
        _ node: NodeID, in graph: inout Graph
    ) throws(GraphError) -> Bool {
        guard let left = graph.dequantized(graph.input(0, of: node)),
            let right = graph.dequantizedConstant(graph.input(1, of: node), axis: 0),
            canConvolve(node, right, in: graph)
        else { return false }
        var bias: ValueID?
        if let given = graph.input(2, of: node) {
            guard let floats = graph.dequantizedFloats(given) else { return false }
            bias = try graph.addFloats(
                floats, shape: [floats.count], name: graph.name(of: node) + ".bias")
        }
        graph.rewrite(
            node, as: .quantizedConv,
            inputs: [left.value, right.value, bias, nil] + Self.tail(left, right),
            attributes: graph.attributes[Int(node.index)])
        return true
    }

    /// One group over images.
    private func canConvolve(_ node: NodeID, _ right: QuantizedValue, in graph: Graph) -> Bool {
        graph.attributeInt("group", of: node, default: 1) == 1
            && graph.constant(right.value)?.shape.rank == 4
    }

    private static func tail(_ left: QuantizedValue, _ right: QuantizedValue) -> [ValueID?] {
        [left.scale, left.zero, right.scale, right.zero]
    }

    // MARK: QLinearMatMul, QLinearConv

    private func recoverLinear(
        _ node: NodeID, isConvolution: Bool, bias: ValueID? = nil, in graph: inout Graph
    ) -> Bool {
        let inputs = graph.inputs(of: node)
        guard inputs.count >= 8, let left = inputs[0], let leftScale = inputs[1],
            let right = inputs[3], let rightScale = inputs[4], let matrix = graph.constant(right),
            graph.isByte(left), graph.isByte(right), graph.isSingle(leftScale),
            graph.isSingle(inputs[2]), graph.isSingle(inputs[6]), graph.isSingle(inputs[7]),
            graph.isByte(inputs[7]), let outputScale = inputs[6], let outputZero = inputs[7],
            graph.constant(outputScale) != nil, graph.constant(outputZero) != nil,
            graph.isFloat32(leftScale), graph.isFloat32(rightScale),
            graph.isFloat32(outputScale),
            matrix.shape.rank == (isConvolution ? 4 : 2),
            graph.isConstantVector(rightScale, count: matrix.shape[isConvolution ? 0 : 1]),
            graph.isConstantVector(inputs[5], count: matrix.shape[isConvolution ? 0 : 1]),
            isConvolution || (graph.rank(of: left) ?? 0) >= 2
        else { return false }
        graph.rewrite(
            node, as: isConvolution ? .quantizedConv : .quantizedMatMul,
            inputs: [
                left, right, bias, nil, leftScale, inputs[2], rightScale, inputs[5], outputScale,
                outputZero,
            ], attributes: graph.attributes[Int(node.index)])
        return true
    }

    /// The bias is in units of both scales' product.
    private func recoverLinearConvolution(
        _ node: NodeID, in graph: inout Graph
    ) throws(GraphError) -> Bool {
        guard let right = graph.input(3, of: node), let kernel = graph.constant(right),
            kernel.shape.rank == 4, graph.attributeInt("group", of: node, default: 1) == 1
        else { return false }
        guard let given = graph.input(8, of: node) else {
            return recoverLinear(node, isConvolution: true, in: &graph)
        }
        guard let whole = graph.wholeNumbers(given),
            let left = graph.scalar(graph.input(1, of: node)),
            let scales = graph.constantFloats(graph.input(4, of: node)),
            scales.count == 1 || scales.count == whole.count
        else { return false }
        let floats = whole.enumerated().map { place, number in
            Float(number) * (Float(left) * (scales.count == 1 ? scales[0] : scales[place]))
        }
        let bias = try graph.addFloats(
            floats, shape: [floats.count], name: graph.name(of: node) + ".bias")
        return recoverLinear(node, isConvolution: true, bias: bias, in: &graph)
    }

    // MARK: Sums in integers, scaled after

    /// Mul(Cast(MatMulInteger or ConvInteger), scale or scale · scale).
    private func recoverDynamic(_ node: NodeID, in graph: inout Graph) -> Bool {
        for slot in 0..<2 {
            guard let floats = graph.input(slot, of: node), graph.isFloat32(floats),
                let cast = graph.producer(of: floats, is: .cast),
                let sums = graph.input(0, of: cast), let product = graph.producer(of: sums),
                let factor = graph.input(1 - slot, of: node)
            else { continue }
            let isConvolution = graph.schema(of: product) == .convInteger
            guard isConvolution || graph.schema(of: product) == .matMulInteger else { continue }
            if replace(
                node, product: product, factor: factor, isConvolution: isConvolution, in: &graph)
            {
                return true
            }
        }
        return false
    }

    private func replace(
        _ node: NodeID, product: NodeID, factor: ValueID, isConvolution: Bool,
        in graph: inout Graph
    ) -> Bool {
        guard let left = graph.input(0, of: product), let right = graph.input(1, of: product),
            graph.isByte(left), let matrix = graph.constant(right), graph.isByte(right),
            matrix.shape.rank == (isConvolution ? 4 : 2),
            isConvolution || (graph.rank(of: left) ?? 0) >= 2
        else { return false }
        let columns = matrix.shape[isConvolution ? 0 : 1]
        let leftZero = graph.input(2, of: product)
        let rightZero = graph.input(3, of: product)
        guard leftZero == nil || graph.isSingle(leftZero),
            rightZero == nil || graph.isConstantVector(rightZero, count: columns),
            !isConvolution || graph.attributeInt("group", of: product, default: 1) == 1,
            let (leftScale, rightScale) = scales(
                factor, columns: columns, isConvolution: isConvolution, in: graph)
        else { return false }
        graph.rewrite(
            node, as: isConvolution ? .quantizedConv : .quantizedMatMul,
            inputs: [left, right, nil, nil, leftScale, leftZero, rightScale, rightZero],
            attributes: graph.attributes[Int(product.index)])
        return true
    }

    /// The factor as a number that is computed and a constant; the latter is nil where it is 1.
    private func scales(
        _ factor: ValueID, columns: Int, isConvolution: Bool, in graph: Graph
    ) -> (ValueID, ValueID?)? {
        if let product = graph.producer(of: factor, is: .mul) {
            for slot in 0..<2 {
                guard let computed = graph.input(slot, of: product), graph.isSingle(computed),
                    graph.isFloat32(computed), let fixed = graph.input(1 - slot, of: product),
                    let tensor = graph.constant(fixed), graph.isFloat32(fixed),
                    tensor.elementCount == 1
                        || (!isConvolution && tensor.shape.rank == 1
                            && tensor.elementCount == columns)
                else { continue }
                return (computed, fixed)
            }
        }
        guard graph.isSingle(factor), graph.isFloat32(factor) else { return nil }
        return (factor, nil)
    }
}
