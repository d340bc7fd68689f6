// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import MartletEngine
internal import MartletLanguage
internal import MartletTensor

/// `martlet inspect MODEL`: what a model takes, gives, is made of, and needs.
struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show a model's inputs, outputs, operators, parameters and memory.",
        discussion: """
            Everything that stands in the way of running it is listed at once, with the nodes' \
            names; the command then ends with status 1.

              martlet inspect model.onnx
              martlet inspect model.onnx --shape image=1x3x640x640
            """)

    @Argument(help: "An ONNX or GGUF file, a Hugging Face folder, or a model's folder.")
    var model: String

    @Option(help: "NAME=1x3x224x224: plan memory for this shape (varying dimensions are 1).")
    var shape: [String] = []

    @Option(
        help: "f32, bf16, int8 or auto: how products with weights are computed.",
        transform: EnginePrecision.init(option:))
    var precision: EnginePrecision = .float32

    @Option(
        help: "For --precision auto: inputs to measure with (NAME.npy or test_data_set_N inside).")
    var calibrate: String?

    func run() async throws {
        let work = self
        let hasProblems = try await OwnThread.run { try work.show() }
        if hasProblems { throw ExitCode.failure }
    }

    private func show() throws -> Bool {
        if LoadedDecoder.isLanguageModel(model) {
            print(try DecoderDescription(path: model).text)
            return false
        }
        let source = try ModelOpener.source(model)
        var options = Calibration.options(
            EngineOptions(precision: precision), given: calibrate, model: model)
        options.note = nil
        var inspection = ModelInspection(source, options: options)
        if !shape.isEmpty {
            let shapes = try ShapeOption.read(shape, inputs: inspection.inputs)
            inspection = ModelInspection(source, inputShapes: shapes, options: options)
        }
        print(describe(inspection))
        return !inspection.problems.isEmpty
    }

    private func describe(_ model: ModelInspection) -> String {
        var lines: [String] = []
        if !model.name.isEmpty { lines.append("name         \(model.name)") }
        if !model.producer.isEmpty { lines.append("producer     \(model.producer)") }
        if !model.operatorSets.isEmpty {
            lines.append("opsets       \(model.operatorSets.joined(separator: ", "))")
        }
        lines += model.inputs.map { "input        \(InspectCommand.text($0))" }
        lines += model.outputs.map { "output       \(InspectCommand.text($0))" }
        lines.append(
            "parameters   \(model.parameterCount) in \(ByteText.of(model.parameterBytes))")
        if let memory = model.memory {
            let shapes = zip(model.inputs, memory.inputShapes).map { "\($0.name) \($1)" }
            lines.append("memory for   \(shapes.joined(separator: ", "))")
            lines.append("  weights    \(ByteText.of(memory.packedBytes)) packed for the kernels")
            lines.append("  arena      \(ByteText.of(memory.arenaBytes)) per instance")
            lines.append("  outputs    \(ByteText.of(memory.outputBytes))")
            lines.append("  steps      \(memory.steps)")
        }
        lines.append("operators    \(InspectCommand.text(model.operators))")
        if !model.compiledOperators.isEmpty {
            lines.append("compiled to  \(InspectCommand.text(model.compiledOperators))")
        }
        if let precisions = model.precisions { lines.append("precision    \(precisions)") }
        for (key, value) in model.metadata { lines.append("metadata     \(key) = \(value)") }
        if !model.problems.isEmpty {
            lines.append("it cannot be run:")
            lines += model.problems.map { "  \($0)" }
        }
        return lines.joined(separator: "\n")
    }

    private static func text(_ spec: TensorSpec) -> String {
        let dimensions = zip(spec.dimensions, spec.dimensionNames).map { dimension, name in
            dimension >= 0 ? "\(dimension)" : name ?? "any"
        }
        let type = spec.elementType.protocolName ?? "\(spec.elementType)"
        return "\(spec.name)  \(type) [\(dimensions.joined(separator: ", "))]"
    }

    private static func text(_ counts: [ModelInspection.OperatorCount]) -> String {
        counts.map { "\($0.name) ×\($0.count)" }.joined(separator: ", ")
    }
}

/// Sizes as people read them.
enum ByteText {
    static func of(_ bytes: Int) -> String {
        if bytes < 1 << 10 { return "\(bytes) B" }
        let (unit, name) = bytes < 1 << 20 ? (1 << 10, "KiB") : (1 << 20, "MiB")
        return "\((Double(bytes) / Double(unit) * 10).rounded() / 10) \(name)"
    }
}
