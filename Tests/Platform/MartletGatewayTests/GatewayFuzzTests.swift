// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import MartletTesting
internal import Testing

/// What strangers hand to the gateway beyond requests: verdicts, files of requests, answers of
/// upstreams, code in them, kept states.
@Suite("Gateway Fuzz")
struct GatewayFuzzTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test("feedback, requests to replay, and requests that are asked with more")
    func requestsFuzz() {
        let chat = #"{"model":"m","messages":[{"role":"user","content":"a"}],"n":1}"#
        let seeds = [
            #"{"request_id":"00000000000000ff","score":0.5}"#, chat,
            #"{"custom_id":"x","method":"POST","url":"/v1/x","body":{"a":[1]}}"#,
        ]
        fuzz("gateway requests", seeds: seeds.map { Array($0.utf8) }) { bytes in
            if let body = try? FeedbackBody(bytes) { #expect((0...1).contains(body.score)) }
            let path = "/v1/chat/completions"
            if let asked = CascadeRequest.asking(bytes, for: .tokenMargin, path: path) {
                // What was put in is there, once, and nothing else has changed.
                let before = try JSONValue(parsing: bytes)
                let after = try JSONValue(parsing: asked)
                #expect(after["top_logprobs"] != nil && after["logprobs"] != nil)
                #expect(after["messages"] == before["messages"])
            }
            if let question = SemanticQuestion(body: bytes, path: path, holder: "h") {
                #expect(!question.text.isEmpty && !question.context.isEmpty)
            }
            _ = try ReplayRequest.read(bytes)
        }
    }

    @Test("answers of upstreams: documents, tensors, streams, how sure they are")
    func answersFuzz() {
        let seeds = [
            #"{"choices":[{"message":{"content":"a","tool_calls":[{"function":{"name":"f","#
                + #""arguments":"{\"x\":1}"}}]},"logprobs":{"content":[{"logprob":-1}]}}]}"#,
            #"{"data":[{"embedding":"AACAPwAAIMA="},{"embedding":[1,2]}]}"#,
            #"{"outputs":[{"name":"A","datatype":"FP16","parameters":{"binary_data_size":4}}]}abcd"#,
            "data: " + ShadowAnswerTests.events.joined(separator: "\n\ndata: ") + "\n\n",
        ]
        let fixed = ComparedAnswer(status: 200, body: Array(seeds[0].utf8), latency: .zero)
        fuzz("gateway answers", seeds: seeds.map { Array($0.utf8) }) { bytes in
            let end = bytes.lastIndex(of: UInt8(ascii: "}")).map { $0 + 1 }
            let answer = ComparedAnswer(
                status: 200, body: bytes, latency: .zero, headerLength: end)
            for measure: CascadePolicy.Measure in [.logprob, .margin(output: nil), .field("data")] {
                if let value = AnswerConfidence.of(answer, by: measure) { #expect(value.isFinite) }
            }
            _ = SemanticQuestion.direction(answer)
            var assembler = StreamAssembler()
            unsafe bytes.withUnsafeBytes { unsafe assembler.read($0) }
            let stream = ComparedAnswer(
                status: 200, body: [], latency: .zero, document: assembler.document)
            var report = ComparisonReport()
            for (one, other) in [(answer, fixed), (fixed, stream), (answer, answer)] {
                report.add(AnswerComparison.compare(id: "f", primary: one, candidate: other))
            }
            #expect(ComparisonPage.html(report.json, name: "f").hasSuffix("</html>\n"))
            _ = try JSONValue(parsing: bytes)
        }
    }

    @Test("code: what is equal is equal, whatever it is", arguments: ["python", "swift"])
    func codeFuzz(language: String) {
        let seed = language == "python" ? CodeComparisonTests.python : CodeComparisonTests.swift
        let seeds = [
            seed, "x = [1,\n 2]\n", "if a {\n  b()\n}\n", "f\"{x!r:>{w}}\" \"\"\"a\n\"\"\"",
        ]
        fuzz("code \(language)", seeds: seeds.map { Array($0.utf8) }, sizeMax: 8_192) { bytes in
            let code = text(bytes)
            let itself = CodeComparison(code, code, language: language)
            #expect(itself.isSame)
            _ = CodeComparison(seed, code, language: language)
            _ = CodeAnswer.areSame("```\(language)\n\(code)\n```", code)
            guard itself.isParsed else { throw CodeIsNone() }
        }
    }

    private struct CodeIsNone: Error {}

    @Test("kept states of deliveries are taken up and counted on, or refused")
    func statesFuzz() throws {
        var now = MonotonicInstant(nanoseconds: 1_000_000_000)
        var controller = DeliveryController(plan: DeliveryTests.plan(), at: now)
        func answer(_ isCanary: Bool, _ isError: Bool) -> DeliveryController.Answer {
            DeliveryController.Answer(
                isCanary: isCanary, share: 10_000, isError: isError, latency: .milliseconds(5))
        }
        var seeds = [controller.json(at: now).serialized()]
        for count in 0..<200 {
            now = now.advanced(by: .milliseconds(10))
            _ = controller.record(answer(count % 3 == 0, count % 50 == 0), at: now)
        }
        seeds.append(controller.json(at: now).serialized())
        _ = controller.rollBack(askedBy: "me")
        seeds.append(controller.json(at: now).serialized())
        fuzz("delivery states", seeds: seeds) { bytes in
            var taken = try DeliveryController(
                JSONValue(parsing: bytes), plan: DeliveryTests.plan(), at: now)
            for isError in [true, false] {
                _ = taken.record(answer(true, isError), at: now)
                _ = taken.record(answer(false, isError), at: now)
            }
            #expect((0...1_000_000).contains(taken.share))
        }
    }
}
