// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletGraph
internal import Testing

@Suite("Functions of ONNX models")
struct FunctionImportTests {
    private func function(
        _ name: String, _ inputs: [String], _ outputs: [String], _ nodes: [ONNXNode]
    ) -> ONNXFunction {
        var function = ONNXFunction()
        function.name = name
        function.domain = "local"
        function.inputs = inputs
        function.outputs = outputs
        function.operatorSets = [
            ONNXOperatorSet(domain: "", version: 17), ONNXOperatorSet(domain: "local", version: 1),
        ]
        function.nodes = nodes
        return function
    }

    private func model(
        _ nodes: [ONNXNode], _ functions: ONNXFunction..., outputs: [String] = ["y"]
    ) -> ONNXModel {
        var model = modelOf(nodes, outputs: outputs)
        model.operatorSets.append(ONNXOperatorSet(domain: "local", version: 1))
        model.functions = functions
        return model
    }

    private func reference(_ name: String, to other: String) -> ONNXAttribute {
        ONNXAttribute(name: name, value: nil, reference: other)
    }

    @Test("attributes are handed on through functions in functions")
    func nested() throws {
        let inner = function(
            "Soft", ["a"], ["r"],
            [
                ONNXNode(
                    operatorType: "Softmax", inputs: ["a"], outputs: ["r"],
                    attributes: [reference("axis", to: "along")])
            ])
        let outer = function(
            "Twice", ["a"], ["r"],
            [
                ONNXNode(
                    name: "f", operatorType: "Soft", domain: "local", inputs: ["a"],
                    outputs: ["m"], attributes: [reference("along", to: "dimension")]),
                node("Soft", ["m"], ["r"], name: "g", domain: "local"),
            ])
        let call = node("Twice", ["x"], ["y"], name: "c", domain: "local", ["dimension": .int(0)])
        let dump = try imported(model([call], inner, outer)).dump()
        #expect(dump.contains("c#1/m: float32[n, 4] = Softmax(x) {axis=0}"), "\(dump)")
        #expect(dump.contains("y: float32[n, 4] = Softmax(c#1/m)"), "\(dump)")
    }

    @Test("functions that call each other are refused")
    func recursion() {
        let ping = function("Ping", ["a"], ["r"], [node("Pong", ["a"], ["r"], domain: "local")])
        let pong = function("Pong", ["a"], ["r"], [node("Ping", ["a"], ["r"], domain: "local")])
        let message = refusal(of: model([node("Ping", ["x"], ["y"], domain: "local")], ping, pong))
        #expect(message.contains("function 'local.Ping' calls itself"))
    }

    @Test("an input given back, and an output twice, are copies")
    func passingThrough() throws {
        let both = function("Both", ["a"], ["a", "r", "r"], [node("Relu", ["a"], ["r"])])
        let call = node("Both", ["x"], ["u", "v", "y"], name: "b", domain: "local")
        let graph = try imported(model([call], both, outputs: ["u", "v", "y"]))
        let dump = graph.dump()
        #expect(dump.contains("v: float32[n, 4] = Relu(x)"), "\(dump)")
        #expect(dump.contains("u: float32[n, 4] = Identity(x)"), "\(dump)")
        #expect(dump.contains("y: float32[n, 4] = Identity(v)"), "\(dump)")
    }

    @Test("more inputs or outputs than the function has, and references outside of any")
    func mismatches() {
        let one = function("One", ["a"], ["r"], [node("Relu", ["a"], ["r"])])
        let message = refusal(
            of: model(
                [
                    node("One", ["x", "x"], ["y", "z"], name: "call", domain: "local"),
                    ONNXNode(
                        name: "loose", operatorType: "Softmax", inputs: ["x"], outputs: ["w"],
                        attributes: [reference("axis", to: "along")]),
                ], one))
        #expect(
            message == """
                model 'test': 3 problems
                - local.One 'call': 2 inputs, takes 1
                - local.One 'call': 2 outputs, makes 1
                - Softmax 'loose': attribute 'axis' is the function's 'along', but the node is in no \
                function
                """)
    }

    @Test("what is unsupported is told at once: in the graph, in a function, and by type")
    func everythingAtOnce() {
        let odd = function("Odd", ["a"], ["r"], [node("Wavelet", ["a"], ["r"], name: "inner")])
        let types = refusal(
            of: modelOf(
                [
                    node("MatMul", ["x", "w"], ["a"], name: "first"),
                    node("Concat", ["a", "x"], ["b"], name: "behind", ["axis": .int(0)]),
                    node("Add", ["x", "v"], ["y"], name: "second"),
                ], initializers: [zeros("w", 3, 2), int64s("v", [1, 2, 3, 4])]))
        #expect(
            types == """
                model 'test': 2 problems
                - MatMul 'first': inner dimensions: 4 and 3 differ
                - Add 'second': input 0 is float32, input 1 is int64: they must be alike
                """)
        let operators = refusal(
            of: model(
                [
                    node("Odd", ["x"], ["m"], name: "call", domain: "local"),
                    node("Curvelet", ["m"], ["k"], name: "outer"), node("Relu", ["k"], ["y"]),
                ], odd))
        #expect(
            operators == """
                model 'test': 2 problems
                - Wavelet 'call#1/inner': operator not supported
                - Curvelet 'outer': operator not supported
                """)
    }
}
