// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletJSON
internal import MartletServing
internal import MartletTesting
internal import MartletWire
internal import Synchronization
internal import Testing
internal import Tracing

/// A server with one scripted language model, "twin".
struct TwinServer {
    let port: Int
    let host: LocalModelHost
    let models: TwinModels

    static func with<Result>(
        _ models: TwinModels = TwinModels(), port: Int = 0,
        _ body: (TwinServer) async throws -> Result
    ) async throws -> Result {
        let folder = try TestFolder()
        try TwinModels.write("twin", to: folder)
        let host = LocalModelHost(
            ServingOptions(paths: [folder.path + "/twin"]), openLanguage: models.open)
        try await host.start()
        var configuration = HTTPServerConfiguration(host: "127.0.0.1", port: port)
        configuration.drainTimeout = .seconds(5)
        configuration.logsAccess = false
        var router = Router()
        AdminRoutes.add(
            to: &router, name: "martlet", version: "0", metrics: { Array("up 1\n".utf8) })
        OpenAIRoutes(host).add(to: &router)
        GenerationRoutes(host).add(to: &router)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = HTTPServer(configuration: configuration, router: router, logger: logger)
        let port = try await server.start()
        do {
            let result = try await body(TwinServer(port: port, host: host, models: models))
            await server.stop()
            await host.drain()
            return result
        } catch {
            await server.stop()
            await host.drain()
            throw error
        }
    }

    func post(_ path: String, _ body: String) throws -> RawClient.Response {
        try RawClient(port: port).post(path, body)
    }

    /// Sends a request and answers its events' data.
    func stream(_ path: String, _ body: String) throws -> [String] {
        let client = try RawClient(port: port)
        let bytes = Array(body.utf8)
        try client.send(
            "POST \(path) HTTP/1.1\r\nHost: test\r\nContent-Length: \(bytes.count)\r\n\r\n\(body)")
        let head = try client.response(hasBody: false)
        #expect(head.status == 200)
        #expect(head.fields["transfer-encoding"] == "chunked")
        #expect(head.fields["content-type"]?.hasPrefix("text/event-stream") == true)
        let text = String(decoding: try client.chunkedBody(), as: UTF8.self)
        return text.split(separator: "\n\n").map { event in
            event.split(separator: "\n").filter { $0.hasPrefix("data: ") }
                .map { String($0.dropFirst(6)) }.joined(separator: "\n")
        }
    }

    func eventually(_ isSo: () -> Bool) async throws -> Bool {
        for _ in 0..<500 {
            if isSo() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }
}

@Suite("Generation routes", .serialized)
struct GenerationRoutesTests {
    @Test("a generation's spans tell its waiting, prompt and answer apart")
    func spans() async throws {
        let tracer = RecordingTracer()
        try await tracer.scoped {
            try await TwinServer.with { twin in
                _ = try twin.post(
                    "/v1/completions", #"{"model":"twin","prompt":"hello","max_tokens":5}"#)
                #expect(
                    try await twin.eventually {
                        tracer.spans.contains { $0.name == "generation.decode" }
                    })
            }
        }
        let stages = ["generation.queue", "generation.prefill", "generation.decode"]
        let spans = tracer.spans.filter { stages.contains($0.name) }
        #expect(spans.map(\.name) == stages)
        for (first, next) in zip(spans, spans.dropFirst()) { #expect(first.end == next.start) }
        #expect(spans.allSatisfy { $0.start <= $0.end && $0.parent != nil })
        let prompt = spans.dropFirst().first?.attributes.get("gen_ai.usage.input_tokens")
        #expect(prompt == .int64(5))
    }

    private static let chat =
        #""model":"twin","messages":[{"role":"user","content":"hello"}],"seed":3,"max_tokens":12"#

    @Test("streams a chat completion and answers the same at once")
    func chat() async throws {
        try await TwinServer.with { twin in
            let events = try twin.stream(
                "/v1/chat/completions",
                "{\(Self.chat),\"stream\":true,\"stream_options\":{\"include_usage\":true}}")
            #expect(events.last == "[DONE]")
            let chunks = try events.dropLast().map { try JSONValue(parsing: $0) }
            #expect(chunks.allSatisfy { $0["object"] == "chat.completion.chunk" })
            #expect(Set(chunks.compactMap { $0["id"]?.stringValue }).count == 1)
            #expect(chunks[0]["choices"]?[0]?["delta"]?["role"] == "assistant")
            #expect(chunks[0]["usage"]?.isNull == true)
            let text = chunks.compactMap {
                $0["choices"]?[0]?["delta"]?["content"]?.stringValue
            }.joined()
            let last = chunks[chunks.count - 2]
            #expect(last["choices"]?[0]?["finish_reason"] == "length")
            let usage = try #require(chunks.last?["usage"])
            #expect(chunks.last?["choices"] == [])
            #expect(usage["completion_tokens"] == 12)

            let answer = try twin.post("/v1/chat/completions", "{\(Self.chat)}")
            #expect(answer.status == 200, "\(answer.text)")
            let whole = try JSONValue(parsing: answer.body)
            #expect(whole["object"] == "chat.completion")
            #expect(whole["choices"]?[0]?["message"]?["content"]?.stringValue == text)
            #expect(whole["choices"]?[0]?["finish_reason"] == "length")
            #expect(whole["usage"]?["total_tokens"] == usage["total_tokens"])
            #expect(text.utf8.count >= 11)
            // The second had the first one's prompt in the cache.
            #expect(whole["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.intValue ?? 0 > 0)
            #expect(twin.models.complaint == nil)
        }
    }

    @Test("completes texts, several at once, with log-probabilities and their prompt")
    func completions() async throws {
        try await TwinServer.with { twin in
            let answer = try twin.post(
                "/v1/completions",
                #"{"model":"twin","prompt":["one","two"],"n":2,"max_tokens":3,"logprobs":2,"#
                    + #""echo":true,"seed":1}"#)
            #expect(answer.status == 200, "\(answer.text)")
            let value = try JSONValue(parsing: answer.body)
            let choices = try #require(value["choices"]?.arrayValue)
            #expect(choices.count == 4)
            #expect(choices.map { $0["index"]?.intValue } == [0, 1, 2, 3])
            #expect(choices[0]["text"]?.stringValue?.hasPrefix("one") == true)
            #expect(choices[3]["text"]?.stringValue?.hasPrefix("two") == true)
            let scores = try #require(choices[0]["logprobs"])
            #expect(scores["tokens"]?.arrayValue?.count == 6)
            #expect(scores["token_logprobs"]?[0]?.isNull == true)
            #expect(scores["token_logprobs"]?[1]?.doubleValue ?? 1 < 0)
            #expect(scores["text_offset"] == [0, 1, 2, 3, 4, 5])
            // A log-likelihood call: nothing is generated.
            let scored = try twin.post(
                "/v1/completions",
                #"{"model":"twin","prompt":"some words","max_tokens":0,"logprobs":1,"echo":true}"#)
            let choice = try JSONValue(parsing: scored.body)["choices"]?[0]
            #expect(choice?["text"] == "some words")
            #expect(choice?["logprobs"]?["token_logprobs"]?.arrayValue?.count == 10)
            let events = try twin.stream(
                "/v1/completions",
                #"{"model":"twin","prompt":"one","max_tokens":5,"seed":1,"stream":true}"#)
            #expect(events.last == "[DONE]")
            let text = try events.dropLast().map {
                try JSONValue(parsing: $0)["choices"]?[0]?["text"]?.stringValue ?? ""
            }.joined()
            #expect(text.utf8.count == 5)
        }
    }

    @Test(
        "refuses what is wrong and says which field it is",
        arguments: [
            (#"{"model":"twin"}"#, 400, "messages"),
            (#"{"messages":[]}"#, 400, "model"),
            (#"{"model":"none","messages":[{"role":"user","content":"a"}]}"#, 404, "model"),
            (#"{"model":"twin","messages":[]}"#, 400, "messages"),
            (#"{"model":"twin","messages":[{"content":"a"}]}"#, 400, "messages"),
            (#"{"model":"twin","messages":[{"role":"user","content":7}]}"#, 400, "messages"),
            (#"{"model":"twin","messages":"hello"}"#, 400, "messages"),
            (#"{CHAT,"max_completion_tokens":-1}"#, 400, "max_completion_tokens"),
            (#"{CHAT,"temperature":9999}"#, 400, "temperature"),
            (#"{CHAT,"temperature":"hot"}"#, 400, "temperature"),
            (#"{CHAT,"top_p":0}"#, 400, "top_p"),
            (#"{CHAT,"n":0}"#, 400, "n"),
            (#"{CHAT,"stop":[1]}"#, 400, "stop"),
            (#"{CHAT,"logit_bias":{"x":1}}"#, 400, "logit_bias"),
            (#"{CHAT,"top_logprobs":5}"#, 400, "top_logprobs"),
            (#"{CHAT,"logprobs":true,"top_logprobs":21}"#, 400, "top_logprobs"),
            (#"{CHAT,"stream_options":3}"#, 400, "stream_options"),
            (#"{CHAT,"response_format":{"type":"xml"}}"#, 400, "response_format"),
        ])
    func refusals(body: String, status: Int, field: String) async throws {
        try await TwinServer.with { twin in
            let body = body.replacing("CHAT", with: Self.chat)
            let answer = try twin.post("/v1/chat/completions", body)
            #expect(answer.status == status, "\(answer.text)")
            let error = try JSONValue(parsing: answer.body)["error"]
            #expect(error?["param"]?.stringValue == field, "\(answer.text)")
        }
    }

    @Test("a prompt that is too long is refused with both lengths")
    func context() async throws {
        try await TwinServer.with(TwinModels(contextLength: 64)) { twin in
            let long = String(repeating: "x", count: 100)
            for path in ["/v1/completions", "/v1/completions"] {
                let answer = try twin.post(path, #"{"model":"twin","prompt":"\#(long)"}"#)
                #expect(answer.status == 400)
                let error = try JSONValue(parsing: answer.body)["error"]
                #expect(error?["code"] == "context_length_exceeded", "\(answer.text)")
                #expect(error?["message"]?.stringValue?.contains("100 tokens") == true)
                #expect(error?["message"]?.stringValue?.contains("63") == true)
            }
            let cut = try twin.post(
                "/v1/completions",
                #"{"model":"twin","prompt":"\#(long)","truncate_prompt_tokens":20}"#)
            #expect(try JSONValue(parsing: cut.body)["usage"]?["prompt_tokens"] == 20)
        }
    }

    @Test("a client that goes away ends its request within a step")
    func disconnects() async throws {
        let models = TwinModels(beforeStep: { TwinClock.pause(milliseconds: 2) })
        try await TwinServer.with(models) { twin in
            let body = #"{"model":"twin","prompt":"go on","max_tokens":400,"stream":true}"#
            var client: RawClient? = try RawClient(port: twin.port)
            try client?.send(
                "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: \(body.utf8.count)\r\n"
                    + "\r\n\(body)")
            _ = try client?.response(hasBody: false)
            client = nil
            let isQuiet = try await twin.eventually {
                let before = models.stepCount
                TwinClock.pause(milliseconds: 20)
                return models.stepCount == before
            }
            #expect(isQuiet)
            #expect(models.stepCount < 300)
        }
    }

    @Test("a client that does not read is cut off")
    func slowReaders() async throws {
        // Hundreds of logprobs a token: much text soon.
        let models = TwinModels(blockCount: 3000, contextLength: 40_000)
        try await TwinServer.with(models) { twin in
            let body =
                #"{"model":"twin","prompt":"go on","max_tokens":30000,"stream":true,"n":4,"#
                + #""logprobs":20,"ignore_eos":true}"#
            let client = try RawClient(port: twin.port)
            try client.send(
                "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: \(body.utf8.count)\r\n"
                    + "\r\n\(body)")
            let isQuiet = try await twin.eventually {
                let before = models.stepCount
                TwinClock.pause(milliseconds: 30)
                return before > 10 && models.stepCount == before
            }
            #expect(isQuiet)
            #expect(models.stepCount < 20_000)
        }
    }

    @Test("takes text apart into tokens and back")
    func tokens() async throws {
        try await TwinServer.with { twin in
            let answer = try JSONValue(
                parsing: twin.post("/tokenize", #"{"model":"twin","prompt":"hé<|im_end|>"}"#).body)
            #expect(answer["tokens"] == [104, 195, 169, 258])
            #expect(answer["count"] == 4)
            #expect(answer["max_model_len"] == 512)
            let back = try JSONValue(
                parsing: twin.post("/detokenize", #"{"model":"twin","tokens":[104,195,169]}"#).body)
            #expect(back["prompt"] == "hé")
            #expect(
                try twin.post("/detokenize", #"{"model":"twin","tokens":[9999]}"#).status == 400)
        }
    }

    @Test("many clients at once are all answered, each as it would be alone")
    func crowds() async throws {
        try await TwinServer.with(TwinModels(blockCount: 40)) { twin in
            let answers = try await withThrowingTaskGroup(of: (Int, String).self) { group in
                for number in 0..<24 {
                    group.addTask {
                        let events = try twin.stream(
                            "/v1/completions",
                            #"{"model":"twin","prompt":"prompt \#(number % 6) of all","#
                                + #""max_tokens":24,"seed":7,"stream":true}"#)
                        let text = try events.dropLast().map {
                            try JSONValue(parsing: $0)["choices"]?[0]?["text"]?.stringValue ?? ""
                        }.joined()
                        return (number % 6, text)
                    }
                }
                return try await group.reduce(into: [Int: Set<String>]()) {
                    $0[$1.0, default: []].insert($1.1)
                }
            }
            #expect(answers.count == 6)
            #expect(answers.values.allSatisfy { $0.count == 1 })
            #expect(twin.models.complaint == nil)
        }
    }

    /// For real clients: `MARTLET_TWIN_PORT=9000 swift test --filter servesTwin` serves for a
    /// while.
    @Test(
        "serves the scripted model for clients outside",
        .enabled(if: environment("MARTLET_TWIN_PORT") != nil))
    func servesTwin() async throws {
        let port = Int(environment("MARTLET_TWIN_PORT") ?? "") ?? 0
        let models = TwinModels(blockCount: 2048, contextLength: 4096)
        try await TwinServer.with(models, port: port) { _ in
            try await Task.sleep(
                for: .seconds(Int(environment("MARTLET_TWIN_SECONDS") ?? "") ?? 60))
        }
    }
}

extension String {
    fileprivate func replacing(_ part: String, with other: String) -> String {
        split(separator: part, omittingEmptySubsequences: false).joined(separator: other)
    }
}
