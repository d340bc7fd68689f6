// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import Testing

/// Operators whose place arithmetic is the engine's own; kernels are tested with the kernels.
@Suite struct OperatorTests {
    /// Runs one node whose first input is the model's and whose other inputs are constants.
    static func run(
        _ schema: OperatorSchema, _ input: Tensor, _ constants: [Tensor?] = [],
        _ attributes: [String: AttributeValue] = [:], outputs: Int = 1
    ) throws -> [Tensor] {
        var graph = Graph(name: "one")
        let x = graph.addInput(
            name: "x",
            type: ValueType(
                elementType: input.elementType, dimensions: input.shape.map { Dimension($0) }))
        let others = constants.enumerated().map { index, tensor in
            tensor.map { graph.addConstant(name: "c\(index)", $0) }
        }
        let results = (0..<outputs).map { graph.addValue(name: "y\($0)") }
        graph.addNode(schema, inputs: [x] + others, outputs: results, attributes: attributes)
        graph.outputs = results
        try graph.inferShapes()
        let session = try NativeEngine().load(.graph(graph), options: EngineOptions())
        var answers: [Tensor] = []
        try session.makeContext().run([input], outputs: &answers, cancellation: nil)
        return answers
    }

    static func floats(_ values: ClosedRange<Int>, _ shape: Shape) throws -> Tensor {
        try Tensor(values.map { Float($0) }, shape: shape)
    }

    @Test("A slice steps backwards and drops rows")
    func slice() throws {
        let answer = try Self.run(
            .slice, Self.floats(1...6, [2, 3]),
            [
                Tensor([1, -1] as [Int64]), Tensor([2, -4] as [Int64]), Tensor([0, 1] as [Int64]),
                Tensor([1, -1] as [Int64]),
            ])[0]
        #expect(answer.shape == [1, 3])
        #expect(try answer.elements(as: Float.self) == [6, 5, 4])
    }

    @Test("A split along the inner axis takes the parts apart")
    func split() throws {
        let answers = try Self.run(
            .split, Self.floats(1...6, [2, 3]), [Tensor([1, 2] as [Int64])], ["axis": .int(1)],
            outputs: 2)
        #expect(try answers[0].elements(as: Float.self) == [1, 4])
        #expect(try answers[1].elements(as: Float.self) == [2, 3, 5, 6])
    }

    @Test("Pads repeat, reflect and cut")
    func pad() throws {
        func padded(_ amounts: [Int64], _ mode: String) throws -> [Float] {
            try Self.run(
                .pad, Self.floats(1...4, [4]), [Tensor(amounts)], ["mode": .string(mode)])[0]
                .elements(as: Float.self)
        }
        #expect(try padded([2, 1], "constant") == [0, 0, 1, 2, 3, 4, 0])
        #expect(try padded([2, 1], "reflect") == [3, 2, 1, 2, 3, 4, 3])
        #expect(try padded([2, 1], "edge") == [1, 1, 1, 2, 3, 4, 4])
        #expect(try padded([-1, 1], "constant") == [2, 3, 4, 0])
    }

    @Test("A transposition, a tile and an expansion put elements where numpy does")
    func movement() throws {
        let matrix = try Self.floats(1...6, [2, 3])
        #expect(
            try Self.run(.transpose, matrix)[0].elements(as: Float.self) == [1, 4, 2, 5, 3, 6])
        #expect(
            try Self.run(.tile, Self.floats(1...2, [1, 2]), [Tensor([2, 2] as [Int64])])[0]
                .elements(as: Float.self) == [1, 2, 1, 2, 1, 2, 1, 2])
        #expect(
            try Self.run(.expand, Self.floats(1...2, [2, 1]), [Tensor([2, 3] as [Int64])])[0]
                .elements(as: Float.self) == [1, 1, 1, 2, 2, 2])
    }

    @Test("Reductions over axes that are not neighbours")
    func reduction() throws {
        let answer = try Self.run(
            .reduceSum, Self.floats(1...8, [2, 2, 2]), [Tensor([0, 2] as [Int64])],
            ["keepdims": .int(0)])[0]
        #expect(try answer.elements(as: Float.self) == [14, 22])
    }

    @Test("A convolution of either layout answers the same", arguments: ["NCHW", "NHWC"])
    func convolution(layout: String) throws {
        let image = try Self.floats(1...18, layout == "NCHW" ? [1, 2, 3, 3] : [1, 3, 3, 2])
        let weights = try Tensor([Float](repeating: 1, count: 2 * 2 * 2 * 2), shape: [2, 2, 2, 2])
        let answer = try Self.run(
            .fusedConv, image, [weights],
            ["layout": .string(layout), "activation": .string("Relu")])[0]
        // Every window's sum over both channels, alike for both output channels.
        let sums: [Float] = layout == "NCHW" ? [60, 68, 84, 92] : [44, 60, 92, 108]
        let values = try answer.elements(as: Float.self)
        if layout == "NCHW" {
            #expect(values == sums + sums)
        } else {
            #expect(values == sums.flatMap { [$0, $0] })
        }
    }

    @Test("A convolution takes in a hard sigmoid with its two numbers")
    func hardSigmoid() throws {
        let answer = try Self.run(
            .fusedConv, Self.floats(-3...5, [1, 1, 3, 3]),
            [Tensor([1, 0, 0, 1] as [Float], shape: [1, 1, 2, 2])],
            [
                "activation": .string("HardSigmoid"), "activationAlpha": .float(0.25),
                "activationBeta": .float(0.5),
            ])[0]
        // -2, 0, 4, 6 before it.
        #expect(try answer.elements(as: Float.self) == [0, 0.5, 1, 1])
    }

    @Test(
        "A convolution with a scale input answers as one with scaled weights",
        arguments: [EnginePrecision.float32, .bfloat16, .int8], [1, 3])
    func scaledConvolution(precision: EnginePrecision, kernel: Int) throws {
        let scale: [Float] = [2, -0.5, 0]
        let weights = (0..<(3 * 2 * kernel * kernel)).map { Float($0 % 7) - 3 }
        let image = try Self.floats(1...50, [1, 2, 5, 5])
        func answer(_ weights: [Float], scale: [Float]?) throws -> [Float] {
            var graph = Graph(name: "scaled")
            let type = ValueType(elementType: .float32, dimensions: [1, 2, 5, 5])
            let x = graph.addInput(name: "x", type: type)
            let w = graph.addConstant(
                name: "w", try Tensor(weights, shape: [3, 2, kernel, kernel]))
            let b = graph.addConstant(name: "b", try Tensor([1, 2, 3] as [Float]))
            let s = try scale.map { graph.addConstant(name: "s", try Tensor($0)) }
            let y = graph.addValue(name: "y")
            graph.addNode(.fusedConv, inputs: [x, w, b, nil, s], outputs: [y])
            graph.outputs = [y]
            let session = try NativeEngineTests.load(graph, EngineOptions(precision: precision))
            return try NativeEngineTests.run(session, [image])[0].elements(as: Float.self)
        }
        let size = 2 * kernel * kernel
        let scaled = weights.indices.map { weights[$0] * scale[$0 / size] }
        let wanted = try answer(scaled, scale: nil)
        #expect(try answer(weights, scale: scale) == wanted)
        // The last channel is its bias alone, the others are not.
        #expect(wanted.suffix(wanted.count / 3).allSatisfy { $0 == 3 })
        #expect(wanted[0] != 1)
    }

    @Test("Numbers that are not 32-bit floats widen and narrow again")
    func widened() throws {
        let answer = try Self.run(.softmax, Tensor([0, 0] as [Double]))[0]
        #expect(try answer.elements(as: Double.self) == [0.5, 0.5])
    }

    @Test("Scattered rows overwrite, gathered elements pick")
    func indexing() throws {
        let scattered = try Self.run(
            .scatterND, Self.floats(1...4, [2, 2]),
            [Tensor([-1] as [Int64], shape: [1, 1]), Tensor([9, 8] as [Float], shape: [1, 2])])[0]
        #expect(try scattered.elements(as: Float.self) == [1, 2, 9, 8])
        let gathered = try Self.run(
            .gatherElements, Self.floats(1...4, [2, 2]),
            [Tensor([0, 0, 1, 0] as [Int64], shape: [2, 2])], ["axis": .int(1)])[0]
        #expect(try gathered.elements(as: Float.self) == [1, 1, 4, 3])
    }
}
