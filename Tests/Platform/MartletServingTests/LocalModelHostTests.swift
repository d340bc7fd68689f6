// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletServing
internal import MartletTensor
internal import MartletTesting
internal import Testing

@Suite("LocalModelHost")
struct LocalModelHostTests {
    @Test("a single .onnx file answers under its stem, with its rows")
    func servesFile() async throws {
        let folder = try ScratchFolder()
        try folder.write("echo.onnx")
        let host = try await LocalModelHost.open(
            [folder.path + "/echo.onnx"], engine: TestEngine.echo())
        let input = try Tensor.floats([1, 2, 3, 4, 5, 6, 7, 8], [2, 4])
        let response = try await host.infer(
            InferenceRequest(model: "echo", inputs: [NamedTensor(name: "INPUT", tensor: input)]))
        #expect(response.version == "1")
        #expect(response.outputs.map(\.name) == ["OUTPUT"])
        #expect(response.outputs[0].tensor.floats == [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(response.outputs[0].tensor.shape == [2, 4])
        #expect(host.isReady)
        let metadata = try host.metadata(model: "echo", version: nil)
        #expect(metadata.inputs.first?.dimensions == [-1, 4])
        let statistics = try host.statistics(model: "echo", version: nil)
        #expect(statistics.first?.inferenceCount == 2)
        #expect(statistics.first?.executionCount == 1)
    }

    @Test("a model may be served under another name than its folder's; no output is given twice")
    func servesByName() async throws {
        let folder = try ScratchFolder()
        try folder.write("m/1/model.onnx")
        try folder.write("m/config.pbtxt", "name: \"m\"")
        var options = ServingOptions(paths: [])
        options.entries = [ServingOptions.Entry(path: folder.path + "/m", name: "other")]
        let host = LocalModelHost(options, engine: TestEngine.echo())
        try await host.start()
        let input = NamedTensor(name: "INPUT", tensor: try Tensor.floats([1, 2, 3, 4], [1, 4]))
        let wanted = RequestedOutput(name: "OUTPUT")
        var request = InferenceRequest(model: "other", inputs: [input], outputs: [wanted])
        #expect(try await host.infer(request).outputs.count == 1)
        request.outputs = [wanted, wanted]
        let error = await #expect(throws: ServingError.self) { try await host.infer(request) }
        #expect(error?.message == "output 'OUTPUT' is requested more than once")
    }

    @Test("concurrent requests are joined and each gets its own rows back")
    func joinsRequests() async throws {
        let folder = try ScratchFolder()
        try folder.write("echo.onnx")
        let script = EngineScript()
        script.delay(run: .milliseconds(2))
        let host = try await LocalModelHost.open(
            [folder.path], engine: TestEngine.echo(script: script))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let rows = 1 + number % 3
                    let values = (0..<rows * 4).map { Float(number * 100 + $0) }
                    let input = try Tensor.floats(values, [rows, 4])
                    let response = try await host.infer(
                        InferenceRequest(
                            model: "echo", inputs: [NamedTensor(name: "INPUT", tensor: input)]))
                    #expect(response.outputs[0].tensor.floats == values)
                }
            }
            try await group.waitForAll()
        }
        #expect(script.record.runs < 200)
    }

    @Test("classification answers the best as value:index")
    func classifies() async throws {
        let folder = try ScratchFolder()
        try folder.write("echo.onnx")
        let host = try await LocalModelHost.open([folder.path], engine: TestEngine.echo())
        let input = try Tensor.floats([0.25, 4, -1, 4], [1, 4])
        let response = try await host.infer(
            InferenceRequest(
                model: "echo", inputs: [NamedTensor(name: "INPUT", tensor: input)],
                outputs: [RequestedOutput(name: "OUTPUT", classification: 3)]))
        let tensor = response.outputs[0].tensor
        #expect(tensor.shape == [1, 3])
        #expect(
            try BytesTensor.texts(tensor, name: "OUTPUT")
                == ["4.000000:1", "4.000000:3", "0.250000:0"])
    }

    @Test("what cannot be right is refused with both sides named")
    func refuses() async throws {
        let folder = try ScratchFolder()
        try folder.write("echo.onnx")
        let host = try await LocalModelHost.open([folder.path], engine: TestEngine.echo())
        let good = try Tensor.floats([1, 2, 3, 4], [1, 4])
        let wrongShape = try Tensor.floats([1, 2, 3], [1, 3])
        func message(_ request: InferenceRequest) async -> String {
            do {
                _ = try await host.infer(request)
                return "answered"
            } catch { return "\(error)" }
        }
        func request(
            _ name: String, _ tensor: Tensor, model: String = "echo", version: String? = nil
        ) -> InferenceRequest {
            InferenceRequest(
                model: model, version: version, inputs: [NamedTensor(name: name, tensor: tensor)])
        }
        #expect(await message(request("INPUT", good, model: "none")).contains("unknown model"))
        #expect(await message(request("INPUT", good, version: "7")).contains("version 7"))
        #expect(
            await message(request("INPUT", wrongShape)).contains("Expected [-1,4], got [1,3]"))
        #expect(await message(request("OTHER", good)).contains("unexpected inference input"))
        #expect(await message(request("INPUT", good)) == "answered")
    }
}
