// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletLanguage
internal import MartletServing
internal import MartletTensor
internal import MartletTesting
internal import Testing

/// What the executor of text models does, seen through a host of a real encoder of a few kilobytes.
@Suite("Text models")
struct TextModelTests {
    private func serving<Result>(
        _ encoder: TinyEncoder, _ body: (LocalModelHost) async throws -> Result
    ) async throws -> Result {
        let folder = try TestFolder()
        try encoder.write(to: folder)
        var options = ServingOptions(paths: [])
        options.entries = [.init(path: folder.path, name: "m")]
        let host = LocalModelHost(options)
        try await host.start()
        return try await body(host)
    }

    private func embed(_ host: LocalModelHost, _ inputs: [TextInput], dimensions: Int? = nil)
        async throws -> EmbeddingResponse
    {
        try await host.embed(
            EmbeddingRequest(model: "m", inputs: inputs, dimensions: dimensions))
    }

    private func refusal(_ body: () async throws -> Void) async -> ServingError? {
        do {
            try await body()
            return nil
        } catch { return error as? ServingError }
    }

    @Test("a folder's files must match the digests beside them")
    func digests() async throws {
        let folder = try TestFolder()
        let encoder = TinyEncoder()
        try encoder.write(to: folder)
        let digest = Digest.sha256(encoder.weights()).hexadecimal
        func start() async throws {
            var options = ServingOptions(paths: [])
            options.entries = [.init(path: folder.path, name: "m")]
            try await LocalModelHost(options).start()
        }
        try folder.write("model.safetensors.sha256", digest + "  model.safetensors\n")
        try await start()
        try folder.write("model.safetensors.sha256", String(repeating: "0", count: 64))
        let wrong = await refusal(start)
        #expect(wrong?.message.contains("has the SHA-256 \(digest), expected 000") == true)
        folder.remove("model.safetensors.sha256")
        try folder.write("vocab.txt.sha256", digest)
        let missing = await refusal(start)
        #expect(missing?.message.contains("vocab.txt' is missing") == true)
    }

    @Test("each text has its own vector, in the texts' order, whatever their lengths")
    func order() async throws {
        try await serving(TinyEncoder()) { host in
            let words = ["hello", "world", "a", "ab"]
            let texts = (0..<70).map { number in
                Array(repeating: words[number % 4], count: 1 + number % 17).joined(separator: " ")
            }
            let together = try await embed(host, texts.map { .text($0) })
            #expect(together.dimensions == 8 && together.vectors.count == 70 * 8)
            for number in [0, 1, 7, 31, 69] {
                let alone = try await embed(host, [.text(texts[number])]).vectors
                let row = together.vectors[number * 8..<number * 8 + 8]
                for (left, right) in zip(alone, row) { #expect(abs(left - right) < 1e-5) }
            }
        }
    }

    @Test("tokens stand for their text, and are counted")
    func tokens() async throws {
        try await serving(TinyEncoder()) { host in
            let text = try await embed(host, [.text("hello world")])
            let tokens = try await embed(host, [.tokens([1, 4, 5, 2])])
            #expect(text.promptTokens == 4 && tokens.promptTokens == 4)
            for (left, right) in zip(text.vectors, tokens.vectors) {
                #expect(abs(left - right) < 1e-5)
            }
        }
    }

    @Test("fewer dimensions are the first ones")
    func dimensions() async throws {
        try await serving(TinyEncoder()) { host in
            let whole = try await embed(host, [.text("hello")]).vectors
            let part = try await embed(host, [.text("hello")], dimensions: 3)
            #expect(part.dimensions == 3 && part.vectors.count == 3)
            let length = whole[..<3].reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
            for (left, right) in zip(part.vectors, whole) {
                #expect(abs(left - right / length) < 1e-5)
            }
        }
    }

    @Test("what cannot be answered is refused with the reason")
    func refusals() async throws {
        try await serving(TinyEncoder()) { host in
            let cases: [([TextInput], Int?, ServingError.Code)] = [
                ([], nil, .invalidArgument), ([.text("a")], 9, .invalidArgument),
                ([.text("a")], 0, .invalidArgument), ([.tokens([99])], nil, .invalidArgument),
                (Array(repeating: .text("a"), count: 8_193), nil, .payloadTooLarge),
            ]
            for (inputs, dimensions, code) in cases {
                let error = await refusal {
                    _ = try await embed(host, inputs, dimensions: dimensions)
                }
                #expect(error?.code == code, "\(inputs.count) inputs: \(error?.message ?? "-")")
            }
            let error = await refusal {
                _ = try await host.rerank(
                    RerankRequest(model: "m", query: "a", documents: ["b"]))
            }
            #expect(error?.code == .unsupported)
        }
    }

    @Test("a request cancelled before its texts are read is not computed")
    func cancelled() async throws {
        try await serving(TinyEncoder()) { host in
            let before = try host.statistics(model: "m", version: nil)[0].executionCount
            let cancellation = Cancellation()
            cancellation.cancel()
            let request = EmbeddingRequest(model: "m", inputs: [.text("hello")])
            let result = await withCheckedContinuation { continuation in
                host.submit(request, cancellation: cancellation) { (result) in
                    continuation.resume(returning: result)
                }
            }
            guard case .failure(let error) = result else {
                Issue.record("a cancelled request was answered")
                return
            }
            #expect(error.code == .cancelled)
            let after = try host.statistics(model: "m", version: nil)[0].executionCount
            #expect(after == before)
        }
    }

    @Test("a cross-encoder's scores are the sigmoids of its logits")
    func ranking() async throws {
        try await serving(TinyEncoder(prefix: "bert.", labels: 1)) { host in
            let documents = ["world", "a", "hello world a", "ab"]
            let ranked = try await host.rerank(
                RerankRequest(model: "m", query: "hello", documents: documents))
            let queries = try BytesTensor.make(
                documents.map { _ in "hello" }, shape: [4])
            let seconds = try BytesTensor.make(documents, shape: [4])
            let response = try await host.infer(
                InferenceRequest(
                    model: "m",
                    inputs: [
                        NamedTensor(name: "text", tensor: queries),
                        NamedTensor(name: "text_pair", tensor: seconds),
                    ]))
            let logits = response.outputs[0].tensor.floats
            #expect(response.outputs[0].name == "logits" && logits.count == 4)
            for (score, logit) in zip(ranked.scores, logits) {
                #expect(abs(score - 1 / (1 + expf(-logit))) < 1e-5)
            }
            let error = await refusal { _ = try await embed(host, [.text("a")]) }
            #expect(error?.code == .unsupported)
        }
    }
}
