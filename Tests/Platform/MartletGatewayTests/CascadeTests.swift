// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import Testing

@Suite("Cascade")
struct CascadeTests {
    private func answer(_ body: String, status: Int = 200) -> ComparedAnswer {
        ComparedAnswer(status: status, body: Array(body.utf8), latency: .zero)
    }

    private func near(_ value: Double?, _ wanted: Double) -> Bool {
        value.map { abs($0 - wanted) < 1e-6 } ?? false
    }

    @Test("reads how sure an answer is, each way")
    func measures() {
        let chat = answer(
            #"{"choices":[{"logprobs":{"content":[{"logprob":-0.5,"top_logprobs":[{"logprob":-0.1053605},"#
                + #"{"logprob":-2.3025851}]},{"logprob":-1.5,"top_logprobs":[{"logprob":-0.6931472},"#
                + #"{"logprob":-0.6931472}]}]}}]}"#)
        #expect(near(AnswerConfidence.of(chat, by: .logprob), -1))
        #expect(near(AnswerConfidence.of(chat, by: .tokenMargin), 0.4))
        let legacy = answer(#"{"choices":[{"logprobs":{"token_logprobs":[null,-0.5,-0.1]}}]}"#)
        #expect(near(AnswerConfidence.of(legacy, by: .logprob), -0.3))
        let tensors = answer(
            #"{"outputs":[{"name":"A","data":[1]},{"name":"P","data":[[0.1,0.7,0.2]]}]}"#)
        #expect(near(AnswerConfidence.of(tensors, by: .probability(output: "P")), 0.7))
        #expect(near(AnswerConfidence.of(tensors, by: .margin(output: "P")), 0.5))
        #expect(near(AnswerConfidence.of(tensors, by: .probability(output: nil)), 1))
        let scored = answer(#"{"result":{"score":0.25}}"#)
        #expect(near(AnswerConfidence.of(scored, by: .field("result.score")), 0.25))
    }

    @Test("what does not say how sure it is vouches for nothing")
    func unsaid() {
        let all: [CascadePolicy.Measure] = [
            .logprob, .tokenMargin, .probability(output: nil), .margin(output: "P"), .field("a.b"),
        ]
        let bodies = [
            "", "{}", "[]", #"{"choices":[]}"#, #"{"choices":[{"logprobs":null}]}"#,
            #"{"choices":[{"logprobs":{"content":[]}}]}"#,
            #"{"outputs":[{"name":"P","data":["x"]}]}"#,
            #"{"a":{"b":"nan"}}"#, #"{"choices":[{"logprobs":{"content":[{}]}},{}]}"#,
        ]
        for body in bodies {
            for measure in all {
                #expect(AnswerConfidence.of(answer(body), by: measure) == nil, "\(body) \(measure)")
            }
        }
        #expect(AnswerConfidence.of(answer(#"{"a":1}"#, status: 500), by: .field("a")) == nil)
    }

    @Test("asks for probabilities at the body's end, and only where they are missing")
    func asking() {
        func asked(_ body: String, _ measure: CascadePolicy.Measure, _ path: String) -> String? {
            CascadeRequest.asking(Array(body.utf8), for: measure, path: path).map {
                String(decoding: $0, as: UTF8.self)
            }
        }
        let chat = "/v1/chat/completions"
        #expect(asked(#"{"model":"m" }"#, .logprob, chat) == #"{"model":"m" ,"logprobs":true}"#)
        #expect(
            asked("{}\n", .tokenMargin, chat) == "{\"logprobs\":true,\"top_logprobs\":2}\n")
        #expect(asked(#"{"logprobs":true}"#, .logprob, chat) == nil)
        #expect(asked(#"{"a":1}"#, .logprob, "/v1/completions") == #"{"a":1,"logprobs":1}"#)
        #expect(asked(#"{"a":1}"#, .logprob, "/v2/models/m/infer") == nil)
        #expect(asked("no", .logprob, chat) == nil)
        #expect(asked(#"{"a":1}"#, .probability(output: nil), chat) == nil)
    }

    @Test("gateway.yaml: cascade and semantic_cache are compiled, and checked by line")
    func configuration() throws {
        func snapshot(_ model: String) throws -> RoutingSnapshot {
            let text = """
                upstreams: {a: "http://a:1", b: "http://b:1"}
                models:
                  m: {versions: {v1: a, v2: b}, \(model)}
                """
            return try RoutingSnapshot(yaml: Array(text.utf8), file: "test")
        }
        let good = try snapshot(
            "cascade: {first: v1, then: v2, confidence: {logprob: -0.5}, timeout: 2s}, "
                + "semantic_cache: {embeddings: b, model: mini, threshold: 0.9, entries: 5}")
        let cascade = try #require(good.tables.models[0].cascade)
        #expect(
            cascade.policy
                == {
                    var policy = CascadePolicy(measure: .logprob, least: -0.5)
                    policy.timeout = .seconds(2)
                    return policy
                }())
        #expect(good.tables.models[0].standard == .version(cascade.first))
        let cache = try #require(good.tables.models[0].semanticCache)
        #expect(good.tables.pools[cache.pool].name == "b" && cache.policy.entriesMax == 5)
        var request = RequestDescription()
        request.model = "m"
        let text = good.explain(request, draw: 0).text
        #expect(text.contains("'v2' is asked when the mean logprob is below -0.5"), "\(text)")
        #expect(text.contains("kept by meaning: cosine from 0.9"), "\(text)")
        let wrong: [(String, String)] = [
            ("cascade: {first: v1, then: v1, confidence: {logprob: -1}}", "twice"),
            ("cascade: {first: v1, then: v2}", "no confidence"),
            ("cascade: {first: v1, then: v2, confidence: {logprob: 1}}", "from -1000"),
            ("cascade: {first: v1, then: v2, confidence: {logprob: -1, margin: 1}}", "one of"),
            ("cascade: {first: v1, then: v2, confidence: {field: a}}", "no min"),
            ("cascade: {first: v1, then: v9, confidence: {logprob: -1}}", "'v9'"),
            (
                "default: v1, cascade: {first: v1, then: v2, confidence: {logprob: -1}}",
                "one of them"
            ),
            ("default: v1, semantic_cache: {embeddings: c, model: x}", "neither a pool"),
            ("default: v1, semantic_cache: {embeddings: a}", "has no model"),
            ("default: v1, semantic_cache: {embeddings: a, model: x, threshold: 2}", "0.5"),
        ]
        for (text, part) in wrong {
            do {
                _ = try snapshot(text)
                Issue.record("\(text) was taken")
            } catch {
                #expect("\(error)".contains(part) && "\(error)".contains("line 3"), "\(error)")
            }
        }
    }
}

@Suite("Semantic cache")
struct SemanticCacheTests {
    private func question(
        _ body: String, holder: String = "t", path: String = "/v1/chat/completions"
    ) -> SemanticQuestion? {
        SemanticQuestion(body: Array(body.utf8), path: path, holder: holder)
    }

    @Test("a question is the last user message; all else must be the same")
    func questions() throws {
        let one = try #require(
            question(#"{"model":"m","temperature":1,"messages":[{"role":"user","content":"hi"}]}"#))
        let other = try #require(
            question(#"{"temperature":1,"messages":[{"role":"user","content":"yo"}],"model":"m"}"#))
        #expect(one.text == "hi" && other.text == "yo" && one.context == other.context)
        let different = [
            #"{"model":"m","temperature":0,"messages":[{"role":"user","content":"hi"}]}"#,
            #"{"model":"m","temperature":1,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#,
            #"{"model":"m","temperature":1,"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}"#,
        ]
        for body in different { #expect(try #require(question(body)).context != one.context) }
        let foreign = question(
            #"{"model":"m","temperature":1,"messages":[{"role":"user","content":"hi"}]}"#,
            holder: "u")
        #expect(foreign?.context != one.context)
        for none in [
            "", "[]", #"{"messages":[]}"#, #"{"messages":[{"role":"assistant","content":"a"}]}"#,
            #"{"n":2,"messages":[{"role":"user","content":"a"}]}"#,
            #"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#,
            #"{"messages":[{"role":"user","content":""}]}"#,
        ] { #expect(question(none) == nil, "\(none)") }
        #expect(question(#"{"prompt":"a"}"#, path: "/v1/completions")?.text == "a")
        #expect(question(#"{"input":"a"}"#, path: "/v1/embeddings") == nil)
    }

    @Test("finds the nearest within the threshold, for as long as it is kept, within its bounds")
    func index() {
        var policy = SemanticCachePolicy(model: "e")
        policy.entriesMax = 3
        policy.bytesMax = 1_000
        policy.threshold = 0.9
        policy.ttl = .seconds(10)
        var index = SemanticIndex(policy: policy)
        func instant(_ seconds: Int64) -> MonotonicInstant {
            MonotonicInstant(nanoseconds: seconds * 1_000_000_000)
        }
        func find(_ direction: [Float], _ at: Int64 = 1, context: [UInt8] = [1]) -> [UInt8]? {
            index.find(context, direction, at: instant(at))?.kept.body
        }
        func keep(_ body: UInt8, _ direction: [Float], _ at: Int64 = 0) {
            index.keep(
                SemanticIndex.Kept(isEventStream: false, body: [body]), [1], direction,
                at: instant(at))
        }
        keep(1, [1, 0])
        keep(2, [0, 1])
        #expect(find([1, 0]) == [1] && find([0.96, 0.28]) == [1] && find([0.8, 0.6]) == nil)
        #expect(find([0.28, 0.96]) == [2] && find([1, 0], context: [2]) == nil)
        #expect(find([1, 0, 0]) == nil && find([1, 0], 11) == nil)
        keep(3, [1, 0], 1)
        #expect(index.count == 2 && find([1, 0], 2) == [3])
        keep(4, [-1, 0], 2)
        keep(5, [0, -1], 2)
        #expect(index.count == 3 && find([0, 1], 2) == nil && find([0, -1], 2) == [5])
        index.keep(
            SemanticIndex.Kept(isEventStream: false, body: Array(repeating: 0, count: 2_000)), [1],
            [0.6, 0.8], at: instant(2))
        #expect(index.count == 3)
        index.keep(
            SemanticIndex.Kept(isEventStream: false, body: Array(repeating: 0, count: 985)), [1],
            [0.6, 0.8], at: instant(2))
        #expect(index.count == 1 && index.bytes <= 1_000)
    }

    @Test("embeddings become directions; answers without are none")
    func directions() {
        func direction(_ body: String, status: Int = 200) -> [Float]? {
            SemanticQuestion.direction(
                ComparedAnswer(status: status, body: Array(body.utf8), latency: .zero))
        }
        #expect(direction(#"{"data":[{"embedding":[3,4]}]}"#) == [0.6, 0.8])
        for none in [
            "", "{}", #"{"data":[{"embedding":[0,0]}]}"#, #"{"data":[{"embedding":["x"]}]}"#,
        ] {
            #expect(direction(none) == nil)
        }
        #expect(direction(#"{"data":[{"embedding":[3,4]}]}"#, status: 500) == nil)
    }
}
