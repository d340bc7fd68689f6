// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite(.serialized) struct PrecisionTests {
    /// relu(x · w + b) with k × n weights, large enough to be made narrow.
    static func dense(k: Int, n: Int, seed: UInt64) throws -> (graph: Graph, input: Tensor) {
        var generator = SeededRandom(seed: seed)
        func values(_ count: Int) -> [Float] {
            (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
        }
        var graph = Graph(name: "dense")
        let x = graph.addInput(
            name: "x",
            type: ValueType(
                elementType: .float32, dimensions: [Dimension(symbol: "batch"), Dimension(k)]))
        let w = graph.addConstant(name: "w", try Tensor(values(k * n), shape: [k, n]))
        let b = graph.addConstant(name: "b", try Tensor(values(n)))
        graph.outputs = [graph.apply(.relu, graph.apply(.add, graph.apply(.matMul, x, w), b))]
        try graph.inferShapes()
        return (graph, try Tensor(values(5 * k), shape: [5, k]))
    }

    static func run(_ graph: Graph, _ input: Tensor, _ precision: EnginePrecision) throws
        -> (output: [Float], packedByteCount: Int)
    {
        let session = try NativeEngineTests.load(graph, EngineOptions(precision: precision))
        let outputs = try NativeEngineTests.run(session, [input])
        return (try outputs[0].elements(as: Float.self), session.packedByteCount)
    }

    @Test(
        "Narrow weights take less memory and answer near the f32 answers, not the same",
        arguments: [(.bfloat16, 0.5, 0.05), (.int8, 0.25, 0.15)]
            as [(EnginePrecision, Double, Float)])
    func narrow(precision: EnginePrecision, memory: Double, tolerance: Float) throws {
        let (graph, input) = try Self.dense(k: 128, n: 64, seed: 5)
        let exact = try Self.run(graph, input, .float32)
        let near = try Self.run(graph, input, precision)
        let distance = zip(exact.output, near.output).map { abs($0 - $1) }.max() ?? 1
        #expect(distance > 0)
        #expect(distance < tolerance, "of sums of 128 products up to 1")
        let share = Double(near.packedByteCount) / Double(exact.packedByteCount)
        #expect(abs(share - memory) < 0.03)
    }

    @Test("Small products keep f32 whatever is asked")
    func small() throws {
        let (graph, input) = try Self.dense(k: 16, n: 10, seed: 6)
        let exact = try Self.run(graph, input, .float32)
        #expect(try Self.run(graph, input, .int8).output == exact.output)
    }
}
