// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Control flow, sequences and optional values", .serialized)
struct ControlFlowTests {
    private static let scalar = ValueType(elementType: .float32, dimensions: [])
    private static let flag = ValueType(elementType: .bool, dimensions: [])
    private static let count = ValueType(elementType: .int64, dimensions: [])

    private func number(_ value: Float) throws -> Tensor { try Tensor([value], shape: []) }
    private func whole(_ value: Int64) throws -> Tensor { try Tensor([value], shape: []) }
    private func truth(_ value: Bool) throws -> Tensor { try Tensor(booleans: [value], shape: []) }

    /// (iteration, condition, v, step) → (condition, v + step, v): collects v before each step.
    private static func body() -> Graph {
        var body = Graph(name: "body")
        _ = body.addInput(name: "i", type: count)
        let condition = body.addInput(name: "c", type: flag)
        let v = body.addInput(name: "v", type: scalar)
        let step = body.addInput(name: "step", type: ValueType())
        body.outputs = [
            body.apply(.identity, condition), body.apply(.add, v, step), body.apply(.identity, v),
        ]
        return body
    }

    /// Counts from x by a captured step, as often as `n` says.
    private static func counting() throws -> Graph {
        var graph = Graph(name: "counting")
        let n = graph.addInput(name: "n", type: count)
        let x = graph.addInput(name: "x", type: scalar)
        let step = graph.addInput(name: "by", type: scalar)
        let last = graph.addValue(name: "last")
        let all = graph.addValue(name: "all")
        graph.addNode(
            .loop, name: "count", inputs: [n, nil, x, step], outputs: [last, all],
            attributes: [
                "body": .graph(body()), "body.captures": .ints([3]), "formal_inputs": .int(3),
            ])
        graph.outputs = [last, all]
        return graph
    }

    @Test("a loop carries, captures and collects")
    func loop() throws {
        let session = try NativeEngineTests.load(Self.counting())
        let context = try session.makeContext()
        var outputs: [Tensor] = []
        for n in [3, 1, 5] as [Int64] {
            try context.run(
                [whole(n), number(1), number(2)], outputs: &outputs, cancellation: nil)
            #expect(try outputs[0].elements(as: Float.self) == [1 + 2 * Float(n)])
            #expect(
                try outputs[1].elements(as: Float.self) == (0..<n).map { 1 + 2 * Float($0) })
        }
        try context.run([whole(0), number(1), number(2)], outputs: &outputs, cancellation: nil)
        #expect(outputs[1].shape == [0])
    }

    @Test("huge trip counts end with an error, and a cancelled run ends")
    func limits() throws {
        let session = try NativeEngineTests.load(
            Self.counting(), EngineOptions(iterationsMax: 1000))
        let inputs = [try whole(.max), try number(1), try number(2)]
        let error = #expect(throws: EngineError.self) {
            _ = try NativeEngineTests.run(session, inputs)
        }
        #expect(error?.code == .limitExceeded)
        #expect(error?.message == "Loop 'count': more than 1000 iterations in one run")
        let small = try NativeEngineTests.load(
            Self.counting(), EngineOptions(memoryBytesMax: 1 << 16))
        let memory = #expect(throws: EngineError.self) {
            _ = try NativeEngineTests.run(small, inputs)
        }
        #expect(memory?.code == .limitExceeded)
        let cancellation = Cancellation()
        cancellation.cancel()
        var outputs: [Tensor] = []
        let cancelled = #expect(throws: EngineError.self) {
            try session.makeContext().run(inputs, outputs: &outputs, cancellation: cancellation)
        }
        #expect(cancelled?.code == .cancelled)
    }

    /// x + 1 or x · 2.
    private static func choice(constant: Bool?) throws -> Graph {
        var graph = Graph(name: "choice")
        let x = graph.addInput(name: "x", type: scalar)
        let condition =
            try constant.map {
                graph.addConstant(name: "c", try Tensor(booleans: [$0], shape: []))
            } ?? graph.addInput(name: "c", type: flag)
        func branch(_ schema: OperatorSchema, _ value: Float) throws -> Graph {
            var branch = Graph(name: "branch")
            let x = branch.addInput(name: "x", type: ValueType())
            let other = branch.addConstant(name: "k", try Tensor([value], shape: []))
            branch.outputs = [branch.apply(schema, x, other, name: "r")]
            return branch
        }
        let y = graph.addValue(name: "y")
        graph.addNode(
            .if, inputs: [condition, x], outputs: [y],
            attributes: [
                "then_branch": .graph(try branch(.add, 1)),
                "else_branch": .graph(try branch(.mul, 2)), "formal_inputs": .int(1),
                "then_branch.captures": .ints([1]), "else_branch.captures": .ints([1]),
            ])
        graph.outputs = [y]
        return graph
    }

    @Test("a condition chooses a branch at the run; a constant one is decided at load")
    func branches() throws {
        let session = try NativeEngineTests.load(Self.choice(constant: nil))
        for (flag, expected) in [(true, 6), (false, 10), (true, 6)] as [(Bool, Float)] {
            let outputs = try NativeEngineTests.run(session, [number(5), truth(flag)])
            #expect(try outputs[0].elements(as: Float.self) == [expected])
        }
        #expect(session.graph.violations(of: .optimised).isEmpty)
        #expect(try !Self.choice(constant: true).violations(of: .optimised).isEmpty)
        let decided = try NativeEngineTests.load(Self.choice(constant: false))
        #expect(decided.graph.violations(of: .optimised).isEmpty)
        #expect(decided.graph.nodes.allSatisfy { decided.graph.schema(of: $0) != .if })
        #expect(
            try NativeEngineTests.run(decided, [number(5)])[0].elements(as: Float.self) == [10])
    }

    @Test("sequences and absent values are taken and given by run(values:), and refused elsewhere")
    func sequences() throws {
        var graph = Graph(name: "sequence")
        let sequence = graph.addInput(
            name: "s",
            type: ValueType(elementType: .float32, dimensions: nil, container: .sequence))
        let x = graph.addInput(name: "x", type: Self.scalar)
        let longer = graph.apply(.sequenceInsert, sequence, x)
        graph.outputs = [longer, graph.apply(.sequenceLength, longer, name: "n")]
        let context = try NativeEngineTests.load(graph).makeContext()
        var outputs: [EngineValue] = []
        try context.run(
            values: [.sequence([try number(1)]), .tensor(try number(2))], outputs: &outputs,
            cancellation: nil)
        #expect(outputs[0].sequence?.count == 2)
        #expect(try outputs[1].tensor?.elements(as: Int64.self) == [2])
        var tensors: [Tensor] = []
        let refused = #expect(throws: EngineError.self) {
            try context.run([number(1), number(2)], outputs: &tensors, cancellation: nil)
        }
        #expect(refused?.code == .unsupported)
        #expect(refused?.message.contains("a sequence of FP32") == true)
        let wrong = #expect(throws: EngineError.self) {
            try context.run(
                values: [.tensor(try number(1)), .tensor(try number(2))], outputs: &outputs,
                cancellation: nil)
        }
        #expect(wrong?.code == .invalidInput)
    }

    @Test("places outside a sequence are the request's fault")
    func places() throws {
        var graph = Graph(name: "at")
        let x = graph.addInput(name: "x", type: Self.scalar)
        let place = graph.addInput(name: "p", type: Self.count)
        let sequence = graph.apply(.sequenceConstruct, x, x)
        graph.outputs = [graph.apply(.sequenceAt, sequence, place, name: "pick")]
        let session = try NativeEngineTests.load(graph)
        #expect(
            try NativeEngineTests.run(session, [number(4), whole(-2)])[0].elements(as: Float.self)
                == [4])
        for place in [2, -3, .max, .min] as [Int64] {
            let error = #expect(throws: EngineError.self) {
                _ = try NativeEngineTests.run(session, [number(4), whole(place)])
            }
            #expect(error?.code == .invalidInput)
        }
    }
}
