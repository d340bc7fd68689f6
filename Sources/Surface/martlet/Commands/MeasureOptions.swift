// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import Glibc
internal import MartletBase
internal import MartletEngine
internal import MartletONNXRuntime
internal import MartletTensor

extension EnginePrecision {
    /// The precision that an option names.
    init(option text: String) throws {
        guard let precision = EnginePrecision(rawValue: text) else {
            let known = EnginePrecision.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(text)' is not a precision; known are \(known)")
        }
        self = precision
    }
}

extension EngineChoice {
    /// The engine that an option names.
    init(option text: String) throws {
        guard let choice = EngineChoice(rawValue: text) else {
            let known = EngineChoice.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(text)' is not an engine; known are \(known)")
        }
        self = choice
    }
}

/// What commands that run a model on made-up inputs have in common.
struct MeasureOptions: ParsableArguments {
    @Argument(help: "An ONNX file, a Hugging Face folder, or a model's folder.")
    var model: String

    @Option(help: "The first dimension, where it varies.")
    var batch = 1

    @Option(help: "The other dimensions that vary.")
    var sequence = 128

    @Option(help: "NAME=1x3x224x224: an input's whole shape.")
    var shape: [String] = []

    @Option(help: "Threads for kernels (one per processor).")
    var threads: Int?

    @Option(
        help: "f32, bf16, int8, or auto: for each product what keeps the answers near f32's.",
        transform: EnginePrecision.init(option:))
    var precision: EnginePrecision = .float32

    @Option(
        help: "For --precision auto: inputs to measure with (NAME.npy or test_data_set_N inside).")
    var calibrate: String?

    @Option(
        help: "native, onnxruntime, or auto: native where it can.",
        transform: EngineChoice.init(option:))
    var engine: EngineChoice = .native

    @Option(help: "Keep the compiled model: off, on, or a folder.")
    var planCache = "off"

    func check() throws {
        guard batch > 0, sequence > 0, (threads ?? 1) > 0 else {
            throw CommandFailure("--batch, --sequence and --threads must be positive")
        }
    }

    func load() throws -> any EngineSession {
        if let threads { KernelPool.start(threads: threads) }
        let engine = ChoosingEngine(
            engine,
            report: { model, reason in
                MeasureOptions.note("\(model) runs on ONNX Runtime: \(reason)")
            })
        return try engine.load(
            ModelOpener.source(model),
            options: Calibration.options(
                EngineOptions(
                    threads: threads, precision: precision,
                    planCache: PlanCacheSetting.options(planCache)),
                given: calibrate, model: model))
    }

    /// A line on standard error.
    @Sendable static func note(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = unsafe write(STDERR_FILENO, line, line.count)
    }

    func inputs(_ signature: ModelSignature) throws -> [Tensor] {
        try BenchInputs.make(signature, batch: batch, sequence: sequence, shapes: shape)
    }
}
