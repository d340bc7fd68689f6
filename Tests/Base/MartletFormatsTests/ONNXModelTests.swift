// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletTesting
internal import Testing

@Suite("ONNX models")
struct ONNXModelTests {
    func read(_ bytes: [UInt8], _ limits: ONNXLimits = ONNXLimits()) throws -> ONNXModel {
        try ONNXModel(ByteRegion(copying: bytes), limits: limits)
    }

    func code(_ bytes: [UInt8], _ limits: ONNXLimits = ONNXLimits()) -> FormatError.Code? {
        let error = #expect(throws: FormatError.self) { try read(bytes, limits) }
        return error?.code
    }

    @Test("a small model is read whole")
    func example() throws {
        let model = try read(ModelBytes.example())
        #expect(model.irVersion == 8)
        #expect(model.operatorSetVersion() == 17)
        #expect(model.producerName == "martlet-tests")
        #expect(model.metadata == [ONNXMetadata(key: "author", value: "nobody")])
        #expect(model.graph.name == "main")
        #expect(model.graph.nodes.map(\.operatorType) == ["Gemm", "If"])
        #expect(model.graph.nodes[0].inputs == ["x", "w", "b"])
        let shape: [ONNXDimension] = [.symbol("n"), .fixed(2)]
        let input = ONNXValueInfo(name: "x", type: .tensor(.float32, shape: shape))
        #expect(model.graph.inputs == [input])
        let weights = try #require(model.graph.initializers.first)
        #expect(weights.dimensions == [1, 2])
        #expect(weights.rawBytes?.copied() == [0, 0, 128, 63, 0, 0, 0, 64])
    }

    @Test("every kind of part is read")
    func everything() throws {
        let model = try read(ModelBytes.everything())
        let node = try #require(model.graph.nodes.first)
        #expect(node.domain == "local" && node.overload == "v1")
        #expect(node.inputs == ["x", ""])
        #expect(node.attributes.count == 16)
        guard case .float(1.5) = node.attribute("f")?.value,
            case .int(-7) = node.attribute("i")?.value,
            case .ints([3, 4]) = node.attribute("ints")?.value,
            case .ints([]) = node.attribute("empty")?.value,
            case .floats([1, 2]) = node.attribute("floats")?.value,
            case .strings(let strings) = node.attribute("strings")?.value,
            case .graph(let graph) = node.attribute("g")?.value,
            case .sparseTensor(let sparse) = node.attribute("sparse")?.value,
            case .type(let type) = node.attribute("type")?.value
        else {
            Issue.record("an attribute is of another kind: \(node.attributes)")
            return
        }
        #expect(node.attribute("s")?.text == "text")
        #expect(strings == [Array("a".utf8), Array("b".utf8)])
        #expect(graph.name == "inner")
        #expect(sparse.dimensions == [2, 4])
        #expect(
            type
                == .sequence(.map(key: .int64, value: .optional(.tensor(.float32, shape: nil)))))
        #expect(node.attribute("passed")?.reference == "alpha")
        #expect(node.attribute("passed")?.value == nil)
        #expect(model.graph.sparseInitializers.count == 1)
        #expect(model.graph.valueInfo.map(\.name) == ["seq", "untyped"])
        #expect(model.hasTrainingInfo)
        let function = try #require(model.functions.first)
        #expect(function.name == "Twice" && function.domain == "local")
        #expect(function.attributeNames == ["alpha"])
        #expect(function.attributes.map(\.name) == ["beta"])
        #expect(function.operatorSets == [ONNXOperatorSet(domain: "", version: 17)])
    }

    @Test("versions beyond the known and models without any are refused")
    func versions() {
        let old = ModelBytes.model(irVersion: 14, opset: 28) { _ in }
        #expect(throws: Never.self) { try read(old) }
        #expect(code(ModelBytes.model(irVersion: 15) { _ in }) == .unsupported)
        #expect(code(ModelBytes.model(opset: 29) { _ in }) == .unsupported)
        #expect(code(ModelBytes.model(opset: 0) { _ in }) == .unsupported)
        #expect(code(ModelBytes.model(irVersion: 0) { _ in }) == .missing)
        #expect(code([]) == .missing)
        var unversioned = ProtobufWriter()
        unversioned.int64(1, 8)
        unversioned.message(7) { _ in }
        #expect(code(unversioned.bytes) == .missing)
    }

    @Test("a second graph, a nameless operator and a nameless attribute are refused")
    func structure() {
        var twice = ProtobufWriter()
        twice.message(7) { _ in }
        #expect(code(ModelBytes.example() + twice.bytes) == .malformed)
        #expect(code(ModelBytes.model { $0.message(1) { $0.string(3, "node") } }) == .missing)
        let nameless = ModelBytes.model { graph in
            graph.message(1) { node in
                node.string(4, "Add")
                node.message(5) { $0.int64(20, 2) }
            }
        }
        #expect(code(nameless) == .missing)
    }

    @Test("every truncation of a model is an error")
    func truncated() {
        let bytes = ModelBytes.example()
        // Cutting off the trailing metadata and the operator sets leaves other faults or a model.
        for count in 0..<bytes.count - 40 {
            #expect(throws: FormatError.self, "\(count) bytes") {
                try read(Array(bytes[0..<count]))
            }
        }
    }

    @Test("subgraphs nested without end and models of too many parts are refused")
    func limits() {
        func nest(_ writer: inout ProtobufWriter, _ depth: Int) {
            writer.message(1) { node in
                node.string(4, "If")
                node.message(5) { attribute in
                    attribute.string(1, "then_branch")
                    attribute.int64(20, 5)
                    attribute.message(6) { if depth > 0 { nest(&$0, depth - 1) } }
                }
            }
        }
        #expect(throws: Never.self) { try read(ModelBytes.model { nest(&$0, 18) }) }
        #expect(code(ModelBytes.model { nest(&$0, 30) }) == .limitExceeded)
        var limits = ONNXLimits()
        limits.itemsMax = 100
        let many = ModelBytes.model { graph in
            for _ in 0..<200 { graph.message(1) { $0.string(4, "Add") } }
        }
        #expect(code(many, limits) == .limitExceeded)
    }

    @Test(
        "the models of the onnx wheel read, when MARTLET_LIGHT_MODELS names their folder",
        .enabled(if: environment("MARTLET_LIGHT_MODELS") != nil))
    func light() throws {
        let folder = try #require(environment("MARTLET_LIGHT_MODELS"))
        for name in [
            "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50",
            "shufflenet", "squeezenet", "vgg19", "zfnet512",
        ] {
            let file = try ONNXFile(path: "\(folder)/light_\(name).onnx")
            #expect(file.model.graph.nodes.count > 10)
            for tensor in file.model.graph.initializers {
                let count = try tensor.elements(in: file.externalFiles).count
                #expect(count == tensor.byteCount)
            }
        }
    }
}
