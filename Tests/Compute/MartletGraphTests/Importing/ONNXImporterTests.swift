// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletGraph
internal import Testing

@Suite("ONNX importer")
struct ONNXImporterTests {
    @Test("reads nodes in any order, initialisers as constants and symbols as dimensions")
    func plain() throws {
        let model = modelOf(
            [node("Relu", ["h"], ["y"]), node("MatMul", ["x", "w"], ["h"])],
            inputs: [floats("x", .symbol("n"), .fixed(4)), floats("w", .fixed(4), .fixed(2))],
            initializers: [zeros("w", 4, 2)])
        let graph = try imported(model)
        #expect(graph.verify().isEmpty)
        #expect(
            graph.dump() == """
                graph "test"
                input x: float32[n, 4]
                constant w: float32[4, 2] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
                h: float32[n, 2] = MatMul(x, w)
                y: float32[n, 2] = Relu(h)
                output y

                """)
    }

    @Test("unnamed and negative dimensions get symbols of their own")
    func unnamedDimensions() throws {
        let model = modelOf(
            [node("Relu", ["x"], ["y"])],
            inputs: [floats("x", .unknown, .fixed(-1), .symbol("?1"), .fixed(3))])
        #expect(try imported(model).dump().contains("input x: float32[x.0, x.1, x.2, 3]"))
    }

    @Test("tells everything that stands in the way at once")
    func collects() throws {
        let model = modelOf(
            [
                node("Wavelet", ["x"], ["a"], name: "first"),
                node("If", ["a"], ["b"], name: "branch"),
                node("Adam", ["b"], ["c"], domain: "ai.onnx.preview.training"),
                node("Relu", ["missing"], ["y"], name: "last"),
                node("Foo", ["y"], ["z"], name: "foreign", domain: "com.example"),
            ])
        var withDomains = model
        withDomains.operatorSets.append(
            ONNXOperatorSet(domain: "ai.onnx.preview.training", version: 1))
        #expect(
            refusal(of: withDomains) == """
                model 'test': 5 problems
                - ai.onnx.preview.training.Adam of 'c': an operator for training; only inference is \
                supported
                - com.example.Foo 'foreign': no operator set of domain 'com.example' is imported
                - Wavelet 'first': operator not supported
                - If 'branch': operator not supported
                - Relu 'last' reads 'missing', which nothing makes
                """)
    }

    @Test(
        "names what contradicts itself",
        arguments: [
            (
                [node("Relu", ["x"], ["y"]), node("Relu", ["x"], ["y"], name: "again")],
                "'y' is made twice, again by Relu 'again'"
            ),
            ([node("Relu", ["x"], ["z"])], "nothing computes the output 'y'"),
            (
                [
                    node("Add", ["x", "b"], ["a"]), node("Add", ["x", "a"], ["b"]),
                    node("Relu", ["b"], ["y"]),
                ],
                "3 nodes wait for each other in a cycle: Add of 'a', Add of 'b', Relu of 'y'"
            ),
        ])
    func contradictions(_ nodes: [ONNXNode], _ message: String) {
        #expect(refusal(of: modelOf(nodes)) == "model 'test': " + message)
    }

    @Test("refuses versions outside the known range")
    func versions() {
        let nodes = [node("Relu", ["x"], ["y"])]
        #expect(refusal(of: modelOf(nodes, version: 0)).contains("versions 1 to 28"))
        #expect(refusal(of: modelOf(nodes, version: 99)).contains("versions 1 to 28"))
        #expect(refusal(of: modelOf(nodes, version: 28)).hasPrefix("imported"))
    }

    @Test("shape errors name the node")
    func shapeError() {
        let model = modelOf(
            [node("MatMul", ["x", "w"], ["y"], name: "head")], initializers: [zeros("w", 3, 2)])
        #expect(refusal(of: model) == "MatMul 'head': inner dimensions: 4 and 3 differ")
    }

    @Test("expands functions with their attributes, and refuses recursion")
    func functions() throws {
        var function = ONNXFunction()
        function.name = "Twice"
        function.domain = "local"
        function.inputs = ["a"]
        function.outputs = ["r"]
        function.attributes = [ONNXAttribute(name: "low", value: .float(0))]
        function.operatorSets = [ONNXOperatorSet(domain: "", version: 10)]
        function.nodes = [
            node("Add", ["a", "a"], ["sum"]),
            ONNXNode(
                operatorType: "Clip", inputs: ["sum"], outputs: ["r"],
                attributes: [ONNXAttribute(name: "min", value: nil, reference: "low")]),
        ]
        var model = modelOf([
            node("Twice", ["x"], ["m"], name: "one", domain: "local"),
            node("Twice", ["m"], ["y"], name: "two", domain: "local", ["low": .float(2)]),
        ])
        model.operatorSets.append(ONNXOperatorSet(domain: "local", version: 1))
        model.functions = [function]
        #expect(
            try imported(model).dump() == """
                graph "test"
                input x: float32[n, 4]
                constant m#1: float32[] = [0.0]
                constant y#2: float32[] = [2.0]
                one#1/sum: float32[n, 4] = Add(x, x)
                m: float32[n, 4] = Clip(one#1/sum, m#1)
                two#2/sum: float32[n, 4] = Add(m, m)
                y: float32[n, 4] = Clip(two#2/sum, y#2)
                output y

                """)
        function.nodes = [node("Twice", ["a"], ["r"], domain: "local")]
        function.operatorSets.append(ONNXOperatorSet(domain: "local", version: 1))
        model.functions = [function]
        #expect(refusal(of: model).contains("function 'local.Twice' calls itself"))
    }
}

@Suite("ONNX operator versions")
struct ONNXConverterTests {
    @Test("axes become inputs")
    func axes() throws {
        let model = modelOf(
            [
                node("Unsqueeze", ["x"], ["u"], ["axes": .ints([0])]),
                node("ReduceSum", ["u"], ["y"], ["axes": .ints([-1]), "keepdims": .int(0)]),
            ], version: 11)
        #expect(
            try imported(model).dump().contains("y: float32[1, n] = ReduceSum(u, y#2) {keepdims=0}")
        )
    }

    @Test("old softmax flattens unless it is over the last axis")
    func softmax() throws {
        let old = modelOf([node("Softmax", ["x"], ["y"])], version: 9)
        #expect(try imported(old).nodeCount == 4)
        #expect(try imported(old).dump().contains("y: float32[n, 4] = Reshape("))
        let last = modelOf([node("Softmax", ["x"], ["y"], ["axis": .int(-1)])], version: 9)
        #expect(try imported(last).nodeCount == 1)
        let new = modelOf([node("Softmax", ["x"], ["y"], ["axis": .int(1)])], version: 13)
        #expect(try imported(new).nodeCount == 1)
    }

    @Test("dropout is an identity at inference, and training is refused")
    func dropout() throws {
        let model = modelOf(
            [node("Dropout", ["x"], ["y", "mask"], ["ratio": .float(0.5)])], version: 9)
        #expect(try imported(model).dump().contains("y: float32[n, 4] = Identity(x)\n"))
        var read = model
        read.graph.outputs.append(ONNXValueInfo(name: "mask", type: nil))
        read.operatorSets[0].version = 10
        #expect(try imported(read).dump().contains("mask: bool[n, 4] = ConstantOfShape("))
    }

    @Test("batch normalisation keeps one output")
    func batchNormalization() throws {
        let parameters = ["s", "b", "m", "v"]
        let model = modelOf(
            [node("BatchNormalization", ["x"] + parameters, ["y", "m2", "v2"])],
            initializers: parameters.map { zeros($0, 4) }, version: 9)
        #expect(
            try imported(model).dump().contains(
                "y: float32[n, 4] = BatchNormalization(x, s, b, m, v)\n"))
        let training = modelOf(
            [node("BatchNormalization", ["x"] + parameters, ["y"], ["training_mode": .int(1)])],
            initializers: parameters.map { zeros($0, 4) }, version: 15)
        #expect(refusal(of: training).contains("training mode; only inference is supported"))
    }

    @Test("constant nodes become constants")
    func constants() throws {
        let model = modelOf([
            node("Constant", [], ["c"], ["value_floats": .floats([1, 2, 3, 4])]),
            node("Add", ["x", "c"], ["y"]),
        ])
        #expect(
            try imported(model).dump().contains("constant c: float32[4] = [1.0, 2.0, 3.0, 4.0]"))
        let bad = modelOf([
            node("Constant", [], ["c"], ["value_strings": .strings([[65]])]),
            node("Add", ["x", "c"], ["y"]),
        ])
        #expect(refusal(of: bad).contains("attribute 'value_strings' is not supported"))
    }

    @Test("what ONNX Runtime's optimiser leaves is taken in our terms")
    func microsoft() throws {
        var model = modelOf(
            [
                node("BiasGelu", ["x", "b"], ["g"], domain: "com.microsoft"),
                node(
                    "SkipLayerNormalization", ["g", "x", "b", "b"], ["y"], domain: "com.microsoft"),
            ], initializers: [zeros("b", 4)])
        model.operatorSets.append(ONNXOperatorSet(domain: "com.microsoft", version: 1))
        let graph = try imported(model)
        #expect(
            graph.nodes.map { graph.schema(of: $0).description } == [
                "Add", "Gelu", "martlet.SkipLayerNormalization",
            ])
    }
}
