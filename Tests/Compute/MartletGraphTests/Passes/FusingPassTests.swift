// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Fold batch norm")
struct FoldBatchNormTests {
    /// conv then batch normalisation with scale 2, bias 1, mean 3, variance 4: x · 1 - 2.
    private func graph(readTwice: Bool = false) throws -> Graph {
        var graph = Graph(name: "g")
        let x = graph.input("x", 1, 1, 3, 3)
        let w = try graph.counting("w", [1, 1, 1, 1])
        let conv = graph.apply(.conv, x, w, name: "conv")
        func one(_ value: Float) throws -> ValueID {
            graph.addConstant(name: "p\(value)", try Tensor([value]))
        }
        let normal = graph.apply(
            .batchNormalization, conv, try one(2), try one(1), try one(3), try one(4), name: "bn",
            attributes: ["epsilon": .float(0)])
        graph.outputs = [normal] + (readTwice ? [conv] : [])
        return graph
    }

    @Test("into the weights before it")
    func folds() throws {
        var graph = try graph()
        try graph.inferShapes()
        try PassPipeline([FoldBatchNorm()], verifies: true).run(on: &graph)
        #expect(graph.nodes.map { graph.schema(of: $0).name } == ["Conv"])
        #expect(try graph.floats(named: "conv.out.weights") == [1])
        #expect(try graph.floats(named: "conv.out.bias") == [-2])
        #expect(graph.outputs.map { graph.name(of: $0) } == ["bn.out"])
    }

    @Test("not where the convolution is read elsewhere: a scale and shift then")
    func readTwice() throws {
        #expect(
            try nodes(after: FoldBatchNorm(), of: graph(readTwice: true)).last
                == "bn.out: float32[1, 1, 3, 3] = martlet.ScaleShift(conv.out, bn.out.scale, bn.out.shift)"
        )
    }

    @Test("products and sums by channel follow, those by place do not")
    func byChannel() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 1, 1, 2, 2)
        let conv = graph.apply(.conv, x, try graph.counting("w", [2, 1, 1, 1]), name: "conv")
        let scaled = graph.apply(.mul, conv, try graph.counting("s", [1, 2, 1, 1]), name: "scaled")
        let moved = graph.apply(.add, try graph.counting("t", [2, 1, 1]), scaled, name: "moved")
        graph.outputs = [graph.apply(.mul, moved, try graph.counting("place", [2, 2]), name: "y")]
        var copy = graph
        try copy.inferShapes()
        try PassPipeline([FoldBatchNorm()], verifies: true).run(on: &copy)
        #expect(copy.nodes.map { copy.schema(of: $0).name } == ["Conv", "Mul"])
        let conv2 = try #require(copy.nodes.map { $0 }.first)
        let weights = try #require(copy.input(1, of: conv2))
        #expect(try copy.constant(weights)?.elements(as: Float.self) == [1, 4])
    }
}

@Suite("Recover layer norm")
struct RecoverLayerNormTests {
    private func graph(axis: Int64 = -1, epsilonIn sum: Bool = true) throws -> Graph {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, seq, 4)
        let axes = try graph.ints(axis)
        let mean = graph.apply(.reduceMean, x, axes)
        let centred = graph.apply(.sub, x, mean)
        let square = graph.apply(.pow, centred, try graph.number(2))
        var variance = graph.apply(.reduceMean, square, axes)
        if sum { variance = graph.apply(.add, variance, try graph.number(0.5)) }
        let normal = graph.apply(.div, centred, graph.apply(.sqrt, variance), name: "div")
        let scaled = graph.apply(.mul, normal, try graph.counting("gamma", [4]), name: "scaled")
        graph.outputs = [graph.apply(.add, scaled, try graph.counting("beta", [4]), name: "y")]
        return graph
    }

    @Test("the form that torch writes")
    func recovers() throws {
        #expect(
            try nodes(after: RecoverLayerNorm(), of: graph()) == [
                "y.out: float32[batch, seq, 4] = LayerNormalization(x, gamma, beta) {axis=-1, epsilon=0.5}"
            ])
    }

    @Test("not over another axis, nor without epsilon")
    func keeps() throws {
        #expect(try nodes(after: RecoverLayerNorm(), of: graph(axis: 1)).count == 9)
        #expect(try nodes(after: RecoverLayerNorm(), of: graph(epsilonIn: false)).count == 8)
    }

    @Test("scale and bias stay apart where the normalised value is an output")
    func isOutput() throws {
        var graph = try graph()
        let division = try #require(graph.nodes.first { graph.schema(of: $0) == .div })
        graph.outputs.append(try #require(graph.output(0, of: division)))
        let lines = try nodes(after: RecoverLayerNorm(), of: graph)
        #expect(lines.count == 3)
        #expect(lines[0].hasPrefix("div.out: float32[batch, seq, 4] = LayerNormalization(x, "))
    }
}

@Suite("Recover GELU")
struct RecoverGeluTests {
    @Test("the erf form in each order of its factors")
    func erf() throws {
        for order in 0..<3 {
            var graph = Graph(name: "g")
            let x = graph.input("x", batch, 4)
            let scaled = graph.apply(.div, x, try graph.number(1.4142135))
            let sum = graph.apply(.add, graph.apply(.erf, scaled), try graph.number(1))
            let half = try graph.number(0.5)
            let y =
                switch order {
                case 0: graph.apply(.mul, graph.apply(.mul, x, sum), half, name: "y")
                case 1: graph.apply(.mul, x, graph.apply(.mul, sum, half), name: "y")
                default: graph.apply(.mul, graph.apply(.mul, x, half), sum, name: "y")
                }
            graph.outputs = [y]
            #expect(
                try nodes(after: RecoverGelu(), of: graph) == ["y.out: float32[batch, 4] = Gelu(x)"]
            )
        }
    }

    @Test("the tanh form")
    func tanh() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 4)
        let cube = graph.apply(
            .mul, graph.apply(.pow, x, try graph.number(3)), try graph.number(0.044715))
        let inner = graph.apply(.mul, graph.apply(.add, x, cube), try graph.number(0.79788456))
        let sum = graph.apply(.add, graph.apply(.tanh, inner), try graph.number(1))
        graph.outputs = [
            graph.apply(.mul, graph.apply(.mul, x, try graph.number(0.5)), sum, name: "y")
        ]
        #expect(
            try nodes(after: RecoverGelu(), of: graph)
                == ["y.out: float32[batch, 4] = Gelu(x) {approximate=\"tanh\"}"])
    }

    @Test("not with another constant, another x, or a part that is read elsewhere")
    func keeps() throws {
        func count(root: Float = 1.4142135, sameX: Bool = true, isRead: Bool = false) throws -> Int
        {
            var graph = Graph(name: "g")
            let x = graph.input("x", 2, 4)
            let z = graph.input("z", 2, 4)
            let scaled = graph.apply(.div, x, try graph.number(root))
            let sum = graph.apply(.add, graph.apply(.erf, scaled), try graph.number(1), name: "sum")
            let product = graph.apply(.mul, sameX ? x : z, sum)
            graph.outputs = [graph.apply(.mul, product, try graph.number(0.5), name: "y")]
            if isRead { graph.outputs.append(sum) }
            return try nodes(after: RecoverGelu(), of: graph).count
        }
        #expect(try count() == 1)
        #expect(try count(root: 1.5) == 5)
        #expect(try count(sameX: false) == 5)
        #expect(try count(isRead: true) == 5)
    }

    @Test("gates of their own input")
    func gates() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 4)
        graph.outputs = [graph.apply(.mul, x, graph.apply(.sigmoid, x), name: "y")]
        #expect(
            try nodes(after: RecoverGelu(), of: graph) == [
                "y.out: float32[4] = Swish(x) {alpha=1.0}"
            ])
    }
}

@Suite("Fuse epilogues")
struct FuseEpilogueTests {
    @Test("bias, residual and activation of a product")
    func matMul() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, seq, 4)
        let r = graph.input("r", batch, seq, 2)
        let product = graph.apply(.matMul, x, try graph.counting("w", [4, 2]))
        let biased = graph.apply(.add, try graph.counting("b", [2]), product)
        let sum = graph.apply(.add, biased, r)
        graph.outputs = [graph.apply(.gelu, sum, name: "y")]
        #expect(
            try nodes(after: FuseMatMulEpilogue(), of: graph) == [
                "y.out: float32[batch, seq, 2] = martlet.FusedMatMul(x, w, b, r) {activation=\"Gelu\"}"
            ])
    }

    @Test("Gemm keeps its transposition, and stays where alpha is not one")
    func gemm() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 4)
        let w = try graph.counting("w", [2, 4])
        let b = try graph.counting("b", [1, 2])
        let first = graph.apply(.gemm, x, w, b, name: "first", attributes: ["transB": .int(1)])
        let second = graph.apply(
            .gemm, x, w, name: "second", attributes: ["transB": .int(1), "alpha": .float(2)])
        graph.outputs = [first, second]
        #expect(
            try nodes(after: FuseMatMulEpilogue(), of: graph) == [
                "first.out: float32[batch, 2] = martlet.FusedMatMul(x, w, b.flat) {transB=1}",
                "second.out: float32[batch, 2] = Gemm(x, w) {alpha=2.0, transB=1}",
            ])
    }

    @Test("nothing that broadcasts, is read elsewhere, or is not constant is taken in")
    func keeps() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 2)
        let v = graph.input("v", 2, 2)
        let w = try graph.counting("w", [2, 2])
        let wide = graph.input("wide", 7, 1, 2)
        let read = graph.apply(.matMul, x, w, name: "read")
        let broadcast = graph.apply(.add, graph.apply(.matMul, x, w), wide, name: "broadcast")
        graph.outputs = [
            read, graph.apply(.relu, read, name: "relu"), broadcast,
            graph.apply(.relu, graph.apply(.matMul, x, v), name: "dynamic"),
        ]
        let lines = try nodes(after: FuseMatMulEpilogue(), of: graph)
        #expect(lines.filter { $0.contains("Relu(") }.count == 2)
        #expect(lines.filter { $0.contains(" = Add(") }.count == 1)
        #expect(lines.filter { $0.contains(" = MatMul(") }.count == 1)
    }

    @Test("residual and activation of a convolution")
    func convolution() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 1, 2, 4, 4)
        let conv = graph.apply(.conv, x, try graph.counting("w", [2, 2, 1, 1]))
        let sum = graph.apply(.sum, conv, x)
        graph.outputs = [
            graph.apply(.clip, sum, try graph.number(0), try graph.number(6), name: "y")
        ]
        #expect(
            try nodes(after: FuseConvEpilogue(), of: graph) == [
                "y.out: float32[1, 2, 4, 4] = martlet.FusedConv(x, w, _, x) "
                    + "{activation=\"Clip\", activationMax=6.0, activationMin=0.0}"
            ])
    }

    @Test("an addition goes into the layer normalisation after it, unless it is read elsewhere")
    func skipLayerNorm() throws {
        for isRead in [false, true] {
            var graph = Graph(name: "g")
            let x = graph.input("x", batch, 4)
            let r = graph.input("r", batch, 4)
            let sum = graph.apply(.add, x, r, name: "sum")
            let y = graph.apply(.layerNormalization, sum, try graph.counting("g", [4]), name: "y")
            graph.outputs = isRead ? [y, sum] : [y]
            let lines = try nodes(after: FuseSkipLayerNorm(), of: graph)
            #expect(lines.count == (isRead ? 2 : 1))
        }
    }
}
