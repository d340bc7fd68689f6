// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Pass pipeline")
struct PassPipelineTests {
    private func doubled() throws -> Graph {
        var graph = Graph(name: "g")
        let x = graph.input("x", 2)
        graph.outputs = [graph.apply(.relu, graph.apply(.identity, x, name: "i"), name: "r")]
        return graph
    }

    @Test("runs each pass that is not switched off and shows the result")
    func switches() throws {
        var graph = try doubled()
        try graph.inferShapes()
        let pipeline = PassPipeline([EliminateNoOps(), MergeCommonNodes()])
        var seen: [String] = []
        var copy = graph
        try pipeline.run(on: &copy) { name, changes, graph in
            seen.append("\(name) \(changes) \(graph.nodeCount)")
        }
        #expect(seen == ["eliminate-no-ops 1 1"])
        var off = pipeline
        off.disabled = ["eliminate-no-ops"]
        try off.run(on: &graph)
        #expect(graph.nodeCount == 2)
    }

    @Test("refuses to switch off what it does not have")
    func unknownName() throws {
        var graph = try doubled()
        let pipeline = PassPipeline([EliminateNoOps()], disabled: ["fuse-everything"])
        #expect(throws: GraphError.self) { try pipeline.run(on: &graph) }
    }
}

@Suite("Drop dead nodes")
struct DropDeadNodesTests {
    @Test("drops chains that nothing reads and optional outputs, and keeps what is read")
    func drops() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 1, 2, 8, 8)
        _ = graph.apply(.relu, graph.apply(.exp, x, name: "dead"), name: "deader")
        let (y, indices) = (graph.addValue(name: "y"), graph.addValue(name: "indices"))
        graph.addNode(
            .maxPool, inputs: [x], outputs: [y, indices],
            attributes: ["kernel_shape": .ints([2, 2])])
        graph.outputs = [y]
        #expect(
            try nodes(after: DropDeadNodes(), of: graph)
                == ["y: float32[1, 2, 7, 7], _ = MaxPool(x) {kernel_shape=[2, 2]}"])
        graph.outputs = [y, indices]
        #expect(
            try nodes(after: DropDeadNodes(), of: graph)[0].hasPrefix(
                "y: float32[1, 2, 7, 7], indices"))
    }
}

@Suite("Eliminate no-ops")
struct EliminateNoOpsTests {
    @Test("removes what keeps type and shape")
    func removes() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 4)
        var value = graph.apply(.cast, x, attributes: ["to": .int(1)])
        value = graph.apply(.reshape, value, try graph.ints(0, 4))
        value = graph.apply(.transpose, value, attributes: ["perm": .ints([0, 1])])
        value = graph.apply(.add, value, try graph.number(0))
        value = graph.apply(.mul, try graph.number(1), value)
        value = graph.apply(.concat, value, attributes: ["axis": .int(0)])
        value = graph.apply(
            .slice, value, try graph.ints(0), try graph.ints(.max), try graph.ints(1))
        graph.outputs = [graph.apply(.relu, value, name: "y")]
        #expect(
            try nodes(after: EliminateNoOps(), of: graph) == ["y.out: float32[batch, 4] = Relu(x)"])
    }

    @Test("keeps what changes something")
    func keeps() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 4)
        graph.outputs = [
            graph.apply(.cast, x, name: "a", attributes: ["to": .int(7)]),
            graph.apply(.sub, try graph.number(0), x, name: "b"),
            graph.apply(.div, try graph.number(1), x, name: "c"),
            graph.apply(.add, x, try graph.counting("zeros", [3, 1, 1]), name: "d"),
            graph.apply(
                .slice, x, try graph.ints(-1), try graph.ints(.min + 1), try graph.ints(1),
                try graph.ints(-1), name: "e"),
            // An output cannot be the graph's input.
            graph.apply(.identity, x, name: "f"),
        ]
        #expect(try nodes(after: EliminateNoOps(), of: graph).count == 6)
    }

    @Test("a reshape reads past the one before it")
    func reshapes() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 2, 6)
        let flat = graph.apply(.reshape, x, try graph.ints(12), name: "flat")
        graph.outputs = [graph.apply(.reshape, flat, try graph.ints(3, 4), name: "y")]
        #expect(
            try nodes(after: EliminateNoOps(), of: graph) == [
                "y.out: float32[3, 4] = Reshape(x, ints)"
            ])
    }
}

@Suite("Merge common nodes")
struct MergeCommonNodesTests {
    @Test("merges equal nodes on equal constants, not those with other attributes")
    func merges() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 2, 4)
        let first = graph.apply(.mul, x, try graph.number(2), name: "first")
        let second = graph.apply(.mul, x, try graph.number(2), name: "second")
        let soft = graph.apply(.softmax, first, name: "s0", attributes: ["axis": .int(0)])
        let other = graph.apply(.softmax, second, name: "s1", attributes: ["axis": .int(1)])
        graph.outputs = [graph.apply(.add, soft, other, name: "y")]
        #expect(
            try nodes(after: MergeCommonNodes(), of: graph) == [
                "first.out: float32[2, 4] = Mul(x, 2.0)",
                "s0.out: float32[2, 4] = Softmax(first.out) {axis=0}",
                "s1.out: float32[2, 4] = Softmax(first.out) {axis=1}",
                "y.out: float32[2, 4] = Add(s0.out, s1.out)",
            ])
    }

    @Test("two graph outputs stay two values")
    func outputs() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 2)
        graph.outputs = [graph.apply(.relu, x, name: "a"), graph.apply(.relu, x, name: "b")]
        #expect(try nodes(after: MergeCommonNodes(), of: graph).count == 2)
    }
}

@Suite("Fold constants")
struct FoldConstantsTests {
    @Test("computes each constant node once and lets its inputs go")
    func folds() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", 4)
        let shape = try graph.ints(4)
        let filled = graph.apply(.constantOfShape, shape, name: "filled")
        let moved = graph.apply(.exp, try graph.counting("w", [4]), name: "moved")
        graph.outputs = [graph.apply(.add, graph.apply(.mul, x, filled), moved, name: "y")]
        var copy = graph
        try copy.inferShapes()
        let pass = FoldConstants { schema, _, inputs, _ in
            schema == .exp ? [try Tensor([9, 9, 9, 9] as [Float])] : nil
        }
        #expect(try pass.run(on: &copy) == 2)
        #expect(copy.constant(shape) == nil)
        #expect(try copy.floats(named: "moved.out") == [9, 9, 9, 9])
        #expect(try copy.floats(named: "filled.out") == [0, 0, 0, 0])
        #expect(copy.compacted().verify().isEmpty)
    }

    @Test("a result of the wrong shape, a failure, or too many bytes leave the node")
    func refuses() throws {
        var graph = Graph(name: "g")
        let w = try graph.counting("w", [100])
        graph.outputs = [graph.apply(.exp, w, name: "y")]
        try graph.inferShapes()
        var copy = graph
        #expect(
            try FoldConstants { _, _, _, _ in [try Tensor([1] as [Float])] }.run(on: &copy) == 0)
        #expect(
            try FoldConstants { _, _, _, _ in throw GraphError(.unsupported, "no") }.run(on: &copy)
                == 0)
        #expect(
            try FoldConstants(bytesMax: 399) { _, _, inputs, _ in inputs.compactMap { $0 } }.run(
                on: &copy) == 0)
        #expect(
            try FoldConstants(bytesMax: 400) { _, _, inputs, _ in inputs.compactMap { $0 } }.run(
                on: &copy) == 1)
    }
}

@Suite("Simplify shapes")
struct SimplifyShapesTests {
    @Test("shape arithmetic of exports becomes constants")
    func reshape() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, seq, 8)
        let h = graph.apply(.relu, x, name: "h")
        let sizes = graph.apply(.shape, h)
        let zero = graph.addConstant(name: "zero", try Tensor([0] as [Int64]))
        let one = graph.addConstant(name: "one", try Tensor([1] as [Int64]))
        let target = graph.apply(
            .concat, graph.apply(.gather, sizes, zero), graph.apply(.gather, sizes, one),
            try graph.ints(2, 4), attributes: ["axis": .int(0)])
        graph.outputs = [graph.apply(.reshape, h, target, name: "y")]
        #expect(
            try nodes(after: SimplifyShapes(), of: graph) == [
                "h.out: float32[batch, seq, 8] = Relu(x)",
                "y.out: float32[batch, seq, 2, 4] = Reshape(h.out, y.out.shape)",
            ])
    }

    @Test("two sizes that nothing states stay computed, from the inputs")
    func keeps() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, seq)
        let h = graph.apply(.relu, x, name: "h")
        let one = graph.addConstant(name: "one", try Tensor([1] as [Int64]))
        let length = graph.apply(.gather, graph.apply(.shape, h), one, name: "length")
        graph.outputs = [
            graph.apply(.range, try graph.ints(0), length, try graph.ints(1), name: "y")
        ]
        let lines = try nodes(after: SimplifyShapes(), DropDeadNodes(), of: graph)
        #expect(lines.first == "Shape_4: int64[2] = Shape(x)")
        #expect(lines.count == 3)
    }
}
