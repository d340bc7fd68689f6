// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Graph")
struct GraphTests {
    /// y = relu(x · w + b)
    static func small() throws -> (graph: Graph, x: ValueID, y: ValueID) {
        var graph = Graph(name: "small")
        let x = graph.addInput(
            name: "x",
            type: ValueType(elementType: .float32, dimensions: [Dimension(symbol: "batch"), 4]))
        let w = graph.addConstant(
            name: "w", try Tensor([Float](repeating: 1, count: 8), shape: [4, 2]))
        let b = graph.addConstant(name: "b", try Tensor([1, 2] as [Float]))
        let product = graph.apply(.matMul, x, w, name: "product")
        let sum = graph.apply(.add, product, b, name: "sum")
        let y = graph.apply(.relu, sum, name: "y")
        graph.outputs = [y]
        return (graph, x, y)
    }

    @Test("dumps as stable text")
    func dump() throws {
        var (graph, _, _) = try GraphTests.small()
        try graph.inferShapes()
        #expect(
            graph.dump() == """
                graph "small"
                input x: float32[batch, 4]
                constant w: float32[4, 2] = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
                constant b: float32[2] = [1.0, 2.0]
                product.out: float32[batch, 2] = MatMul(x, w)
                sum.out: float32[batch, 2] = Add(product.out, b)
                y.out: float32[batch, 2] = Relu(sum.out)
                output y.out

                """)
        #expect(graph.compacted().dump() == graph.dump())
    }

    @Test("keeps consumers up to date while it is edited")
    func consumers() throws {
        var (graph, x, y) = try GraphTests.small()
        let relu = try #require(graph.producer(of: y))
        let sum = try #require(graph.input(0, of: relu))
        #expect(graph.consumers(of: sum) == [relu])
        graph.setInput(0, of: relu, to: x)
        #expect(graph.consumers(of: sum).isEmpty)
        #expect(graph.consumers(of: x).count == 2)
        graph.removeNode(relu)
        #expect(graph.consumers(of: x).count == 1)
        #expect(graph.producer(of: y) == nil)
    }

    @Test("compacting drops what is dead and restores the order")
    func compacted() throws {
        var (graph, _, y) = try GraphTests.small()
        let relu = try #require(graph.producer(of: y))
        let sum = try #require(graph.input(0, of: relu))
        let gelu = graph.apply(.gelu, sum, name: "late")
        graph.setInput(0, of: relu, to: gelu)
        #expect(graph.verify().map(\.kind) == [.usedBeforeProduced])
        let compact = graph.compacted()
        #expect(compact.verify().isEmpty)
        #expect(
            compact.nodes.map { compact.schema(of: $0).name } == ["MatMul", "Add", "Gelu", "Relu"])
        graph.removeNode(relu)
        graph.outputs = [sum]
        graph.removeNode(try #require(graph.producer(of: gelu)))
        let smaller = graph.compacted()
        #expect(smaller.nodeCount == 2)
        #expect(smaller.valueCount == 5)
    }

    @Test("replacing a graph output hands its name on")
    func replaceOutput() throws {
        var (graph, x, y) = try GraphTests.small()
        let relu = try #require(graph.producer(of: y))
        let sum = try #require(graph.input(0, of: relu))
        let isReplaced = graph.replaceUses(of: y, with: sum)
        #expect(isReplaced)
        #expect(graph.outputs == [sum])
        #expect(graph.name(of: sum) == "y.out")
        // An input cannot become an output under another name.
        let isInputTaken = graph.replaceUses(of: sum, with: x)
        #expect(!isInputTaken)
    }

    @Test("names every broken rule")
    func verify() throws {
        var (graph, _, y) = try GraphTests.small()
        #expect(graph.verify().isEmpty)
        let loose = graph.addValue(name: "loose")
        let relu = try #require(graph.producer(of: y))
        graph.setInput(0, of: relu, to: loose)
        #expect(graph.verify().map(\.description) == ["undefinedValue: Relu 'y' reads 'loose'"])
        graph.addNode(.relu, name: "again", inputs: [graph.inputs[0]], outputs: [y])
        #expect(graph.verify().map(\.kind).contains(.severalProducers))
        graph.outputs.append(ValueID(index: 99))
        #expect(graph.verify().map(\.kind) == [.idOutOfRange])
    }

    @Test("a cycle is reported, not followed")
    func cycle() throws {
        var (graph, x, y) = try GraphTests.small()
        let matMul = graph.consumers(of: x)[0]
        graph.setInput(0, of: matMul, to: y)
        #expect(graph.compacted().verify().map(\.kind) == [.usedBeforeProduced])
    }
}
