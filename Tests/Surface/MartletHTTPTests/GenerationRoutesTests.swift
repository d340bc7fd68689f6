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

    /// - Parameter names: the model's, in place of "twin".
    static func with<Result>(
        _ models: TwinModels = TwinModels(), port: Int = 0, template: String? = nil,
        names: [String] = [], bodyBytesMax: Int? = nil,
        _ body: (TwinServer) async throws -> Result
    ) async throws -> Result {
        let folder = try TestFolder()
        if let template {
            try TwinModels.write("twin", to: folder, template: template)
        } else {
            try TwinModels.write("twin", to: folder)
        }
        var options = ServingOptions(paths: [folder.path + "/twin"])
        if let name = names.first {
            options.entries[0].name = name
            for other in names.dropFirst() { options.otherNames[other] = name }
        }
        let host = LocalModelHost(options, openLanguage: models.open)
        try await host.start()
        var configuration = HTTPServerConfiguration(host: "127.0.0.1", port: port)
        if let bodyBytesMax { configuration.limits.bodyBytesMax = bodyBytesMax }
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
            (#"{"messages":[]}"#, 400, "messages"),
            (#"{CHAT,"user":"LONG"}"#, 400, "user"),
            (#"{CHAT,"cache_salt":"LONG"}"#, 400, "cache_salt"),
            (#"{CHAT,"repetition_penalty":1e-300}"#, 400, "repetition_penalty"),
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
                .replacing("LONG", with: String(repeating: "x", count: 257))
            let answer = try twin.post("/v1/chat/completions", body)
            #expect(answer.status == status, "\(answer.text)")
            let error = try JSONValue(parsing: answer.body)["error"]
            #expect(error?["param"]?.stringValue == field, "\(answer.text)")
        }
    }

    @Test("what ended a choice is told: a stop text, a stop token, or nothing")
    func stopReasons() async throws {
        try await TwinServer.with { twin in
            func choice(_ path: String, _ prompt: String, _ more: String) throws -> JSONValue? {
                let answer = try twin.post(
                    path, #"{\#(prompt),"seed":3,"max_tokens":40,\#(more)}"#)
                return try JSONValue(parsing: answer.body)["choices"]?[0]
            }
            let letters = (97...122).map(String.init).joined(separator: ",")
            for (path, prompt) in [
                ("/v1/completions", #""prompt":"hello""#),
                ("/v1/chat/completions", #""messages":[{"role":"user","content":"hello"}]"#),
            ] {
                let token = try choice(path, prompt, #""stop_token_ids":[\#(letters)]"#)
                #expect(token?["finish_reason"] == "stop")
                #expect((97...122).contains(token?["stop_reason"]?.intValue ?? 0))
                let text = try choice(path, prompt, #""stop":["a","b","c","d","e","f","g"]"#)
                #expect(text?["stop_reason"]?.stringValue?.utf8.count == 1)
                let none = try choice(path, prompt, #""ignore_eos":true"#)
                #expect(none?["stop_reason"]?.isNull == true)
            }
            let events = try twin.stream(
                "/v1/chat/completions",
                #"{"messages":[{"role":"user","content":"a"}],"stream":true,"#
                    + #""stop_token_ids":[\#(letters)]}"#)
            let last = try JSONValue(parsing: events.dropLast().last ?? "")["choices"]?[0]
            #expect((97...122).contains(last?["stop_reason"]?.intValue ?? 0))
        }
    }

    @Test("a wrong number of log-probabilities is laid at the field that has it")
    func logProbabilityCounts() async throws {
        try await TwinServer.with { twin in
            for count in [-1, 21] {
                let answer = try twin.post(
                    "/v1/completions", #"{"prompt":"a","logprobs":\#(count)}"#)
                #expect(answer.status == 400)
                #expect(try JSONValue(parsing: answer.body)["error"]?["param"] == "logprobs")
            }
        }
    }

    @Test("a beam search without a token to find is answered, and one over the context refused")
    func beams() async throws {
        try await TwinServer.with(TwinModels(contextLength: 64)) { twin in
            func ask(_ prompt: Int, _ more: String) throws -> RawClient.Response {
                let text = String(repeating: "x", count: prompt)
                return try twin.post(
                    "/v1/completions",
                    #"{"prompt":"\#(text)","use_beam_search":true,"best_of":3,\#(more)}"#)
            }
            #expect(try ask(10, #""max_tokens":0"#).status == 200)
            let last = try JSONValue(parsing: try ask(63, #""max_tokens":9"#).body)
            #expect(last["usage"]?["completion_tokens"] == 1)
            #expect(try ask(64, #""max_tokens":9"#).status == 400)
            let scored = try JSONValue(
                parsing: try ask(10, #""max_tokens":2,"echo":true,"logprobs":1"#).body)
            let scores = scored["choices"]?[0]?["logprobs"]?["token_logprobs"]?.arrayValue
            #expect(scores?.count == 12)
            #expect(scores?[1].doubleValue ?? 1 < 0)
            let penalty = try ask(10, #""repetition_penalty":1.2"#)
            #expect(penalty.status == 400 && penalty.text.contains("repetition_penalty"))
        }
    }

    /// A template that takes a while: what it costs is bounded, but not small.
    private static let looping =
        "{% for a in range(300) %}{% for b in range(300) %}{% set c = a * b %}{% endfor %}"
        + "{% endfor %}{{ messages[0].content }}"

    @Test("reading prompts keeps no event loop from answering others")
    func slowTemplates() async throws {
        try await TwinServer.with(template: Self.looping) { twin in
            let chat = #"{"messages":[{"role":"user","content":"a"}],"max_tokens":1}"#
            let paths = ["/tokenize", "/v1/messages/count_tokens"]
            let start = SystemTime().now()
            #expect(try twin.post(paths[0], chat).status == 200)
            let alone = start.nanoseconds(to: SystemTime().now())
            let clients = try (0..<6).map { number in
                let client = try RawClient(port: twin.port)
                try client.send(
                    "POST \(paths[number % 2]) HTTP/1.1\r\nHost: t\r\n"
                        + "Content-Length: \(chat.utf8.count)\r\n\r\n\(chat)")
                return client
            }
            // Six would hold the server's one event loop for six times as long as one.
            let asked = SystemTime().now()
            #expect(try RawClient(port: twin.port).get("/healthz").status == 200)
            #expect(asked.nanoseconds(to: SystemTime().now()) < 3 * alone)
            for client in clients { #expect(try client.response().status == 200) }
        }
    }

    @Test("what a prompt's reader refuses is the client's mistake")
    func readingErrors() async throws {
        try await TwinServer.with(
            template: "{{ raise_exception('no ' + messages[0].role) }}"
        ) { twin in
            let chat = #"{"messages":[{"role":"user","content":"a"}],"max_tokens":1}"#
            for path in ["/tokenize", "/v1/messages/count_tokens", "/v1/chat/completions"] {
                let answer = try twin.post(path, chat)
                #expect(answer.status == 400, "\(path): \(answer.text)")
                #expect(answer.text.contains("no user"))
            }
        }
        let endless =
            "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
        try await TwinServer.with(template: endless) { twin in
            let chat = #"{"messages":[{"role":"user","content":"a"}],"max_tokens":1}"#
            let status = try twin.post("/tokenize", chat).status
            #expect((400..<500).contains(status))
        }
    }

    @Test("a request without a model's name means the only one")
    func onlyModel() async throws {
        try await TwinServer.with { twin in
            let prompt = #"{"prompt":"hello","max_tokens":3,"seed":1}"#
            let answer = try JSONValue(parsing: twin.post("/v1/completions", prompt).body)
            #expect(answer["model"] == "twin")
            #expect(try twin.post("/tokenize", prompt).status == 200)
            let null = try twin.post("/v1/completions", #"{"model":null,"prompt":"hello"}"#)
            #expect(null.status == 200)
            let embedding = try twin.post("/v1/embeddings", #"{"input":"hello"}"#)
            #expect(embedding.status == 400 && embedding.text.contains("'model'"))
        }
    }

    @Test("a model has the names it is given; health is told as vLLM does")
    func names() async throws {
        try await TwinServer.with(names: ["first", "second"]) { twin in
            for name in ["first", "second"] {
                let answer = try twin.post(
                    "/v1/completions", #"{"model":"\#(name)","prompt":"a","max_tokens":2}"#)
                #expect(answer.status == 200, "\(answer.text)")
            }
            #expect(try twin.post("/v1/completions", #"{"prompt":"a"}"#).status == 200)
            #expect(
                try twin.post("/v1/completions", #"{"model":"twin","prompt":"a"}"#).status == 404)
            let client = try RawClient(port: twin.port)
            let models = try JSONValue(parsing: client.get("/v1/models").body)["data"]?.arrayValue
            #expect(models?.map { $0["id"]?.stringValue } == ["first", "second"])
            #expect(models?.map { $0["root"]?.stringValue } == ["first", "first"])
            #expect(try client.get("/health").status == 200)
            #expect(try client.get("/ping").status == 200)
            #expect(try client.post("/ping", "").status == 200)
            let version = try JSONValue(parsing: client.get("/version").body)["version"]
            #expect(version?.stringValue == LocalModelHost.version)
        }
    }

    @Test("a body that is too large is refused in the form of its path")
    func largeBodies() async throws {
        try await TwinServer.with(bodyBytesMax: 1000) { twin in
            let body = #"{"prompt":"\#(String(repeating: "x", count: 2000))"}"#
            let answer = try twin.post("/v1/completions", body)
            #expect(answer.status == 413)
            let error = try JSONValue(parsing: answer.body)["error"]
            #expect(error?["type"] == "invalid_request_error", "\(answer.text)")
            let other = try JSONValue(parsing: try twin.post("/v2/models/a/infer", body).body)
            #expect(other["error"]?.stringValue != nil)
        }
    }

    @Test("KServe's generate takes a form and a length for its prompt, and refuses what is none")
    func generateForms() async throws {
        try await TwinServer.with(TwinModels(contextLength: 64)) { twin in
            func generate(_ more: String) throws -> RawClient.Response {
                try twin.post(
                    "/v2/models/twin/generate", #"{"text_input":"hello","max_tokens":40,\#(more)}"#)
            }
            let forms = [
                #""guided_regex":"[0-9]{5}""#, #""parameters":{"guided_regex":"[0-9]{5}"}"#,
            ]
            for form in forms {
                let answer = try JSONValue(parsing: try generate(form).body)
                let text = answer["text_output"]?.stringValue ?? ""
                #expect(text.wholeMatch(of: /[0-9]{5}/) != nil, "\(answer)")
            }
            #expect(try generate(#""guided_regex":"(""#).status == 400)
            let long = String(repeating: "x", count: 100)
            let body = #"{"text_input":"\#(long)","max_tokens":2"#
            #expect(try twin.post("/v2/models/twin/generate", body + "}").status == 400)
            let cut = try twin.post(
                "/v2/models/twin/generate", body + #","truncate_prompt_tokens":20}"#)
            #expect(cut.status == 200, "\(cut.text)")
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

    @Test("a client that does not read is cut off, with about a megabyte waiting for it")
    func slowReaders() async throws {
        // Hundreds of logprobs a token: much text soon.
        let models = TwinModels(blockCount: 3000, contextLength: 40_000)
        try await TwinServer.with(models) { twin in
            let body =
                #"{"model":"twin","prompt":"go on","max_tokens":30000,"stream":true,"n":4,"#
                + #""logprobs":20,"ignore_eos":true}"#
            let client = try RawClient(port: twin.port, receiveBytes: 4096)
            let start = SystemTime().now()
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
            // It was not the time that a write may take which ended it.
            let waited = start.nanoseconds(to: SystemTime().now())
            #expect(Duration.nanoseconds(waited) < HTTPServerConfiguration().writeTimeout)
            var byteCount = 0
            while try client.receive() {
                byteCount += client.received.count
                #expect(!String(decoding: client.received, as: UTF8.self).contains("[DONE]"))
                client.received = []
            }
            // What two sockets hold, and no more: the rest was dropped with the connection.
            #expect(byteCount > 0 && byteCount < 16 << 20)
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
