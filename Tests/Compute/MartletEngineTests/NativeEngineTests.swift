// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import MartletTesting
internal import Testing

@Suite(.serialized) struct NativeEngineTests {
    /// relu(x · w + b), x [batch, 2].
    static func dense() throws -> Graph {
        var graph = Graph(name: "dense")
        let x = graph.addInput(
            name: "x",
            type: ValueType(
                elementType: .float32, dimensions: [Dimension(symbol: "batch"), Dimension(2)]))
        let w = graph.addConstant(
            name: "w", try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3]))
        let b = graph.addConstant(name: "b", try Tensor([0, 0, -100] as [Float]))
        let product = graph.apply(.matMul, x, w)
        let sum = graph.apply(.add, product, b)
        graph.outputs = [graph.apply(.relu, sum, name: "y")]
        try graph.inferShapes()
        return graph
    }

    static func load(_ graph: Graph, _ options: EngineOptions = EngineOptions()) throws
        -> NativeSession
    {
        try #require(try NativeEngine().load(.graph(graph), options: options) as? NativeSession)
    }

    static func run(_ session: any EngineSession, _ inputs: [Tensor]) throws -> [Tensor] {
        var outputs: [Tensor] = []
        try session.makeContext().run(inputs, outputs: &outputs, cancellation: nil)
        return outputs
    }

    @Test(
        "A matrix product, a bias and a rectifier run for every batch size, fused or not",
        arguments: [false, true])
    func denseRuns(isFused: Bool) throws {
        var options = EngineOptions()
        if !isFused { options.disabledPasses = ["fuse-matmul-epilogue"] }
        let session = try Self.load(Self.dense(), options)
        let outputs = try Self.run(session, [Tensor([1, 1, -1, 1] as [Float], shape: [2, 2])])
        #expect(outputs.count == 1)
        #expect(outputs[0].shape == [2, 3])
        #expect(try outputs[0].elements(as: Float.self) == [5, 7, 0, 3, 3, 0])
        let second = try Self.run(session, [Tensor([2, 0] as [Float], shape: [1, 2])])
        #expect(try second[0].elements(as: Float.self) == [2, 4, 0])
    }

    @Test(
        "Sums and differences of two inputs come out as two outputs",
        arguments: [
            ElementType.int32, .float32, .int64, .uint8,
        ])
    func addSub(type: ElementType) throws {
        var graph = Graph(name: "add_sub")
        let spec = ValueType(
            elementType: type, dimensions: [Dimension(symbol: "batch"), Dimension(2)])
        let left = graph.addInput(name: "INPUT0", type: spec)
        let right = graph.addInput(name: "INPUT1", type: spec)
        graph.outputs = [graph.apply(.add, left, right), graph.apply(.sub, left, right)]
        try graph.inferShapes()
        let session = try Self.load(graph)
        func tensor(_ values: [Int]) throws -> Tensor {
            switch type {
            case .int32: try Tensor(values.map { Int32($0) }, shape: [2, 2])
            case .int64: try Tensor(values.map { Int64($0) }, shape: [2, 2])
            case .uint8: try Tensor(values.map { UInt8($0) }, shape: [2, 2])
            default: try Tensor(values.map { Float($0) }, shape: [2, 2])
            }
        }
        let outputs = try Self.run(session, [tensor([7, 8, 9, 10]), tensor([1, 2, 3, 4])])
        let sums = try tensor([8, 10, 12, 14])
        let differences = try tensor([6, 6, 6, 6])
        #expect(Self.isSame(outputs[0], sums))
        #expect(Self.isSame(outputs[1], differences))
    }

    static func isSame(_ left: Tensor, _ right: Tensor) -> Bool {
        withExtendedLifetime((left, right)) { unsafe left.bytes.elementsEqual(right.bytes) }
    }

    @Test("A plan that needs more memory than allowed is refused by name")
    func memoryLimit() throws {
        let session = try Self.load(Self.dense(), EngineOptions(memoryBytesMax: 4096))
        let error = #expect(throws: EngineError.self) {
            _ = try Self.run(
                session, [Tensor([Float](repeating: 0, count: 20_000), shape: [10_000, 2])])
        }
        #expect(error?.code == .limitExceeded)
        #expect(error?.message.contains("4096") == true)
    }

    @Test("What is known before the run is computed within the model's memory")
    func foldedMemory() throws {
        var graph = Graph(name: "wide")
        let shape = graph.addConstant(name: "shape", try Tensor([1 << 14, 1 << 11] as [Int64]))
        graph.outputs = [graph.apply(.constantOfShape, shape, name: "zeros")]
        let options = EngineOptions(memoryBytesMax: 1 << 24)
        let engine = NativeEngine()
        let compiled = try engine.compile(.graph(graph), options: options) { _, _, _ in }
        #expect(compiled.constants.values.allSatisfy { $0.byteCount <= 1 << 24 })
        #expect(throws: EngineError.self) { try Self.run(Self.load(graph, options), []) }
    }

    @Test("A convolution with a fourth input of another shape than its output is refused")
    func strangeResidual() throws {
        var graph = Graph(name: "strange")
        let names = ["x": [1, 1, 4, 4], "w": [2, 1, 1, 1], "r": [1, 2, 4, 0]]
        func input(_ name: String) -> ValueID {
            graph.addInput(
                name: name,
                type: ValueType(
                    elementType: .float32,
                    dimensions: (names[name] ?? []).map { Dimension($0) }))
        }
        let (x, w, r) = (input("x"), input("w"), input("r"))
        graph.outputs = [graph.apply(.conv, x, w, nil, r, name: "y")]
        let zeros = try ["x", "w", "r"].map { name in
            let shape = try #require(Shape(names[name] ?? []))
            return try Tensor(
                [Float](repeating: 0, count: shape.elementCountChecked ?? 0), shape: shape)
        }
        let error = #expect(throws: EngineError.self) {
            try Self.run(Self.load(graph), zeros)
        }
        #expect(error?.message.contains("residual") == true)
    }

    @Test("Runs in a steady state allocate nothing")
    func noAllocation() throws {
        let session = try Self.load(Self.dense(), EngineOptions(threads: 1))
        let context = try session.makeContext()
        let inputs = [
            [try Tensor([1, 1, -1, 1] as [Float], shape: [2, 2])],
            [try Tensor([1, 1] as [Float], shape: [1, 2])],
        ]
        var outputs: [Tensor] = []
        for _ in 0..<8 {
            for input in inputs { try context.run(input, outputs: &outputs, cancellation: nil) }
        }
        let count = try allocationCount {
            for _ in 0..<100 {
                try context.run(inputs[0], outputs: &outputs, cancellation: nil)
            }
        }
        // Unoptimised code puts coroutine frames and closures on the heap.
        #if DEBUG
            #expect(count <= 300)
        #else
            #expect(count == 0)
        #endif
        #expect(allocationCount { _ = TensorStorage(byteCount: 100) } > 0)
    }

    @Test("An index outside the table is the request's fault and names the node")
    func indexOutOfRange() throws {
        var graph = Graph(name: "lookup")
        let index = graph.addInput(
            name: "ids", type: ValueType(elementType: .int64, dimensions: [Dimension(symbol: "n")]))
        let table = graph.addConstant(name: "table", try Tensor([1, 2, 3] as [Float]))
        graph.outputs = [graph.apply(.gather, table, index, name: "pick")]
        try graph.inferShapes()
        let session = try Self.load(graph)
        #expect(
            try Self.run(session, [Tensor([2, -3] as [Int64])])[0].elements(as: Float.self)
                == [3, 1])
        let error = #expect(throws: EngineError.self) {
            _ = try Self.run(session, [Tensor([3] as [Int64])])
        }
        #expect(error?.code == .invalidInput)
        #expect(error?.message.contains("pick") == true)
    }

    @Test("A profile names the operators and counts their calls")
    func profile() throws {
        let session = try Self.load(Self.dense())
        session.startProfile()
        _ = try Self.run(session, [Tensor([1, 1] as [Float], shape: [1, 2])])
        let profile = try #require(session.stopProfile())
        #expect(profile.entries.reduce(0) { $0 + $1.calls } >= 1)
        #expect(session.stopProfile() == nil)
    }

    @Test("Inspection tells inputs, operators, parameters and memory")
    func inspection() throws {
        let inspection = ModelInspection(.graph(try Self.dense()))
        #expect(inspection.problems == [])
        #expect(inspection.inputs.map(\.name) == ["x"])
        #expect(inspection.inputs[0].dimensionNames == ["batch", nil])
        #expect(inspection.parameterCount == 9)
        #expect(Set(inspection.operators.map(\.name)) == ["MatMul", "Add", "Relu"])
        #expect((inspection.memory?.packedBytes ?? 0) > 0)
    }
}
