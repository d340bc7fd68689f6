// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import Glibc
internal import MartletLanguage

/// `martlet decode MODEL --tokens …`: a decoder by itself, token ids in and out. For comparing
/// logits and for measuring the engine without what stands above it.
struct DecodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Run a language model on token ids, greedily, or measure it.",
        discussion: """
              martlet decode model.gguf --tokens 1,2,3 --max-tokens 16
              martlet decode model.gguf --bench --prompt 512 --generate 128
            """,
        shouldDisplay: false)

    @Argument(help: "A Hugging Face folder or a GGUF file.")
    var model: String

    @Option(help: "The prompt's token ids, separated by commas.")
    var tokens = "1"

    @Option(help: "Tokens to generate.")
    var maxTokens = 16

    @Option(help: "Rows of a prompt's chunk; what is written must not depend on it.")
    var chunk = 512

    @Option(help: "Write the logits of every prompt row to this file: f32, [rows, vocabulary].")
    var logits: String?

    @Option(help: "stored, f32 or int8.")
    var precision = "stored"

    @Option(help: "What keys and values are kept as: f32, f16, bf16 or int8.")
    var cache = "f16"

    @Option(help: "Threads; 0 is all.")
    var threads = 0

    @Option(help: "Keep packed weights: off, on, or a folder.")
    var planCache = "off"

    @Flag(help: "Measure prefill and decoding instead.")
    var bench = false

    @Option(help: "Tokens of the measured prompt.")
    var prompt = 512

    @Option(help: "Tokens to generate in a measurement.")
    var generate = 128

    @Option(help: "Sequences to decode at once in a measurement.")
    var sequences = 1

    @Option(help: "Measurements; the best and the median are printed.")
    var repeats = 3

    @Option(help: "The most tokens of a prompt and its answer (as the model says, at most 32768).")
    var maxModelLen: Int?

    @Flag(help: "Print where the time goes.")
    var profile = false

    func run() async throws {
        let work = self
        try await OwnThread.run { try work.decode() }
    }

    private func decode() throws {
        guard let precision = DecoderOptions.Precision(rawValue: precision),
            let cache = DecoderOptions.CacheType(rawValue: cache), threads >= 0, chunk > 0,
            prompt > 0, generate >= 0, sequences > 0, repeats > 0, maxTokens >= 0,
            prompt <= 1 << 20, generate <= 1 << 20, sequences <= 4096, chunk <= 1 << 14
        else { throw ValidationError("an option is out of range") }
        let start = DecoderBench.seconds()
        var options = DecoderOptions(
            precision: precision, cacheType: cache, contextLength: maxModelLen,
            sequencesMax: max(sequences, 1),
            threads: threads == 0 ? nil : threads)
        options.planCache = try PlanCacheSetting.options(planCache)
        options.note = MeasureOptions.note
        let runner = try DecoderModel(path: model, options: options).load(options)
        let loaded = DecoderBench.seconds() - start
        if bench {
            let bench = DecoderBench(runner: runner, chunk: chunk)
            let figures = try bench.measure(
                prompt: prompt, generate: generate, sequences: sequences, repeats: repeats,
                profiles: profile)
            print("load \(DecoderBench.text(loaded)) s")
            print(figures)
            return
        }
        let ids = try tokens.split(separator: ",").map { text in
            guard let id = Int32(text) else { throw ValidationError("token '\(text)'") }
            return id
        }
        guard !ids.isEmpty else { throw ValidationError("no tokens") }
        let greedy = GreedyDecoding(runner: runner, chunk: chunk)
        var prefill: [Float] = []
        let made = try greedy.run(ids, count: maxTokens) { rows in
            if logits != nil { prefill += rows }
        }
        if let logits { try write(prefill, to: logits) }
        print(made.map(String.init).joined(separator: ","))
    }

    private func write(_ values: [Float], to path: String) throws {
        let file = unsafe fopen(path, "wb")
        guard let file = unsafe file else { throw ValidationError("cannot write '\(path)'") }
        defer { unsafe fclose(file) }
        let written = unsafe values.withUnsafeBytes { bytes in
            unsafe fwrite(bytes.baseAddress, 1, bytes.count, file)
        }
        guard written == values.count * 4 else { throw ValidationError("cannot write '\(path)'") }
    }
}
