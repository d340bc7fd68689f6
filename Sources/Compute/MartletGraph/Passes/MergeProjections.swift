// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Computes the queries, keys and values of an attention by one product with their matrices side by
/// side.
public struct MergeProjections: GraphPass {
    public static let name = "merge-projections"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in Array(graph.nodes) where graph.schema(of: node) == .attention {
            if try merge(at: node, in: &graph) { changes += 1 }
        }
        return changes
    }

    private func merge(at attention: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        let parts = (0..<3).compactMap { graph.input($0, of: attention) }
        let products = parts.compactMap { part in
            graph.hasSingleUse(part) ? graph.producer(of: part) : nil
        }
        guard products.count == 3, let data = graph.input(0, of: products[0]) else { return false }
        let schema = graph.schema(of: products[0])
        guard schema == .fusedMatMul || schema == .quantizedMatMul,
            products.allSatisfy({ graph.schema(of: $0) == schema }),
            parts.allSatisfy({ graph.isFloat32($0) })
        else { return false }
        let isTransposed = graph.attributeInt("transB", of: products[0], default: 0) != 0
        var weights: [Tensor] = []
        var biases: [[Float]] = []
        for product in products {
            let attributes = graph.attributes[Int(product.index)]
            guard graph.input(0, of: product) == data, graph.input(3, of: product) == nil,
                attributes["activation"] == nil,
                (attributes["transB"]?.int ?? 0 != 0) == isTransposed,
                let matrix = graph.input(1, of: product).flatMap({ graph.constant($0) }),
                weights.first.map({ $0.shape == matrix.shape }) ?? true
            else { return false }
            weights.append(matrix)
            if let bias = graph.input(2, of: product) {
                guard let numbers = graph.constantFloats(bias) else { return false }
                biases.append(numbers)
            }
        }
        guard biases.isEmpty || biases.count == 3,
            let merged = MergeProjections.sideBySide(weights, isTransposed: isTransposed)
        else { return false }
        let name = graph.name(of: parts[0]) + ".merged"
        var inputs: [ValueID?] = [data, graph.addConstant(name: name + ".weights", merged)]
        if !biases.isEmpty {
            let bias = biases.flatMap { $0 }
            inputs.append(try graph.addFloats(bias, shape: [bias.count], name: name + ".bias"))
        }
        if schema == .quantizedMatMul {
            guard let tail = try quantization(of: products, name, in: &graph) else { return false }
            while inputs.count < QuantizedInput.leftScale { inputs.append(nil) }
            inputs += tail
        }
        let output = graph.addValue(name: name)
        graph.addNode(
            schema, name: name, inputs: inputs, outputs: [output],
            attributes: isTransposed ? ["transB": .int(1)] : [:])
        graph.rewrite(
            attention, as: .attention, inputs: [output, nil, nil, graph.input(3, of: attention)],
            attributes: graph.attributes[Int(attention.index)])
        for product in products {
            let old = graph.inputs(of: product).dropFirst()
            graph.removeNode(product)
            for case let value? in old { graph.dropIfUnread(value) }
        }
        return true
    }

    /// What quantised products with one left side have behind their bias, for all columns.
    private func quantization(
        of products: [NodeID], _ name: String, in graph: inout Graph
    ) throws(GraphError) -> [ValueID?]? {
        let scale = graph.input(QuantizedInput.leftScale, of: products[0])
        let zero = graph.input(QuantizedInput.leftZero, of: products[0])
        var scales: [Float] = []
        var zeros: [Int] = []
        for product in products {
            let isTransposed = graph.attributeInt("transB", of: product, default: 0) != 0
            guard graph.input(QuantizedInput.leftScale, of: product) == scale,
                graph.input(QuantizedInput.leftZero, of: product) == zero,
                let matrix = graph.input(1, of: product).flatMap({ graph.constant($0) })
            else { return nil }
            let columns = matrix.shape[isTransposed ? 0 : 1]
            func spread<Number>(_ numbers: [Number]?) -> [Number]? {
                guard let numbers, numbers.count == 1 || numbers.count == columns else {
                    return nil
                }
                return numbers.count == columns
                    ? numbers : Array(repeating: numbers[0], count: columns)
            }
            let ownScale = graph.input(QuantizedInput.rightScale, of: product)
            let ownZero = graph.input(QuantizedInput.rightZero, of: product)
            guard
                let factors = spread(ownScale == nil ? [1] : graph.constantFloats(ownScale)),
                let shifts = spread(ownZero == nil ? [0] : graph.wholeNumbers(ownZero))
            else { return nil }
            scales += factors
            zeros += shifts
        }
        let factors = try graph.addFloats(scales, shape: [scales.count], name: name + ".scales")
        if zeros.allSatisfy({ $0 == 0 }) { return [scale, zero, factors] }
        let isSigned =
            graph.input(1, of: products[0]).flatMap { graph.type(of: $0).elementType } == .int8
        do throws(TensorError) {
            let tensor =
                isSigned
                ? try Tensor(zeros.map { Int8(truncatingIfNeeded: $0) })
                : try Tensor(zeros.map { UInt8(truncatingIfNeeded: $0) })
            return [scale, zero, factors, graph.addConstant(name: name + ".zeros", tensor)]
        } catch {
            throw GraphError(.invalidShape, error.message)
        }
    }

    /// Matrices [K, N] joined to [K, 3·N], or [N, K] to [3·N, K].
    static func sideBySide(_ parts: [Tensor], isTransposed: Bool) -> Tensor? {
        guard let first = parts.first, first.shape.rank == 2,
            [.float32, .int8, .uint8].contains(first.elementType),
            parts.allSatisfy({ $0.elementType == first.elementType })
        else { return nil }
        var shape = first.shape
        let axis = isTransposed ? 0 : 1
        let (size, overflow) = shape[axis].multipliedReportingOverflow(by: parts.count)
        guard !overflow else { return nil }
        shape[axis] = size
        guard let storage = try? TensorStorage(allocating: first.byteCount * parts.count) else {
            return nil
        }
        let rows = isTransposed ? 1 : first.shape[0]
        let rowBytes = rows == 0 ? 0 : first.byteCount / rows
        for row in 0..<rows {
            for (index, part) in parts.enumerated() {
                let target = (row * parts.count + index) * rowBytes
                let source = unsafe UnsafeRawBufferPointer(
                    rebasing: part.bytes[(row * rowBytes)..<((row + 1) * rowBytes)])
                unsafe UnsafeMutableRawBufferPointer(
                    rebasing: storage.mutableBytes[target..<(target + rowBytes)]
                ).copyMemory(from: source)
            }
        }
        return try? Tensor(elementType: first.elementType, shape: shape, storage: storage)
    }
}
