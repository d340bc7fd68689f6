// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletTesting
internal import Testing

@Suite("ONNX models")
struct ONNXModelTests {
    @Test("a small model is read whole")
    func example() throws {
        let model = try ONNXModel(ByteRegion(copying: ModelBytes.example()))
        #expect(model.irVersion == 8)
        #expect(model.operatorSetVersion() == 17)
        #expect(model.producerName == "martlet-tests")
        #expect(model.metadata == [ONNXMetadata(key: "author", value: "nobody")])
        #expect(model.graph.name == "main")
        #expect(model.graph.nodes.map(\.operatorType) == ["Gemm", "If"])
        #expect(model.graph.nodes[0].inputs == ["x", "w", "b"])
        let shape: [ONNXDimension] = [.symbol("n"), .fixed(2)]
        #expect(
            model.graph.inputs == [
                ONNXValueInfo(name: "x", type: .tensor(.float32, shape: shape))
            ])
        let weights = try #require(model.graph.initializers.first)
        #expect(weights.dimensions == [1, 2])
        #expect(weights.rawBytes?.copied() == [0, 0, 128, 63, 0, 0, 0, 64])
        let files = ONNXExternalFiles(folder: nil)
        let bias = try model.graph.initializers[1].elements(in: files)
        #expect(bias.copied() == [0, 0, 128, 62])
    }

    @Test(
        "the models of the onnx wheel read, when MARTLET_LIGHT_MODELS names their folder",
        .enabled(if: environment("MARTLET_LIGHT_MODELS") != nil))
    func light() throws {
        let folder = try #require(environment("MARTLET_LIGHT_MODELS"))
        for name in [
            "resnet50", "densenet121", "inception_v2", "vgg19", "bvlc_alexnet", "zfnet512",
        ] {
            let file = try ONNXFile(path: "\(folder)/light_\(name).onnx")
            #expect(file.model.graph.nodes.count > 10)
            for tensor in file.model.graph.initializers {
                #expect(try tensor.elements(in: file.externalFiles).count == tensor.byteCount)
            }
        }
    }
}
