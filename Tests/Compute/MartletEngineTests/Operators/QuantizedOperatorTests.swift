// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite(.serialized) struct QuantizedOperatorTests {
    /// Runs a graph with all passes, and with none but those that drop nodes.
    private func both(_ graph: Graph, _ inputs: [Tensor]) throws -> (fast: [Tensor], slow: [Tensor])
    {
        var graph = graph
        try graph.inferShapes()
        let slow = EngineOptions(disabledPasses: [
            "recover-quantized-products", "recover-block-products", "fuse-requantization",
            "fuse-matmul-epilogue", "fuse-conv-epilogue", "convert-layout",
        ])
        return (
            try NativeEngineTests.run(NativeEngineTests.load(graph, EngineOptions()), inputs),
            try NativeEngineTests.run(NativeEngineTests.load(graph, slow), inputs)
        )
    }

    private func bytes(_ count: Int, _ shape: Shape, seed: UInt64) throws -> Tensor {
        var generator = SeededRandom(seed: seed)
        return try Tensor(
            (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }, shape: shape)
    }

    private func signed(_ count: Int, _ shape: Shape, seed: UInt64) throws -> Tensor {
        var generator = SeededRandom(seed: seed)
        return try Tensor(
            (0..<count).map { _ in Int8.random(in: -128...127, using: &generator) }, shape: shape)
    }

    /// Bytes that differ by one step at most, and seldom.
    private func expectNear(_ fast: [Tensor], _ slow: [Tensor], _ name: String) throws {
        for (left, right) in zip(fast, slow) {
            #expect(left.shape == right.shape && left.elementType == right.elementType)
            if left.elementType == .float32 {
                let (x, y) = (
                    try left.elements(as: Float.self), try right.elements(as: Float.self)
                )
                let size = y.map { abs($0) }.max() ?? 1
                let worst = zip(x, y).map { abs($0 - $1) }.max() ?? 0
                #expect(worst <= 1e-5 * max(size, 1), "\(name)")
                continue
            }
            let (x, y) = (
                unsafe Array(left.bytes).map { Int($0) }, unsafe Array(right.bytes).map { Int($0) }
            )
            #expect(Set(y).count > 10, "\(name): the answers say nothing")
            let steps = zip(x, y).map { abs($0 - $1) }
            #expect(steps.allSatisfy { $0 <= 1 || $0 == 255 }, "\(name)")
            #expect(steps.count { $0 > 0 } * 100 <= steps.count, "\(name)")
        }
    }

    @Test("a convolution and a sum between Q-DQ pairs agree with floats, in either layout")
    func convolution() throws {
        for isSigned in [false, true] {
            var graph = Graph(name: "cnn")
            let type: ElementType = isSigned ? .int8 : .uint8
            let q = graph.addInput(
                name: "q", type: ValueType(elementType: type, dimensions: [2, 6, 9, 9]))
            func scalar(_ name: String, _ value: Float) throws -> ValueID {
                graph.addConstant(name: name, try Tensor([value], shape: []))
            }
            func zero(_ name: String, _ value: Int) throws -> ValueID {
                graph.addConstant(
                    name: name,
                    try isSigned
                        ? Tensor([Int8(value - 128)], shape: [])
                        : Tensor([UInt8(value)], shape: []))
            }
            let (s, z) = (try scalar("s", 0.02), try zero("z", 120))
            let w = graph.addConstant(name: "w", try signed(6 * 6 * 9, [6, 6, 3, 3], seed: 3))
            let ws = graph.addConstant(
                name: "ws", try Tensor((1...6).map { Float($0) * 0.002 }))
            let b = graph.addConstant(name: "b", try Tensor((0..<6).map { Float($0) - 2 }))
            let (ys, yz) = (try scalar("ys", 0.05), try zero("yz", 128))
            let (rs, rz) = (try scalar("rs", 0.06), try zero("rz", 100))
            let x = graph.apply(.dequantizeLinear, q, s, z)
            let weights = graph.apply(.dequantizeLinear, w, ws, attributes: ["axis": .int(0)])
            let conv = graph.apply(
                .conv, x, weights, b,
                attributes: ["pads": .ints([1, 1, 1, 1]), "kernel_shape": .ints([3, 3])])
            let yq = graph.apply(.quantizeLinear, conv, ys, yz)
            let y = graph.apply(.dequantizeLinear, yq, ys, yz)
            let sum = graph.apply(.add, y, graph.apply(.dequantizeLinear, q, s, z))
            graph.outputs = [yq, graph.apply(.quantizeLinear, sum, rs, rz)]
            let count = 2 * 6 * 81
            let input =
                isSigned
                ? try signed(count, [2, 6, 9, 9], seed: 4)
                : try bytes(count, [2, 6, 9, 9], seed: 4)
            let (fast, slow) = try both(graph, [input])
            try expectNear(fast, slow, "convolution, signed \(isSigned)")
        }
    }

    @Test("dynamic int8 with zero points on both sides agrees with the integer operators")
    func dynamic() throws {
        var graph = Graph(name: "dynamic")
        let (k, n) = (70, 40)
        let x = graph.addInput(
            name: "x",
            type: ValueType(
                elementType: .float32, dimensions: [Dimension(symbol: "batch"), Dimension(k)]))
        let w = graph.addConstant(name: "w", try bytes(k * n, [k, n], seed: 5))
        let ws = graph.addConstant(name: "ws", try Tensor([Float(0.01)], shape: []))
        let wz = graph.addConstant(name: "wz", try Tensor([UInt8(125)], shape: []))
        let (q, s, z) = (
            graph.addValue(name: "q"), graph.addValue(name: "s"), graph.addValue(name: "z")
        )
        graph.addNode(.dynamicQuantizeLinear, inputs: [x], outputs: [q, s, z])
        let sums = graph.apply(.matMulInteger, q, w, z, wz)
        let floats = graph.apply(.cast, sums, attributes: ["to": .int(1)])
        let bias = graph.addConstant(name: "b", try Tensor((0..<n).map { Float($0) }))
        let y = graph.apply(.add, graph.apply(.mul, floats, graph.apply(.mul, s, ws)), bias)
        graph.outputs = [graph.apply(.relu, y)]
        var generator = SeededRandom(seed: 6)
        let input = try Tensor(
            (0..<(33 * k)).map { _ in Float.random(in: -1...2, using: &generator) }, shape: [33, k])
        let (fast, slow) = try both(graph, [input])
        try expectNear(fast, slow, "dynamic")
    }

    @Test("4-bit weights agree with the floats they stand for", arguments: [false, true])
    func blocks(isTransposed: Bool) throws {
        let (k, n, block) = (96, 37, 32)
        var graph = Graph(name: "blocks")
        let x = graph.addInput(
            name: "x",
            type: ValueType(
                elementType: .float32, dimensions: [Dimension(symbol: "batch"), Dimension(k)]))
        func packed(_ count: Int, _ shape: Shape, seed: UInt64) throws -> Tensor {
            let data = try bytes((count + 1) / 2, [(count + 1) / 2], seed: seed)
            return try Tensor(elementType: .uint4, shape: shape, storage: data.storage)
        }
        let shape: Shape = isTransposed ? [n, k] : [k, n]
        let scaleShape: Shape = isTransposed ? [n, k / block] : [k / block, n]
        let w = graph.addConstant(name: "w", try packed(k * n, shape, seed: 7))
        let scales = graph.addConstant(
            name: "s",
            try Tensor((0..<(n * k / block)).map { Float($0 % 9 + 1) * 0.01 }, shape: scaleShape))
        let zeros = graph.addConstant(name: "z", try packed(n * k / block, scaleShape, seed: 8))
        // The same weights stand for other floats where the scales are others.
        let more = graph.addConstant(
            name: "more",
            try Tensor([Float](repeating: 0.03, count: n * k / block), shape: scaleShape))
        graph.outputs = [scales, more].map { scales in
            let floats = graph.apply(
                .dequantizeLinear, w, scales, zeros,
                attributes: ["axis": .int(isTransposed ? 1 : 0), "block_size": .int(Int64(block))])
            return graph.apply(
                .gemm, x, floats, attributes: isTransposed ? ["transB": .int(1)] : [:])
        }
        var generator = SeededRandom(seed: 9)
        for rows in [1, 20] {
            let input = try Tensor(
                (0..<(rows * k)).map { _ in Float.random(in: -1...1, using: &generator) },
                shape: [rows, k])
            let (fast, slow) = try both(graph, [input])
            try expectNear(fast, slow, "blocks")
        }
    }
}
