// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletGraph
internal import Testing

@Suite("What files state beyond an operator's signature")
struct SignatureTests {
    @Test(
        "inputs that only passes give a node are refused",
        arguments: [
            ("Conv", ["x", "b", "b", "b"], "", "4 inputs; the operator has at most 3"),
            ("Relu", ["x", "b"], "", "2 inputs; the operator has at most 1"),
            ("MatMul", ["x", "", "b"], "", "3 inputs; the operator has at most 2"),
            ("Gelu", ["x", "b"], "com.microsoft", "2 inputs; the operator has at most 1"),
        ])
    func surplusInputs(type: String, inputs: [String], domain: String, message: String) {
        var model = modelOf(
            [node(type, inputs, ["y"], domain: domain)], initializers: [zeros("b", 4)])
        model.operatorSets.append(ONNXOperatorSet(domain: "com.microsoft", version: 1))
        #expect(refusal(of: model).contains(message))
    }

    @Test("absent inputs behind the last, and any number where the last repeats, are taken")
    func takenInputs() throws {
        _ = try imported(modelOf([node("Relu", ["x", "", ""], ["y"])]))
        let concat = node("Concat", ["x", "x", "x", "x"], ["y"], ["axis": .int(0)])
        _ = try imported(modelOf([concat]))
    }

    @Test(
        "attributes that only passes give a node are refused",
        arguments: [
            "activation", "layout", "in_shuffle", "precision", "formal_inputs", "x_captures",
        ])
    func surplusAttributes(name: String) {
        let conv = node("MaxPool", ["x"], ["y"], [name: .string(Array("NHWC".utf8))])
        #expect(
            refusal(of: modelOf([conv])).contains(
                "attribute '\(name)', which the operator does not have"))
    }

    @Test("attributes of any version, and what version 1 said of memory, are taken")
    func takenAttributes() throws {
        let relu = node("Relu", ["x"], ["y"], ["consumed_inputs": .ints([0])])
        _ = try imported(modelOf([relu]))
    }

    @Test("the compiler's own forms are refused")
    func ownForms() {
        var model = modelOf(
            [node("SkipLayerNormalization", ["x", "x", "b", "b"], ["y"], domain: "martlet")],
            initializers: [zeros("b", 4)])
        model.operatorSets.append(ONNXOperatorSet(domain: "martlet", version: 1))
        #expect(refusal(of: model).contains("which no file may state"))
    }
}
