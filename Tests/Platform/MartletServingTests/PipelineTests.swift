// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletEngine
internal import MartletServing
internal import MartletTensor
internal import MartletTesting
internal import Testing

@Suite("Pipelines")
struct PipelineTests {
    /// Answers each row's mean in the first of two columns.
    private var engine: TestEngine {
        TestEngine(
            signature: ModelSignature(
                inputs: [
                    TensorSpec(name: "pixels", elementType: .float32, dimensions: [-1, 3, 8, 8])
                ],
                outputs: [
                    TensorSpec(name: "scores", elementType: .float32, dimensions: [-1, 2])
                ])
        ) { inputs in
            let rows = inputs[0].shape[0]
            let values = inputs[0].floats
            let means = (0..<rows).flatMap { row -> [Float] in
                let part = values[row * 192..<(row + 1) * 192]
                return [part.reduce(0, +) / 192, 0]
            }
            return [try Tensor.floats(means, [rows, 2])]
        }
    }

    private static let stages = """
        max_batch_size: 4
        parameters { key: "pre" value { string_value: "decode_image,resize:8,normalize:unit" } }
        parameters { key: "post" value { string_value: "top_k:1:labels.txt" } }
        """

    private func host(_ configuration: String) async throws -> LocalModelHost {
        let folder = try ScratchFolder()
        try folder.write("m/1/model.onnx")
        try folder.write("m/labels.txt", "bright\ndark\n")
        try folder.write("m/config.pbtxt", configuration)
        return try await LocalModelHost.open([folder.path], engine: engine)
    }

    private func images(_ values: [[UInt8]]) throws -> InferenceRequest {
        let byteCount = values.reduce(0) { $0 + 4 + $1.count }
        let storage = TensorStorage(byteCount: byteCount)
        var offset = 0
        for value in values {
            unsafe storage.mutableBytes.storeBytes(
                of: UInt32(value.count), toByteOffset: offset, as: UInt32.self)
            offset += 4
            for byte in value {
                unsafe storage.mutableBytes[offset] = byte
                offset += 1
            }
        }
        let tensor = try Tensor(
            elementType: .bytes, shape: [values.count], storage: storage, byteCount: byteCount)
        return InferenceRequest(
            model: "m", inputs: [NamedTensor(name: "image", tensor: tensor)])
    }

    @Test("an image's bytes go in, a label comes out")
    func classifies() async throws {
        let host = try await host(PipelineTests.stages)
        let metadata = try host.metadata(model: "m", version: nil)
        #expect(metadata.inputs.map(\.elementType) == [.bytes])
        #expect(metadata.outputs[0].dimensions == [-1, 1])
        let digit = try ScratchFolder.read(PipelineTests.sample)
        let response = try await host.infer(try images([digit, digit]))
        let texts = try BytesTensor.texts(response.outputs[0].tensor, name: "scores")
        #expect(response.outputs[0].tensor.shape == [2, 1])
        #expect(texts.count == 2 && texts[0] == texts[1])
        #expect(texts[0].hasSuffix(":0:bright"), "\(texts)")
    }

    @Test("bytes that are no image are refused, and the next request is answered")
    func refuses() async throws {
        let host = try await host(PipelineTests.stages)
        let error = await #expect(throws: ServingError.self) {
            try await host.infer(try images([[1, 2, 3]]))
        }
        #expect(error?.code == .invalidArgument)
        let digit = try ScratchFolder.read(PipelineTests.sample)
        _ = try await host.infer(try images([digit]))
    }

    @Test("more rows than the model's batch, and outputs it has not, are refused before decoding")
    func refusesEarly() async throws {
        let host = try await host(PipelineTests.stages)
        var error = await #expect(throws: ServingError.self) {
            try await host.infer(try images(Array(repeating: [1], count: 5)))
        }
        #expect(error?.message.contains("batch-size must be <= 4") == true)
        var request = try images([try ScratchFolder.read(PipelineTests.sample)])
        request.outputs = [RequestedOutput(name: "nothing")]
        error = await #expect(throws: ServingError.self) { try await host.infer(request) }
        #expect(error?.message.contains("unexpected inference output 'nothing'") == true)
        #expect(try host.statistics(model: "m", version: nil)[0].fail.count == 2)
        request.outputs = [RequestedOutput(name: "scores")]
        #expect(try await host.infer(request).outputs.map(\.name) == ["scores"])
    }

    @Test(
        "stages out of place are refused at load",
        arguments: ["resize:8", "decode_image", "softmax", "decode_image,normalize:unit,resize:8"])
    func checksOrder(_ stages: String) async throws {
        let text =
            "max_batch_size: 4 parameters { key: \"pre\" value { string_value: \"\(stages)\" } }"
        await #expect(throws: ServingError.self) { try await host(text) }
    }

    /// A sample image of the repository.
    private static var sample: String {
        let tests = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        return "/" + tests + "/Examples/samples/digit-7.png"
    }
}
