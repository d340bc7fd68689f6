// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Convert layout")
struct ConvertLayoutTests {
    private func conv(
        _ graph: inout Graph, _ x: ValueID, _ name: String, residual: ValueID? = nil
    ) throws -> ValueID {
        let w = try graph.counting("w" + name, [2, 2, 1, 1])
        return graph.apply(.fusedConv, x, w, nil, residual, name: name)
    }

    @Test("transpositions stay at the edges of a region")
    func region() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 2, 4, 6)
        let first = try conv(&graph, x, "a")
        let pooled = graph.apply(
            .maxPool, first, name: "pool", attributes: ["kernel_shape": .ints([1, 1])])
        let second = try conv(&graph, pooled, "b", residual: pooled)
        let joined = graph.apply(
            .concat, second, pooled, name: "join", attributes: ["axis": .int(1)])
        let active = graph.apply(.relu, joined, name: "relu")
        let scaled = graph.apply(.mul, active, try graph.counting("s", [4, 1, 1]), name: "scaled")
        graph.outputs = [graph.apply(.softmax, scaled, name: "y", attributes: ["axis": .int(1)])]
        let lines = try nodes(after: ConvertLayout(), EliminateTransposes(), of: graph)
        let expected = """
            x.nhwc: float32[batch, 4, 6, 2] = Transpose(x) {perm=[0, 2, 3, 1]}
            a.out.nhwc: float32[batch, 4, 6, 2] = martlet.FusedConv(x.nhwc, wa, _, _) \
            {layout="NHWC"}
            pool.out.nhwc: float32[batch, 4, 6, 2] = MaxPool(a.out.nhwc) {kernel_shape=[1, 1], \
            layout="NHWC"}
            b.out.nhwc: float32[batch, 4, 6, 2] = martlet.FusedConv(pool.out.nhwc, wb, _, \
            pool.out.nhwc) {layout="NHWC"}
            join.out.nhwc: float32[batch, 4, 6, 4] = Concat(b.out.nhwc, pool.out.nhwc) {axis=3}
            relu.out.nhwc: float32[batch, 4, 6, 4] = Relu(join.out.nhwc)
            scaled.out.nhwc: float32[batch, 4, 6, 4] = Mul(relu.out.nhwc, s.last)
            scaled.out: float32[batch, 4, 4, 6] = Transpose(scaled.out.nhwc) {perm=[0, 3, 1, 2]}
            y.out: float32[batch, 4, 4, 6] = Softmax(scaled.out) {axis=1}
            """
        #expect(lines.joined(separator: "\n") == expected)
    }

    @Test("a channel shuffle moves the last axis")
    func shuffle() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 1, 2, 4, 6)
        let first = try conv(&graph, x, "a")
        let split = graph.apply(.reshape, first, try graph.ints(1, 2, 1, 4, 6))
        let exchanged = graph.apply(
            .transpose, split, attributes: ["perm": .ints([0, 2, 1, 3, 4])])
        let shuffled = graph.apply(.reshape, exchanged, try graph.ints(1, 2, 4, 6), name: "s")
        graph.outputs = [try conv(&graph, shuffled, "b")]
        let lines = try nodes(after: ConvertLayout(), of: graph)
        #expect(lines.count == 7)
        #expect(lines[2].contains("float32[1, 4, 6, 2, 1] = Reshape(a.out.nhwc"))
        #expect(lines[3].contains("float32[1, 4, 6, 1, 2] = Transpose("))
        #expect(lines[4].hasPrefix("s.out.nhwc: float32[1, 4, 6, 2] = Reshape("))
    }

    @Test("a pointwise convolution reads past a shuffle, and a depthwise one between them too")
    func absorbedShuffle() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 1, 4, 3, 5)
        let split = graph.apply(.reshape, x, try graph.ints(1, 2, 2, 3, 5))
        let exchanged = graph.apply(
            .transpose, split, attributes: ["perm": .ints([0, 2, 1, 3, 4])])
        let shuffled = graph.apply(.reshape, exchanged, try graph.ints(1, 4, 3, 5), name: "s")
        let depthwise = graph.apply(
            .fusedConv, shuffled, try graph.counting("wd", [4, 1, 1, 2]),
            try graph.counting("bd", [4]), name: "d",
            attributes: ["group": .int(4), "pads": .ints([0, 0, 0, 1])])
        let last = graph.apply(
            .fusedConv, depthwise, try graph.counting("wp", [2, 2, 1, 1]), name: "p",
            attributes: ["group": .int(2)])
        graph.outputs = [last]
        try graph.inferShapes()
        try PassPipeline([AbsorbShuffles()], verifies: true).run(on: &graph)
        let lines = graph.dump().split(separator: "\n").filter { $0.contains("FusedConv(") }
        #expect(Array(graph.nodes).count == 2)
        #expect(lines.first?.contains("FusedConv(x, wd.unshuffled, bd.unshuffled") == true)
        #expect(lines.last?.contains("group=2, in_shuffle=2") == true)
        // Before the shuffle the channels lie 0, 2, 1, 3.
        #expect(try graph.floats(named: "wd.unshuffled") == [1, 2, 5, 6, 3, 4, 7, 8])
        #expect(try graph.floats(named: "bd.unshuffled") == [1, 3, 2, 4])
    }

    @Test("graphs without convolutions, and constants by place, stay as they are")
    func keeps() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 1, 2, 4, 4)
        graph.outputs = [
            graph.apply(.maxPool, x, name: "y", attributes: ["kernel_shape": .ints([2, 2])])
        ]
        #expect(try nodes(after: ConvertLayout(), of: graph).count == 1)
        let added = graph.apply(
            .add, try conv(&graph, x, "a"), try graph.counting("p", [4, 4]), name: "sum")
        graph.outputs = [added]
        let lines = try nodes(after: ConvertLayout(), of: graph)
        #expect(lines.last == "sum.out: float32[1, 2, 4, 4] = Add(a.out, p)")
        #expect(try nodes(after: ConvertLayout(anchors: []), of: graph).count == 3)
    }

    @Test("a graph output keeps its form and name")
    func output() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 1, 2, 4, 6)
        graph.outputs = [try conv(&graph, x, "a")]
        #expect(
            try nodes(after: ConvertLayout(), of: graph).last
                == "a.out: float32[1, 2, 4, 6] = Transpose(a.out.nhwc) {perm=[0, 3, 1, 2]}")
    }
}

@Suite("Eliminate transposes")
struct EliminateTransposesTests {
    private func transposed(
        _ graph: inout Graph, _ value: ValueID, _ order: Int64..., name: String = ""
    ) -> ValueID {
        graph.apply(.transpose, value, name: name, attributes: ["perm": .ints(order)])
    }

    @Test("those that undo each other go, others join")
    func joins() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 2, 3, 4)
        let there = transposed(&graph, x, 1, 2, 0)
        let back = transposed(&graph, there, 2, 0, 1)
        let further = transposed(&graph, there, 1, 0, 2, name: "z")
        graph.outputs = [graph.apply(.relu, back, name: "y"), further]
        #expect(
            try nodes(after: EliminateTransposes(), of: graph) == [
                "z.out: float32[4, 3, 2] = Transpose(x) {perm=[2, 1, 0]}",
                "y.out: float32[2, 3, 4] = Relu(x)",
            ])
    }

    @Test("axes of size 1 move by a reshape")
    func reshapes() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 1, 1, 8)
        graph.outputs = [transposed(&graph, x, 0, 3, 1, 2, name: "y")]
        #expect(
            try nodes(after: EliminateTransposes(), of: graph)
                == ["y.out: float32[batch, 8, 1, 1] = Reshape(x, y.out.shape)"])
        var other = Graph(name: "g")
        let z = other.input("z", batch, 1, seq, 8)
        other.outputs = [transposed(&other, z, 0, 3, 1, 2, name: "y")]
        #expect(try nodes(after: EliminateTransposes(), of: other)[0].contains("Transpose"))
    }
}
