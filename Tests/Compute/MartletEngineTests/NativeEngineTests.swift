// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite struct NativeEngineTests {
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

    @Test("A matrix product, a bias and a rectifier run for every batch size")
    func denseRuns() throws {
        let session = try NativeEngine().load(.graph(Self.dense()), options: EngineOptions())
        let context = try session.makeContext()
        var outputs: [Tensor] = []
        try context.run(
            [try Tensor([1, 1, -1, 1] as [Float], shape: [2, 2])], outputs: &outputs,
            cancellation: nil)
        #expect(outputs.count == 1)
        #expect(outputs[0].shape == [2, 3])
        #expect(try outputs[0].elements(as: Float.self) == [5, 7, 0, 3, 3, 0])
        try context.run(
            [try Tensor([2, 0] as [Float], shape: [1, 2])], outputs: &outputs, cancellation: nil)
        #expect(try outputs[0].elements(as: Float.self) == [2, 4, 0])
    }
}
