// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import Logging
internal import MartletEngine
internal import MartletONNXRuntime
internal import MartletServing
internal import MartletStorage
internal import MartletTelemetry
internal import MartletTensor

/// `martlet run MODEL`: one inference from the command line.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a model once and print what it answers.",
        discussion: """
            An input is NAME=VALUE, where VALUE is a .npy file, @FILE for a file's bytes (an \
            image, for a model that decodes images), or JSON:

              martlet run model.onnx --input x='[[1, 2, 3]]'
              martlet run digits --input image=@seven.png
              martlet run all-MiniLM-L6-v2 --input text='["hello", "world"]'
              martlet run model.onnx --input x=x.npy --output-dir answers
              martlet run model.onnx --input x=x.npy --engine onnxruntime

            Without inputs it says which ones the model wants.
            """)

    @Argument(help: "An ONNX file, a Hugging Face folder, or a model's folder.")
    var model: String

    @Option(name: .customLong("input"), help: "NAME=VALUE; once per input.")
    var inputs: [String] = []

    @Option(
        help: "native, onnxruntime, or auto: native where it can.",
        transform: EngineChoice.init(option:))
    var engine: EngineChoice = .native

    @Option(
        help: "f32, bf16, int8, or auto: for each product what keeps the answers near f32's.",
        transform: EnginePrecision.init(option:))
    var precision: EnginePrecision = .float32

    @Option(help: "Keep the compiled model: off, on, or a folder.")
    var planCache = "off"

    @Option(help: "Write every output as NAME.npy into this folder.")
    var outputDir: String?

    func run() async throws {
        _ = Telemetry.bootstrap(style: .pretty, output: LogOutput(), level: .critical)
        let host = try LocalModelHost(options(), engine: chosenEngine())
        try await host.start()
        let names = host.models().map(\.name)
        guard let name = names.first, names.count == 1 else {
            throw CommandFailure(
                names.isEmpty
                    ? "\(model) holds no model"
                    : "\(model) holds several models; give one's folder: "
                        + names.joined(separator: ", "))
        }
        let metadata = try host.metadata(model: name, version: nil)
        guard !inputs.isEmpty else { throw CommandFailure(RunCommand.wanted(metadata)) }
        let tensors = try inputs.map { try RunCommand.input($0, metadata) }
        let answer = try await host.infer(InferenceRequest(model: name, inputs: tensors))
        for output in answer.outputs {
            print("\(output.name): \(TensorText.describe(output.tensor))")
            if let outputDir {
                let fileName = output.name.split(separator: "/").joined(separator: "_")
                try NPYTensor.write(
                    output.tensor, to: PathName.join(outputDir, "\(fileName).npy"))
            }
        }
    }

    private func chosenEngine() -> ChoosingEngine {
        ChoosingEngine(
            engine,
            report: { model, reason in
                MeasureOptions.note("\(model) runs on ONNX Runtime: \(reason)")
            })
    }

    private func options() throws -> ServingOptions {
        var options = ServingOptions(paths: [model])
        options.engineOptions = try EngineOptions(
            precision: precision, planCache: PlanCacheSetting.options(planCache),
            note: MeasureOptions.note)
        options.engineOptions.calibrate = Calibration.beside
        return options
    }

    private static func input(_ text: String, _ metadata: ModelMetadata) throws -> NamedTensor {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, let spec = metadata.inputs.first(where: { $0.name == parts[0] })
        else { throw CommandFailure("'\(text)' is not NAME=VALUE. \(wanted(metadata))") }
        let value = parts[1]
        if value.hasPrefix("@") {
            let content = try FileSystem.readAll(String(value.dropFirst()), limit: 256 << 20)
            return NamedTensor(
                name: spec.name,
                tensor: try TensorText.bytes(content, rank: spec.dimensions.count))
        }
        if value.hasSuffix(".npy") {
            return NamedTensor(name: spec.name, tensor: try NPYTensor.read(value))
        }
        return NamedTensor(
            name: spec.name, tensor: try TensorText.parse(value, as: spec.elementType))
    }

    private static func wanted(_ metadata: ModelMetadata) -> String {
        let lines = metadata.inputs.map { spec in
            let dimensions = spec.dimensions.map { $0 < 0 ? "any" : "\($0)" }
            let type = spec.elementType.protocolName ?? "\(spec.elementType)"
            return "  --input \(spec.name)=…   \(type) [\(dimensions.joined(separator: ", "))]"
        }
        return "\(metadata.name) wants:\n" + lines.joined(separator: "\n")
    }
}
