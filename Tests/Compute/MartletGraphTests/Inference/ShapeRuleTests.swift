// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

/// What a rule says of one node, written as text: "float32[batch, 4]".
func inferred(
    _ schema: OperatorSchema, _ inputs: Input..., attributes: [String: AttributeValue] = [:],
    outputs: Int = 1
) throws -> [String] {
    var graph = Graph(name: "rule")
    var values: [ValueID?] = []
    for (index, input) in inputs.enumerated() {
        switch input {
        case .absent: values.append(nil)
        case .type(let type): values.append(graph.addInput(name: "in\(index)", type: type))
        case .ints(let numbers):
            values.append(graph.addConstant(name: "in\(index)", try Tensor(numbers)))
        case .floats(let numbers):
            values.append(graph.addConstant(name: "in\(index)", try Tensor(numbers)))
        case .scalar(let number):
            values.append(graph.addConstant(name: "in\(index)", try Tensor([number], shape: [])))
        }
    }
    let results = (0..<outputs).map { graph.addValue(name: "out\($0)") }
    graph.addNode(
        schema, name: "node", inputs: values, outputs: results, attributes: attributes)
    graph.outputs = results
    let types = try ShapeInference(graph).run()
    return results.map { value in
        let known = types.value(of: value).map { " = \($0)" } ?? ""
        return types.type(of: value).description + known
    }
}

enum Input {
    case absent
    case type(ValueType)
    case ints([Int64])
    case floats([Float])
    case scalar(Int64)

    static func f(_ dimensions: Dimension...) -> Input {
        .type(ValueType(elementType: .float32, dimensions: dimensions))
    }

    static func i(_ dimensions: Dimension...) -> Input {
        .type(ValueType(elementType: .int64, dimensions: dimensions))
    }
}

let batch = Dimension(symbol: "batch")
let seq = Dimension(symbol: "seq")

@Suite("Shape rules")
struct ShapeRuleTests {
    @Test("elementwise operators broadcast")
    func broadcast() throws {
        #expect(try inferred(.add, .f(batch, 1, 4), .f(3, 1)) == ["float32[batch, 3, 4]"])
        #expect(try inferred(.add, .f(batch), .f(seq)) == ["float32[?1]"])
        #expect(try inferred(.equal, .f(2, 3), .f(3)) == ["bool[2, 3]"])
        #expect(try inferred(.sum, .f(2, 1), .f(1, 3), .f(1)) == ["float32[2, 3]"])
        #expect(throws: GraphError.self) { try inferred(.add, .f(2), .f(3)) }
        #expect(throws: GraphError.self) { try inferred(.add, .f(2), .i(2)) }
        #expect(throws: GraphError.self) { try inferred(.add, .f(2)) }
    }

    @Test("whole-number arithmetic is followed")
    func arithmetic() throws {
        #expect(try inferred(.mul, .ints([2, -3]), .ints([4])) == ["int64[2] = [8, -12]"])
        #expect(try inferred(.div, .ints([7, -7]), .ints([2])) == ["int64[2] = [3, -3]"])
        #expect(try inferred(.mod, .ints([7, -7]), .ints([3])) == ["int64[2] = [1, 2]"])
        #expect(try inferred(.div, .ints([7]), .ints([0])) == ["int64[1] = [?1]"])
        #expect(try inferred(.div, .ints([.min]), .ints([-1])) == ["int64[1] = [?1]"])
        #expect(try inferred(.mod, .ints([.min]), .ints([-1])) == ["int64[1] = [0]"])
    }

    @Test("matrix products")
    func matMul() throws {
        #expect(
            try inferred(.matMul, .f(batch, 12, seq, 32), .f(batch, 12, 32, seq))
                == ["float32[batch, 12, seq, seq]"])
        #expect(try inferred(.matMul, .f(4), .f(4, 3)) == ["float32[3]"])
        #expect(try inferred(.matMul, .f(4), .f(4)) == ["float32[]"])
        #expect(
            try inferred(
                .gemm, .f(5, batch), .f(3, 5), .f(3),
                attributes: ["transA": .int(1), "transB": .int(1)])
                == ["float32[batch, 3]"])
        #expect(throws: GraphError.self) { try inferred(.matMul, .f(2, 3), .f(2, 3)) }
        #expect(
            try inferred(
                .fusedMatMul, .f(batch, seq, 8), .f(16, 8), .f(16), .f(batch, seq, 16),
                attributes: ["transB": .int(1)])
                == ["float32[batch, seq, 16]"])
        #expect(throws: GraphError.self) {
            try inferred(.fusedMatMul, .f(batch, 8), .f(8, 16), .f(8))
        }
    }

    @Test("convolutions in both layouts")
    func convolution() throws {
        let attributes: [String: AttributeValue] = [
            "strides": .ints([2, 2]), "pads": .ints([3, 3, 3, 3]),
        ]
        #expect(
            try inferred(.conv, .f(batch, 3, 224, 224), .f(64, 3, 7, 7), attributes: attributes)
                == ["float32[batch, 64, 112, 112]"])
        #expect(
            try inferred(
                .fusedConv, .f(1, 224, 224, 3), .f(64, 3, 7, 7), .f(64), .f(1, 112, 112, 64),
                attributes: attributes.merging(["layout": .string("NHWC")]) { $1 })
                == ["float32[1, 112, 112, 64]"])
        #expect(
            try inferred(.conv, .f(1, 8, 10, 10), .f(8, 1, 3, 3), attributes: ["group": .int(8)])
                == ["float32[1, 8, 8, 8]"])
        #expect(
            try inferred(.conv, .f(1, 3, batch), .f(8, 3, 3)) == ["float32[1, 8, batch-2]"])
        #expect(throws: GraphError.self) { try inferred(.conv, .f(1, 4, 9, 9), .f(8, 3, 3, 3)) }
        #expect(throws: GraphError.self) { try inferred(.conv, .f(1, 3, 2, 2), .f(8, 3, 3, 3)) }
        #expect(throws: GraphError.self) {
            try inferred(
                .conv, .f(1, 3, 9, 9), .f(8, 3, 3, 3), attributes: ["strides": .ints([0, 1])])
        }
        #expect(
            try inferred(
                .convTranspose, .f(1, 4, 5, 5), .f(4, 2, 3, 3),
                attributes: ["strides": .ints([2, 2]), "output_padding": .ints([1, 1])])
                == ["float32[1, 2, 12, 12]"])
    }

    @Test("pools round as they are told")
    func pools() throws {
        let attributes: [String: AttributeValue] = [
            "kernel_shape": .ints([3, 3]), "strides": .ints([2, 2]),
        ]
        #expect(
            try inferred(.maxPool, .f(1, 4, 10, 10), attributes: attributes)
                == ["float32[1, 4, 4, 4]"])
        #expect(
            try inferred(
                .maxPool, .f(1, 4, 10, 10),
                attributes: attributes.merging(["ceil_mode": .int(1)]) { $1 })
                == ["float32[1, 4, 5, 5]"])
        #expect(
            try inferred(
                .averagePool, .f(1, 4, 10, 11),
                attributes: attributes.merging(["auto_pad": .string("SAME_UPPER")]) { $1 })
                == ["float32[1, 4, 5, 6]"])
        #expect(
            try inferred(
                .globalAveragePool, .f(batch, 7, 7, 9), attributes: ["layout": .string("NHWC")])
                == ["float32[batch, 1, 1, 9]"])
    }

    @Test("reshaping cancels symbols")
    func reshape() throws {
        #expect(
            try inferred(.reshape, .f(batch, seq, 384), .ints([0, 0, 12, 32]))
                == ["float32[batch, seq, 12, 32]"])
        #expect(
            try inferred(.reshape, .f(batch, seq, 12, 32), .ints([0, 0, -1]))
                == ["float32[batch, seq, 384]"])
        #expect(try inferred(.reshape, .f(batch, 4, 4), .ints([-1, 8])) == ["float32[2·batch, 8]"])
        #expect(try inferred(.reshape, .f(batch, seq), .ints([-1])) == ["float32[?1]"])
        #expect(try inferred(.flatten, .f(batch, 3, 4)) == ["float32[batch, 12]"])
        #expect(try inferred(.squeeze, .f(1, 5, 1), .ints([-1])) == ["float32[1, 5]"])
        #expect(try inferred(.unsqueeze, .f(5), .ints([0, -1])) == ["float32[1, 5, 1]"])
        #expect(try inferred(.transpose, .f(batch, 3, 4)) == ["float32[4, 3, batch]"])
        #expect(throws: GraphError.self) { try inferred(.reshape, .f(2, 3), .ints([4])) }
        #expect(throws: GraphError.self) { try inferred(.reshape, .f(2, 3), .ints([-1, -1])) }
        #expect(throws: GraphError.self) { try inferred(.reshape, .f(2, 3), .ints([4, -1])) }
        #expect(throws: GraphError.self) { try inferred(.squeeze, .f(2, 3), .ints([0])) }
        #expect(throws: GraphError.self) {
            try inferred(.transpose, .f(2, 3), attributes: ["perm": .ints([0, 0])])
        }
    }

    @Test("sizes that cannot be are refused")
    func hugeSizes() {
        #expect(throws: GraphError.self) {
            try inferred(.expand, .f(1), .ints([1 << 40, 1 << 40]))
        }
        #expect(throws: GraphError.self) { try inferred(.constantOfShape, .ints([-5])) }
        #expect(throws: GraphError.self) {
            try inferred(.constantOfShape, .ints(Array(repeating: 1, count: 11)))
        }
    }

    @Test("fused forms of encoders")
    func fused() throws {
        #expect(
            try inferred(
                .attention, .f(batch, seq, 1152), .absent, .absent, .i(batch, seq),
                attributes: ["heads": .int(12)]) == ["float32[batch, seq, 384]"])
        #expect(
            try inferred(
                .attention, .f(batch, seq, 64), .f(batch, 7, 64), .f(batch, 7, 32),
                attributes: ["heads": .int(4)]) == ["float32[batch, seq, 32]"])
        #expect(throws: GraphError.self) {
            try inferred(.attention, .f(batch, seq, 100), attributes: ["heads": .int(12)])
        }
        #expect(
            try inferred(.maskedMeanPooling, .f(batch, seq, 8), .i(batch, seq))
                == ["float32[batch, 8]"])
        #expect(
            try inferred(.skipLayerNormalization, .f(batch, 8), .f(batch, 8), .f(8), .f(8))
                == ["float32[batch, 8]"])
        #expect(
            try inferred(
                .embeddingLayerNorm, .i(batch, seq), .absent, .f(100, 8), .f(512, 8), .absent,
                .f(8), .f(8)) == ["float32[batch, seq, 8]"])
    }
}
