// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletGraph
internal import Testing

@Suite("ONNX graphs inside nodes")
struct BodyImportTests {
    private let operators = OperatorSet([.if, .loop, .add, .relu, .identity, .sequenceEmpty])

    private func branch(_ nodes: [ONNXNode], outputs: [String]) -> ONNXAttributeValue {
        var graph = ONNXGraph()
        graph.name = "branch"
        graph.nodes = nodes
        graph.outputs = outputs.map { ONNXValueInfo(name: $0, type: nil) }
        return .graph(graph)
    }

    private func imported(_ model: ONNXModel) throws(GraphError) -> Graph {
        try ONNXImporter(operators: operators)
            .graph(of: model, externalFiles: ONNXExternalFiles(folder: nil))
    }

    private func refusal(_ model: ONNXModel) -> String {
        do throws(GraphError) {
            return "imported: " + (try imported(model)).dump()
        } catch {
            return error.message
        }
    }

    private let condition = ONNXValueInfo(name: "c", type: .tensor(.bool, shape: []))
    private let x = floats("x", .fixed(3))

    @Test("what a branch reads around it becomes its input, through every level")
    func captures() throws {
        let inner = node(
            "If", ["c"], ["q"],
            [
                "then_branch": branch([node("Relu", ["x"], ["a"])], outputs: ["a"]),
                "else_branch": branch([node("Add", ["x", "w"], ["b"])], outputs: ["b"]),
            ])
        let outer = node(
            "If", ["c"], ["y"],
            [
                "then_branch": branch([inner], outputs: ["q"]),
                "else_branch": branch([], outputs: ["x"]),
            ])
        let model = modelOf(
            [outer], inputs: [x, condition], initializers: [zeros("w", 3)])
        let graph = try imported(model)
        #expect(graph.verify().isEmpty)
        #expect(graph.dump().contains("y: float32[3] = If(c, "))
        let node = try #require(graph.nodes.first { graph.schema(of: $0) == .if })
        let bodies = graph.bodies(of: node)
        #expect(bodies.map(\.name) == ["else_branch", "then_branch"])
        #expect(bodies[1].graph.inputs.count == 2)
        #expect(bodies[1].graph.verify().isEmpty)
        #expect(bodies[1].graph.dump().contains("input x: float32[3]"))
    }

    @Test("names that nothing makes, cycles through branches, missing branches")
    func hostile() {
        func conditional(_ nodes: [ONNXNode], _ output: String) -> ONNXNode {
            node(
                "If", ["c"], ["y"],
                [
                    "then_branch": branch(nodes, outputs: [output]),
                    "else_branch": branch(nodes, outputs: [output]),
                ])
        }
        let inputs = [x, condition]
        #expect(
            refusal(modelOf([conditional([node("Relu", ["u"], ["a"])], "a")], inputs: inputs))
                .contains("reads 'u', which nothing makes"))
        // The branch reads what is made of the condition's result.
        let cycle = [
            conditional([node("Relu", ["z"], ["a"])], "a"), node("Relu", ["y"], ["z"]),
        ]
        #expect(refusal(modelOf(cycle, inputs: inputs)).contains("in a cycle"))
        let within = conditional([node("Relu", ["b"], ["a"]), node("Relu", ["a"], ["b"])], "a")
        #expect(refusal(modelOf([within], inputs: inputs)).contains("in a cycle"))
        let none = node("If", ["c"], ["y"])
        #expect(
            refusal(modelOf([none], inputs: inputs)).contains("it has no graph 'then_branch'"))
        let few = node(
            "Loop", ["", "", "x"], ["y"], ["body": branch([], outputs: ["x"])])
        #expect(refusal(modelOf([few], inputs: inputs)).contains("takes 0 inputs, is given 3"))
    }

    @Test("graphs nested too deep are refused")
    func depth() {
        var inner = node("Relu", ["x"], ["r0"])
        for level in 1...20 {
            let result = inner.outputs[0]
            inner = node(
                "If", ["c"], ["r\(level)"],
                [
                    "then_branch": branch([inner], outputs: [result]),
                    "else_branch": branch([], outputs: ["x"]),
                ])
        }
        let model = modelOf([inner], inputs: [x, condition], outputs: ["r20"])
        #expect(refusal(model).contains("graphs are nested deeper than 8"))
    }

    @Test("a function's names and attributes reach the graphs inside it")
    func functions() throws {
        var function = ONNXFunction()
        function.name = "Choose"
        function.domain = "local"
        function.inputs = ["flag", "value"]
        function.outputs = ["result"]
        function.operatorSets = [ONNXOperatorSet(domain: "", version: 17)]
        function.nodes = [
            node(
                "If", ["flag"], ["result"],
                [
                    "then_branch": branch([node("Relu", ["value"], ["t"])], outputs: ["t"]),
                    "else_branch": branch([node("Identity", ["value"], ["t"])], outputs: ["t"]),
                ])
        ]
        var model = modelOf(
            [node("Choose", ["c", "x"], ["y"], name: "pick", domain: "local")],
            inputs: [x, condition])
        model.operatorSets.append(ONNXOperatorSet(domain: "local", version: 1))
        model.functions = [function]
        #expect(try imported(model).dump().contains("y: float32[3] = If(c, x, x)"))
        // A function that calls itself inside a branch never ends by itself.
        model.functions[0].nodes = [
            node(
                "If", ["flag"], ["result"],
                [
                    "then_branch": branch(
                        [node("Choose", ["flag", "value"], ["t"], domain: "local")],
                        outputs: ["t"]),
                    "else_branch": branch([], outputs: ["value"]),
                ])
        ]
        model.functions[0].operatorSets.append(ONNXOperatorSet(domain: "local", version: 1))
        #expect(refusal(model).contains("graphs are nested deeper than 8"))
    }
}
