// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Quantised products")
struct QuantizedPassTests {
    private func single(_ graph: inout Graph, _ name: String, _ scale: Float) throws -> ValueID {
        graph.addConstant(name: name, try Tensor([scale], shape: []))
    }

    private func byte(_ graph: inout Graph, _ name: String, _ zero: UInt8) throws -> ValueID {
        graph.addConstant(name: name, try Tensor([zero], shape: []))
    }

    private func bytes(_ graph: inout Graph, _ name: String, _ shape: Shape) throws -> ValueID {
        let count = shape.elementCountChecked ?? 0
        return graph.addConstant(
            name: name, try Tensor((0..<count).map { Int8($0 % 7) - 3 }, shape: shape))
    }

    /// Quantize(Relu?(MatMul(Dequantize(q), Dequantize(w)) + b)).
    private func pair(axis: Int64 = 1, scaleCount: Int = 3, relu: Bool = false) throws -> Graph {
        var graph = Graph(name: "g")
        let q = graph.addInput(
            name: "q", type: ValueType(elementType: .uint8, dimensions: [batch, 4]))
        let (s, z) = (try single(&graph, "s", 0.5), try byte(&graph, "z", 7))
        let w = try bytes(&graph, "w", [4, 3])
        let ws = graph.addConstant(
            name: "ws", try Tensor([Float](repeating: 0.25, count: scaleCount)))
        let (ys, yz) = (try single(&graph, "ys", 2), try byte(&graph, "yz", 0))
        let x = graph.apply(.dequantizeLinear, q, s, z, name: "x")
        let weights = graph.apply(
            .dequantizeLinear, w, ws, name: "weights", attributes: ["axis": .int(axis)])
        var y = graph.apply(.matMul, x, weights, name: "product")
        y = graph.apply(.add, y, try graph.counting("b", [3]), name: "sum")
        if relu { y = graph.apply(.relu, y, name: "relu") }
        graph.outputs = [graph.apply(.quantizeLinear, y, ys, yz, name: "y")]
        return graph
    }

    @Test("a product between Q-DQ pairs becomes one node, with bias and activation")
    func pairs() throws {
        let passes: [any GraphPass] = [
            RecoverQuantizedProducts(), FuseMatMulEpilogue(), FuseRequantization(),
        ]
        var graph = try pair(relu: true)
        try graph.inferShapes()
        try PassPipeline(passes, verifies: true).run(on: &graph)
        let products = graph.dump().split(separator: "\n").map(String.init)
            .filter { $0.contains(" = martlet") }
        let wanted =
            "y.out: uint8[batch, 3] = martlet.QuantizedMatMul(q, w, b, _, s, z, ws, _, ys, yz) "
            + "{activation=\"Relu\"}"
        #expect(products.last == wanted)
    }

    @Test("scales along the depth are no scales of columns: the floats stay")
    func wrongAxis() throws {
        let nodes = try nodes(
            after: RecoverQuantizedProducts(), of: pair(axis: 0, scaleCount: 4))
        #expect(!nodes.contains { $0.contains("Quantized") })
    }

    @Test("dynamic int8, as onnxruntime's quantiser writes it")
    func dynamic() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 4)
        let w = try bytes(&graph, "w", [4, 3])
        let (ws, wz) = (
            try single(&graph, "ws", 0.25),
            graph.addConstant(name: "wz", try Tensor([Int8(2)], shape: []))
        )
        let (q, s, z) = (
            graph.addValue(name: "q"), graph.addValue(name: "s"), graph.addValue(name: "z")
        )
        graph.addNode(.dynamicQuantizeLinear, inputs: [x], outputs: [q, s, z])
        let sums = graph.apply(.matMulInteger, q, w, z, wz, name: "sums")
        let floats = graph.apply(.cast, sums, name: "floats", attributes: ["to": .int(1)])
        let factor = graph.apply(.mul, s, ws, name: "factor")
        graph.outputs = [graph.apply(.mul, floats, factor, name: "y")]
        #expect(
            try nodes(after: RecoverQuantizedProducts(), of: graph).last
                == "y.out: float32[batch, 3] = martlet.QuantizedMatMul(q, w, _, _, s, z, ws, wz)")
    }

    @Test("4-bit weights with scales a block stay 4-bit")
    func blocks() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 32)
        let storage = TensorStorage(byteCount: 64)
        unsafe storage.mutableBytes.initializeMemory(as: UInt8.self, repeating: 0x5a)
        let w = graph.addConstant(
            name: "w", try Tensor(elementType: .int4, shape: [32, 4], storage: storage))
        let scales = try graph.counting("scales", [2, 4])
        let floats = graph.apply(
            .dequantizeLinear, w, scales, name: "floats",
            attributes: ["axis": .int(0), "block_size": .int(16)])
        graph.outputs = [graph.apply(.matMul, x, floats, name: "y")]
        #expect(
            try nodes(after: RecoverBlockProducts(), of: graph).last
                == "y.out: float32[batch, 4] = martlet.BlockMatMul(x, w, _, _, scales) "
                + "{K=32, N=4, block_size=16, transB=0}")
    }

    @Test("the search for places gives the same on one thread and on all")
    func places() throws {
        var graph = Graph(name: "g")
        var x = graph.input("x", batch, 8)
        for index in 0..<3000 {
            x = graph.apply(index % 3 == 0 ? .identity : .relu, x, name: "n\(index)")
        }
        graph.outputs = [x]
        try graph.inferShapes()
        let alone = graph.places(of: EliminateNoOps(), threads: 1)
        #expect(alone.count == 1000)
        #expect(graph.places(of: EliminateNoOps()) == alone)
    }
}
