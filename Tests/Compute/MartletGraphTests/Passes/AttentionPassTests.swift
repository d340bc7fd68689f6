// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Recover attention")
struct RecoverAttentionTests {
    struct Options {
        var axis: Int64 = -1
        var outerOrder: [Int64] = [0, 2, 1, 3]
        var usesKeyTranspose = false
        var mask: Dimension? = 1
        var choosesMask = false
        var readsProbabilities = false
        var divisor: Float = 4
    }

    /// Two heads of size 4 on x[batch, seq, 8], as torch writes it.
    private func graph(_ options: Options = Options()) throws -> Graph {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, seq, 8)
        func projected(_ name: String) throws -> ValueID {
            let product = graph.apply(.matMul, x, try graph.counting("w" + name, [8, 8]))
            let biased = graph.apply(.add, product, try graph.counting("b" + name, [8]), name: name)
            return graph.apply(.reshape, biased, try graph.ints(0, 0, 2, 4))
        }
        func transposed(_ value: ValueID, _ order: [Int64]) -> ValueID {
            graph.apply(.transpose, value, attributes: ["perm": .ints(order)])
        }
        let q = transposed(try projected("q"), [0, 2, 1, 3])
        let kHeads = try projected("k")
        let k =
            options.usesKeyTranspose
            ? transposed(transposed(kHeads, [0, 2, 1, 3]), [0, 1, 3, 2])
            : transposed(kHeads, [0, 2, 3, 1])
        let v = transposed(try projected("v"), [0, 2, 1, 3])
        var scores = graph.apply(.matMul, q, k)
        scores = graph.apply(.div, scores, try graph.number(options.divisor))
        if options.choosesMask {
            let hide = graph.addInput(
                name: "hide", type: ValueType(elementType: .bool, dimensions: [batch, 1, 1, seq]))
            scores = graph.apply(.where, hide, try graph.number(-1e9), scores)
        } else if let size = options.mask {
            scores = graph.apply(.add, scores, graph.input("mask", batch, size, 1, seq))
        }
        let weights = graph.apply(
            .softmax, scores, name: "p", attributes: ["axis": .int(options.axis)])
        let context = transposed(graph.apply(.matMul, weights, v), options.outerOrder)
        let merged = graph.apply(.reshape, context, try graph.ints(0, 0, 8), name: "y")
        graph.outputs = [merged] + (options.readsProbabilities ? [weights] : [])
        return graph
    }

    private func recovered(_ options: Options) throws -> [String] {
        try nodes(after: RecoverAttention(), of: graph(options)).filter { $0.contains("Attention") }
    }

    @Test("with an additive mask, keys transposed in one step or two")
    func recovers() throws {
        let line =
            "y.out: float32[batch, seq, 8] = martlet.Attention(q.out, k.out, v.out, mask) "
            + "{heads=2, scale=0.25}"
        #expect(try recovered(Options()) == [line])
        #expect(try recovered(Options(usesKeyTranspose: true)) == [line])
    }

    @Test("without a mask, and with a chosen constant as the mask")
    func masks() throws {
        #expect(
            try recovered(Options(mask: nil)) == [
                "y.out: float32[batch, seq, 8] = martlet.Attention(q.out, k.out, v.out) "
                    + "{heads=2, scale=0.25}"
            ])
        let chosen = try nodes(after: RecoverAttention(), of: graph(Options(choosesMask: true)))
        #expect(chosen.contains { $0.contains("Where(hide, -1e+09, zero)") })
        #expect(chosen.last?.contains("martlet.Attention(q.out, k.out, v.out, Where_") == true)
    }

    @Test("not over another axis, with other heads, nor where the probabilities are read")
    func keeps() throws {
        #expect(try recovered(Options(axis: 2)).isEmpty)
        #expect(try recovered(Options(outerOrder: [0, 2, 3, 1])).isEmpty)
        #expect(try recovered(Options(readsProbabilities: true)).isEmpty)
    }

    @Test("queries, keys and values come from one product")
    func merges() throws {
        var copy = try graph()
        try copy.inferShapes()
        try PassPipeline(
            [RecoverAttention(), FuseMatMulEpilogue(), MergeProjections()], verifies: true
        ).run(on: &copy)
        let expected = """
            graph "g"
            input x: float32[batch, seq, 8]
            input mask: float32[batch, 1, 1, seq]
            q.out.merged: float32[batch, seq, 24] = martlet.FusedMatMul(x, q.out.merged.weights, \
            q.out.merged.bias)
            y.out: float32[batch, seq, 8] = martlet.Attention(q.out.merged, _, _, mask) {heads=2, \
            scale=0.25}
            output y.out
            """
        let text = copy.dump().split(separator: "\n").filter { !$0.hasPrefix("constant") }
            .joined(separator: "\n")
        #expect(text == expected)
        let weights = try #require(try copy.floats(named: "q.out.merged.weights"))
        // Row 0 of each 8 x 8 matrix, side by side.
        let row: [Float] = [1, 2, 3, 4, 5, 6, 7, 8]
        #expect(Array(weights[0..<24]) == row + row + row)
        #expect(weights[24] == 9)
    }

    @Test("projections of different inputs stay apart")
    func keepsProjections() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, seq, 8)
        let z = graph.input("z", batch, seq, 8)
        var parts: [ValueID] = []
        for (name, source) in [("q", x), ("k", z), ("v", z)] {
            parts.append(
                graph.apply(
                    .fusedMatMul, source, try graph.counting("w" + name, [8, 8]), name: name))
        }
        graph.outputs = [
            graph.apply(
                .attention, parts[0], parts[1], parts[2], name: "y", attributes: ["heads": .int(2)])
        ]
        #expect(try nodes(after: MergeProjections(), of: graph).count == 4)
    }
}
