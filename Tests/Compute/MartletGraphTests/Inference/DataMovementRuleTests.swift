// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Shape rules of data movement")
struct DataMovementRuleTests {
    @Test("slices, with ends beyond the data, negative steps and symbols")
    func slice() throws {
        #expect(try inferred(.slice, .f(10), .ints([2]), .ints([5])) == ["float32[3]"])
        #expect(try inferred(.slice, .f(10), .ints([-3]), .ints([.max])) == ["float32[3]"])
        #expect(try inferred(.slice, .f(10), .ints([5]), .ints([2])) == ["float32[0]"])
        let backwards = try inferred(
            .slice, .f(10), .ints([.max]), .ints([.min]), .ints([0]), .ints([-3]))
        #expect(backwards == ["float32[4]"])
        #expect(try inferred(.slice, .f(batch), .ints([1]), .ints([-1])) == ["float32[batch-2]"])
        #expect(try inferred(.slice, .f(batch), .ints([0]), .ints([.max])) == ["float32[batch]"])
        let values = try inferred(
            .slice, .ints([1, 2, 3, 4]), .ints([3]), .ints([.min]), .ints([0]), .ints([-2]))
        #expect(values == ["int64[2] = [4, 2]"])
        #expect(throws: GraphError.self) {
            try inferred(.slice, .f(4), .ints([0]), .ints([4]), .ints([0]), .ints([0]))
        }
        #expect(throws: GraphError.self) {
            try inferred(.slice, .f(4, 4), .ints([0, 0]), .ints([4, 4]), .ints([0, 0]))
        }
    }

    @Test("concatenation adds up, splitting divides")
    func concatAndSplit() throws {
        #expect(
            try inferred(.concat, .f(batch, 2), .f(batch, 3), attributes: ["axis": .int(-1)])
                == ["float32[batch, 5]"])
        #expect(
            try inferred(.concat, .f(batch, 2), .f(seq, 2), attributes: ["axis": .int(0)])
                == ["float32[batch+seq, 2]"])
        #expect(
            try inferred(.concat, .ints([1]), .ints([2, 3]), attributes: ["axis": .int(0)])
                == ["int64[3] = [1, 2, 3]"])
        #expect(throws: GraphError.self) {
            try inferred(.concat, .f(2, 2), .f(3, 3), attributes: ["axis": .int(0)])
        }
        #expect(throws: GraphError.self) { try inferred(.concat, .f(2), .f(2)) }
        #expect(
            try inferred(.split, .f(7, 2), attributes: ["num_outputs": .int(3)], outputs: 3)
                == ["float32[3, 2]", "float32[3, 2]", "float32[1, 2]"])
        #expect(
            try inferred(.split, .ints([1, 2, 3]), .ints([1, 2]), outputs: 2)
                == ["int64[1] = [1]", "int64[2] = [2, 3]"])
        #expect(throws: GraphError.self) {
            try inferred(.split, .f(7), .ints([3, 3]), outputs: 2)
        }
    }

    @Test("gathering puts the indices' shape in the axis' place")
    func gather() throws {
        #expect(
            try inferred(.gather, .f(100, 8), .i(batch, seq)) == ["float32[batch, seq, 8]"])
        #expect(try inferred(.gather, .ints([5, 6, 7]), .scalar(-1)) == ["int64[] = [7]"])
        #expect(try inferred(.gatherND, .f(2, 3, 4), .i(5, 2)) == ["float32[5, 4]"])
        #expect(throws: GraphError.self) { try inferred(.gather, .ints([5]), .scalar(1)) }
        #expect(throws: GraphError.self) {
            try inferred(.gather, .f(4), .i(2), attributes: ["axis": .int(1)])
        }
    }

    @Test("padding, tiling and resizing")
    func sizes() throws {
        #expect(try inferred(.pad, .f(2, batch), .ints([0, 1, 3, 1])) == ["float32[5, batch+2]"])
        #expect(throws: GraphError.self) { try inferred(.pad, .f(2), .ints([-2, -1])) }
        #expect(try inferred(.tile, .f(2, batch), .ints([3, 2])) == ["float32[6, 2·batch]"])
        #expect(
            try inferred(.resize, .f(1, 3, 5, batch), .absent, .floats([1, 1, 2, 2]))
                == ["float32[1, 3, 10, 2·batch]"])
        #expect(
            try inferred(.resize, .f(1, 3, 5, 5), .absent, .absent, .ints([1, 3, 7, 9]))
                == ["float32[1, 3, 7, 9]"])
        #expect(throws: GraphError.self) { try inferred(.resize, .f(1, 3, 5, 5)) }
        #expect(
            try inferred(.depthToSpace, .f(1, 8, 2, 3), attributes: ["blocksize": .int(2)])
                == ["float32[1, 2, 4, 6]"])
    }

    @Test("reductions and selections")
    func reductions() throws {
        #expect(try inferred(.reduceMean, .f(batch, 4, 5), .ints([-1])) == ["float32[batch, 4, 1]"])
        #expect(
            try inferred(.reduceSum, .f(batch, 4), attributes: ["keepdims": .int(0)])
                == ["float32[]"])
        #expect(
            try inferred(.reduceProd, .ints([2, 3, 4]), attributes: ["keepdims": .int(0)])
                == ["int64[] = [24]"])
        #expect(
            try inferred(.argMax, .f(batch, 4), attributes: ["axis": .int(1)])
                == ["int64[batch, 1]"])
        #expect(
            try inferred(.topK, .f(batch, 9), .ints([3]), outputs: 2)
                == ["float32[batch, 3]", "int64[batch, 3]"])
        #expect(throws: GraphError.self) { try inferred(.topK, .f(2), .ints([3]), outputs: 2) }
        #expect(throws: GraphError.self) { try inferred(.reduceMean, .f(2), .ints([1])) }
    }

    @Test("shape arithmetic of exports is followed through symbols")
    func shapeArithmetic() throws {
        #expect(try inferred(.shape, .f(batch, 3)) == ["int64[2] = [batch, 3]"])
        #expect(try inferred(.size, .f(batch, 3)) == ["int64[] = [3·batch]"])
        #expect(
            try inferred(.expand, .ints([1]), .ints([2, 3])) == ["int64[2, 3] = [1, 1, 1, 1, 1, 1]"]
        )
        #expect(
            try inferred(.range, .scalar(0), .scalar(3), .scalar(1)) == ["int64[3] = [0, 1, 2]"])
        #expect(throws: GraphError.self) {
            try inferred(.range, .scalar(0), .scalar(3), .scalar(0))
        }
        var graph = Graph(name: "expand")
        let x = graph.input("x", batch, 3)
        let sizes = graph.apply(.shape, x)
        let isUnset = graph.apply(.equal, sizes, try graph.ints(-1, -1))
        let chosen = graph.apply(.where, isUnset, try graph.ints(1, 1), sizes, name: "chosen")
        graph.outputs = [chosen]
        #expect(try ShapeInference(graph).run().value(of: chosen)?.description == "[batch, 3]")
    }

    @Test("einsum")
    func einsum() throws {
        let equation: [String: AttributeValue] = ["equation": .string("bhid, bhjd -> bhij")]
        #expect(
            try inferred(.einsum, .f(batch, 2, seq, 8), .f(batch, 2, 5, 8), attributes: equation)
                == ["float32[batch, 2, seq, 5]"])
        #expect(
            try inferred(
                .einsum, .f(batch, 3, 4), .f(4, 5), attributes: ["equation": .string("...ij,jk")])
                == ["float32[batch, 3, 5]"])
        for bad in ["ij,jk->iz", "ij", "i..j,jk", "......ij,jk", "ij,jk->i->j", "éj,jk"] {
            #expect(throws: GraphError.self) {
                try inferred(.einsum, .f(2, 3), .f(3, 4), attributes: ["equation": .string(bad)])
            }
        }
    }
}

@Suite("Shape inference")
struct ShapeInferenceTests {
    private func graph() throws -> Graph {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 4)
        let product = graph.apply(.matMul, x, try graph.counting("w", [4, 6]))
        graph.outputs = [graph.apply(.reshape, product, try graph.ints(0, 2, 3), name: "y")]
        return graph
    }

    @Test("concrete inputs make every shape concrete")
    func concrete() throws {
        let graph = try graph()
        let inference = ShapeInference(graph)
        #expect(try inference.run(inputShapes: [[5, 4]]).shape(of: graph.outputs[0]) == [5, 2, 3])
        #expect(try inference.run(inputShapes: [[0, 4]]).shape(of: graph.outputs[0]) == [0, 2, 3])
        #expect(
            try inference.run().type(of: graph.outputs[0]).description == "float32[batch, 2, 3]")
    }

    @Test("inputs that do not fit are named with both sides")
    func mismatch() throws {
        let inference = ShapeInference(try graph())
        for (shapes, message) in [
            ([[5, 3]], "input 'x': expected float32[batch, 4], got float32[5, 3]"),
            ([[5]], "input 'x': expected float32[batch, 4], got float32[5]"),
            ([[-1, 4]], "input 'x': expected float32[batch, 4], got float32[-1, 4]"),
            ([], "graph 'g' has 1 inputs, got 0"),
        ] as [([Shape], String)] {
            do throws(GraphError) {
                _ = try inference.run(inputShapes: shapes)
                Issue.record("accepted \(shapes)")
            } catch {
                #expect(error.message == message)
            }
        }
    }

    @Test("a chain of two thousand nodes takes milliseconds")
    func speed() throws {
        var graph = Graph(name: "long")
        var value = graph.input("x", batch, 8)
        for _ in 0..<2000 { value = graph.apply(.relu, value) }
        graph.outputs = [value]
        let inference = ShapeInference(graph)
        let time = try ContinuousClock().measure { _ = try inference.run(inputShapes: [[3, 8]]) }
        #expect(time < .milliseconds(500))
    }
}
