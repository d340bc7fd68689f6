// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletServing
internal import MartletTensor
internal import MartletTesting
internal import Testing

@Suite("Ensembles")
struct EnsembleTests {
    private static let member = """
        max_batch_size: 8
        input { name: "INPUT" data_type: TYPE_FP32 dims: 4 }
        output { name: "OUTPUT" data_type: TYPE_FP32 dims: 4 }
        """

    private static func ensemble(_ steps: String, output: String = "END") -> String {
        """
        platform: "ensemble" max_batch_size: 8
        input { name: "START" data_type: TYPE_FP32 dims: 4 }
        output { name: "\(output)" data_type: TYPE_FP32 dims: 4 }
        ensemble_scheduling { \(steps) }
        """
    }

    private static func step(_ model: String, _ from: String, _ to: String) -> String {
        """
        step { model_name: "\(model)" model_version: -1
          input_map { key: "INPUT" value: "\(from)" } output_map { key: "OUTPUT" value: "\(to)" } }
        """
    }

    private func repository(_ ensemble: String) throws -> ScratchFolder {
        let folder = try ScratchFolder()
        for name in ["a", "b"] {
            try folder.write("\(name)/config.pbtxt", EnsembleTests.member)
            try folder.write("\(name)/1/model.onnx")
        }
        try folder.write("both/config.pbtxt", ensemble)
        try folder.write("both/1/empty")
        return folder
    }

    /// Adds one to every element.
    private var engine: TestEngine {
        TestEngine(
            signature: ModelSignature(
                inputs: [TensorSpec(name: "INPUT", elementType: .float32, dimensions: [-1, 4])],
                outputs: [TensorSpec(name: "OUTPUT", elementType: .float32, dimensions: [-1, 4])])
        ) { inputs in [try Tensor.floats(inputs[0].floats.map { $0 + 1 }, inputs[0].shape)] }
    }

    @Test("steps run in the order of their tensors, whatever the order in the file")
    func runs() async throws {
        let steps = EnsembleTests.step("b", "MID", "END") + EnsembleTests.step("a", "START", "MID")
        let folder = try repository(EnsembleTests.ensemble(steps))
        let host = try await LocalModelHost.open([folder.path], engine: engine)
        let input = try Tensor.floats([1, 2, 3, 4, 5, 6, 7, 8], [2, 4])
        let response = try await host.infer(
            InferenceRequest(model: "both", inputs: [NamedTensor(name: "START", tensor: input)]))
        #expect(response.outputs.map(\.name) == ["END"])
        #expect(response.outputs[0].tensor.floats == [3, 4, 5, 6, 7, 8, 9, 10])
        #expect(try host.statistics(model: "both", version: nil)[0].success.count == 1)
        #expect(try host.metadata(model: "both", version: nil).platform == "ensemble")
    }

    @Test(
        "a graph that cannot run is refused at load with what is wrong",
        arguments: [
            ([step("a", "MID", "MID2"), step("b", "MID2", "MID")], "END", "circle"),
            ([step("a", "START", "MID")], "END", "never made"),
            ([step("a", "START", "END"), step("b", "START", "END")], "END", "made twice"),
            ([step("c", "START", "END")], "END", "not loaded"),
            ([step("a", "NOWHERE", "END")], "END", "'NOWHERE' is never made"),
            ([step("both", "START", "END")], "END", "step of itself"),
        ])
    func refuses(_ steps: [String], _ output: String, _ part: String) async throws {
        let folder = try repository(EnsembleTests.ensemble(steps.joined(), output: output))
        let host = LocalModelHost(ServingOptions(paths: [folder.path]), engine: engine)
        let error = await #expect(throws: ServingError.self) { try await host.start() }
        #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
        #expect(try host.isReady(model: "a", version: nil))
        #expect(!host.isReady)
    }

    @Test("ensembles that become each other's steps are refused, and the first goes on")
    func circle() async throws {
        let folder = try repository(EnsembleTests.ensemble(EnsembleTests.step("a", "START", "END")))
        func around(_ model: String) -> String {
            EnsembleTests.ensemble(
                """
                step { model_name: "\(model)" model_version: -1
                  input_map { key: "START" value: "START" } output_map { key: "END" value: "END" } }
                """)
        }
        try folder.write("outer/config.pbtxt", around("both"))
        try folder.write("outer/1/empty")
        var options = ServingOptions(paths: [folder.path])
        options.controlMode = .explicit
        options.startupModels = ["*"]
        let host = LocalModelHost(options, engine: engine)
        try await host.start()
        try folder.write("both/config.pbtxt", around("outer"))
        let error = await #expect(throws: ServingError.self) {
            try await host.load(model: "both", configuration: nil, files: [:])
        }
        #expect(error?.message.contains("step of itself") == true, "\(error?.message ?? "")")
        let input = try Tensor.floats([1, 2, 3, 4], [1, 4])
        let response = try await host.infer(
            InferenceRequest(model: "outer", inputs: [NamedTensor(name: "START", tensor: input)]))
        #expect(response.outputs[0].tensor.floats == [2, 3, 4, 5])
        #expect(await host.drain())
    }

    @Test("a failing step fails the request with the ensemble named, and nothing hangs")
    func fails() async throws {
        let steps = EnsembleTests.step("a", "START", "MID") + EnsembleTests.step("b", "MID", "END")
        let folder = try repository(EnsembleTests.ensemble(steps))
        let script = EngineScript()
        let engine = TestEngine.echo(script: script)
        let host = try await LocalModelHost.open([folder.path], engine: engine)
        script.failRuns([nil, EngineError(.internal, "broken on purpose")])
        let input = try Tensor.floats([1, 2, 3, 4], [1, 4])
        let request = InferenceRequest(
            model: "both", inputs: [NamedTensor(name: "START", tensor: input)])
        let error = await #expect(throws: ServingError.self) { try await host.infer(request) }
        #expect(error?.message == "in ensemble 'both', broken on purpose")
        _ = try await host.infer(request)
    }
}
