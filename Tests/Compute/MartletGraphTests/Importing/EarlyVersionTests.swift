// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletGraph
internal import Testing

@Suite("ONNX operators of versions 1 to 6")
struct EarlyVersionTests {
    private let x = floats("x", .fixed(2), .fixed(3), .fixed(4))

    private func lines(
        _ node: ONNXNode, _ initializers: [ONNXTensor] = [], version: Int64 = 6
    ) throws -> [String] {
        let operators = OperatorSet([
            .add, .unsqueeze, .cast, .concat, .reshape, .pRelu, .gemm, .shape, .size, .range,
            .equal, .where, .tile, .batchNormalization, .sub, .mul, .div, .sqrt, .relu,
        ])
        let model = modelOf(
            [node], inputs: [x], initializers: initializers, version: version)
        let graph = try ONNXImporter(operators: operators)
            .graph(of: model, externalFiles: ONNXExternalFiles(folder: nil))
        return graph.dump().split(separator: "\n").map(String.init).filter {
            !$0.hasPrefix("constant") && !$0.hasPrefix("input") && $0.contains(" = ")
        }
    }

    @Test("an operand laid along an axis is given the dimensions after it")
    func alignedOperand() throws {
        let add = node("Add", ["x", "b"], ["y"], ["broadcast": .int(1), "axis": .int(1)])
        #expect(
            try lines(add, [zeros("b", 3)]) == [
                "y#1: float32[3, 1] = Unsqueeze(b, y#1.axes)",
                "y: float32[2, 3, 4] = Add(x, y#1)",
            ])
        #expect(
            try lines(add, [zeros("b", 3, 4)]) == ["y: float32[2, 3, 4] = Add(x, b)"])
        let last = node("Add", ["x", "b"], ["y"], ["broadcast": .int(1)])
        #expect(try lines(last, [zeros("b", 4)]) == ["y: float32[2, 3, 4] = Add(x, b)"])
    }

    @Test("an operand that reaches past the last dimension is refused")
    func operandTooLong() {
        let add = node("Add", ["x", "b"], ["y"], ["broadcast": .int(1), "axis": .int(2)])
        let error = #expect(throws: GraphError.self) { try lines(add, [zeros("b", 4, 1)]) }
        #expect(error?.message.contains("2 dimensions from axis 2 on, of 3") == true)
    }

    @Test("slopes of PRelu stand for channels")
    func slopes() throws {
        #expect(
            try lines(node("PRelu", ["x", "s"], ["y"]), [zeros("s", 3)]).last
                == "y: float32[2, 3, 4] = PRelu(x, y#1)")
    }

    @Test("types by name, shapes as attributes, the axis of Concat, what may be overwritten")
    func forms() throws {
        #expect(
            try lines(node("Cast", ["x"], ["y"], ["to": .string(Array("INT32".utf8))]))
                == ["y: int32[2, 3, 4] = Cast(x) {to=6}"])
        #expect(
            try lines(node("Reshape", ["x"], ["y"], ["shape": .ints([4, -1])]), version: 1)
                == ["y: float32[4, 6] = Reshape(x, y#1)"])
        #expect(
            try lines(node("Concat", ["x", "x"], ["y"]), version: 1)
                == ["y: float32[2, 6, 4] = Concat(x, x) {axis=1}"])
        #expect(
            try lines(node("Relu", ["x"], ["y"], ["consumed_inputs": .ints([0])]), version: 1)
                == ["y: float32[2, 3, 4] = Relu(x)"])
    }

    @Test("Tile by one axis becomes a number for each")
    func tile() throws {
        let tile = node("Tile", ["x", "n", "a"], ["y"])
        let inputs = [int64s("n", [5]), int64s("a", [1])]
        #expect(try lines(tile, inputs, version: 1).last?.hasPrefix("y: float32[2, 15, 4]") == true)
    }

    @Test("statistics for each place become arithmetic; training is refused")
    func batchNormalization() throws {
        let inputs = ["s", "b", "m", "v"]
        let attributes: [String: ONNXAttributeValue] = ["spatial": .int(0), "is_test": .int(1)]
        let norm = node("BatchNormalization", ["x"] + inputs, ["y"], attributes)
        let statistics = inputs.map { zeros($0, 3, 4) }
        #expect(try lines(norm, statistics).last == "y: float32[2, 3, 4] = Add(y#6, b)")
        let training = node("BatchNormalization", ["x"] + inputs, ["y"])
        let error = #expect(throws: GraphError.self) { try lines(training, statistics) }
        #expect(error?.message.contains("training mode; only inference is supported") == true)
    }
}
