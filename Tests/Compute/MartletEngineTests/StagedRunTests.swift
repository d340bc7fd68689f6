// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import MartletTesting
internal import Testing

@Suite("Runs whose shapes follow from the data", .serialized)
struct StagedRunTests {
    private static let anyFloats = ValueType(
        elementType: .float32, dimensions: [Dimension(symbol: "n")])

    /// The elements of x that are not zero, doubled; and x.
    private static func picked() throws -> Graph {
        var graph = Graph(name: "picked")
        let x = graph.addInput(name: "x", type: anyFloats)
        let two = graph.addConstant(name: "two", try Tensor([2] as [Float], shape: []))
        let zero = graph.addConstant(name: "zero", try Tensor([0] as [Int64], shape: []))
        let doubled = graph.apply(.mul, x, two)
        let places = graph.apply(.gather, graph.apply(.nonZero, x), zero)
        let kept = graph.apply(.gather, doubled, places)
        graph.outputs = [graph.apply(.neg, kept, name: "y"), x]
        return graph
    }

    @Test("what NonZero finds decides the sizes of what follows, run after run")
    func nonZero() throws {
        let session = try NativeEngineTests.load(Self.picked())
        let context = try session.makeContext()
        var outputs: [Tensor] = []
        for (x, expected) in [
            ([1, 0, 2, 0, 3], [-2, -4, -6]), ([0, 0], []), ([5], [-10]),
            ([1, 0, 2, 0, 3], [-2, -4, -6]),
        ] as [([Float], [Float])] {
            try context.run([Tensor(x)], outputs: &outputs, cancellation: nil)
            #expect(try outputs[0].elements(as: Float.self) == expected)
            #expect(outputs[0].shape == [expected.count])
            #expect(try outputs[1].elements(as: Float.self) == x)
        }
    }

    @Test("contents of an input that say a shape are followed, and say why when they cannot be")
    func shapeInput() throws {
        var graph = Graph(name: "shaped")
        let x = graph.addInput(name: "x", type: Self.anyFloats)
        let shape = graph.addInput(
            name: "shape", type: ValueType(elementType: .int64, dimensions: [Dimension(2)]))
        graph.outputs = [graph.apply(.reshape, x, shape)]
        let session = try NativeEngineTests.load(graph)
        let x6 = try Tensor([1, 2, 3, 4, 5, 6] as [Float])
        for sizes in [[2, 3], [3, 2], [-1, 6], [2, 3]] as [[Int64]] {
            let output = try NativeEngineTests.run(session, [x6, Tensor(sizes)])[0]
            #expect(output.shape == Shape(sizes.map { $0 < 0 ? 1 : Int($0) }))
        }
        let error = #expect(throws: EngineError.self) {
            _ = try NativeEngineTests.run(session, [x6, Tensor([4, 2] as [Int64])])
        }
        #expect(error?.code == .invalidInput)
    }

    @Test("a shape that is computed from data is read, and the rest planned with it")
    func computedShape() throws {
        var graph = Graph(name: "computed")
        let x = graph.addInput(name: "x", type: Self.anyFloats)
        let most = graph.apply(.reduceMax, x, attributes: ["keepdims": .int(1)])
        let count = graph.apply(.cast, most, attributes: ["to": .int(7)])
        let filled = graph.apply(.constantOfShape, count)
        graph.outputs = [graph.apply(.add, filled, most)]
        let session = try NativeEngineTests.load(graph)
        for size in [3, 1, 4, 3] {
            let output = try NativeEngineTests.run(session, [Tensor([1, Float(size)])])[0]
            #expect(
                try output.elements(as: Float.self) == Array(repeating: Float(size), count: size))
        }
        let huge = #expect(throws: EngineError.self) {
            _ = try NativeEngineTests.run(session, [Tensor([1e18] as [Float])])
        }
        #expect(huge?.code == .limitExceeded || huge?.code == .invalidInput)
    }

    @Test("a model of fixed structure still allocates nothing")
    func fixedStructure() throws {
        let session = try NativeEngineTests.load(
            NativeEngineTests.dense(), EngineOptions(threads: 1))
        let context = try session.makeContext()
        let inputs = [try Tensor([1, 1, -1, 1] as [Float], shape: [2, 2])]
        var outputs: [Tensor] = []
        for _ in 0..<8 { try context.run(inputs, outputs: &outputs, cancellation: nil) }
        let count = try allocationCount {
            for _ in 0..<50 { try context.run(inputs, outputs: &outputs, cancellation: nil) }
        }
        #if !DEBUG
            #expect(count == 0)
        #endif
    }

    @Test("distinct slices, sorted and as met; boxes that overlap too much go")
    func choosing() throws {
        var graph = Graph(name: "unique")
        let x = graph.addInput(name: "x", type: Self.anyFloats)
        let outputs = (0..<4).map { graph.addValue(name: "y\($0)") }
        graph.addNode(.unique, inputs: [x], outputs: outputs, attributes: ["sorted": .int(0)])
        graph.outputs = outputs
        let results = try NativeEngineTests.run(
            NativeEngineTests.load(graph), [Tensor([2, 1, 1, 3, 2] as [Float])])
        #expect(try results[0].elements(as: Float.self) == [2, 1, 3])
        #expect(try results[1].elements(as: Int64.self) == [0, 1, 3])
        #expect(try results[2].elements(as: Int64.self) == [0, 1, 1, 2, 0])
        #expect(try results[3].elements(as: Int64.self) == [2, 2, 1])
    }
}
