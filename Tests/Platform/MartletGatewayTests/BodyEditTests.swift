// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletJSON
internal import Testing

@Suite("RequestMembers.usageQuestion")
struct BodyEditTests {
    /// The body as an upstream gets it; nil: as it is.
    private func asked(_ text: String, pieces: Int = 5) throws -> JSONValue? {
        let body = Array(text.utf8)
        var members = RequestMembers()
        for start in stride(from: 0, to: body.count, by: pieces) {
            let piece = Array(body[start..<min(start + pieces, body.count)])
            unsafe piece.withUnsafeBytes { unsafe members.read($0) }
        }
        guard let edit = members.usageQuestion else { return nil }
        let edited = body[..<edit.range.lowerBound] + edit.text + body[edit.range.upperBound...]
        #expect(edited.count == body.count + edit.growth)
        return try JSONValue(parsing: Array(edited))
    }

    @Test("a stream is asked for its usage, with whatever else it was asked for")
    func asks() throws {
        for (given, expected) in [
            (#"{"stream":true}"#, #"{"include_usage":true}"#),
            (#"{"stream": true , "model":"m"}"#, #"{"include_usage":true}"#),
            (#"{"stream":true,"stream_options":null}"#, #"{"include_usage":true}"#),
            (#"{"stream_options":{},"stream":true}"#, #"{"include_usage":true}"#),
            (
                #"{"stream_options":{"include_usage":false,"a":[1,"}"]},"stream":true}"#,
                #"{"include_usage":true,"a":[1,"}"]}"#
            ),
        ] {
            let edited = try asked(given)
            #expect(edited?["stream_options"] == (try JSONValue(parsing: Array(expected.utf8))))
            #expect(edited?["stream"] == .bool(true))
            let before = try JSONValue(parsing: Array(given.utf8))
            #expect(edited?["model"] == before["model"])
        }
    }

    @Test("whoever asks already, wants no stream or is not whole is left alone")
    func leavesAlone() throws {
        for text in [
            #"{"stream":true,"stream_options":{"include_usage":true}}"#, #"{"stream":false}"#, "{}",
            #"{"stream":"true"}"#, #"{"stream":true,"stream_options":[]}"#, #"{"stream":true"#,
            #"{"stream":true,"stream_options":{},"stream_options":{}}"#, #"{"a":{"stream":true}}"#,
        ] {
            #expect(try asked(text) == nil, "\(text)")
        }
    }
}

@Suite("AnswerMeasure")
struct AnswerMeasureTests {
    private func usage(
        _ path: String, _ change: (inout AnswerMeasure) -> Void = { _ in }
    ) -> TokenUsage? {
        var measure = AnswerMeasure(route: TokenRoute(path: path))
        measure.inputEstimate = 10
        measure.answerBytes = 400
        measure.reservedOutput = 256
        change(&measure)
        return measure.usage
    }

    @Test("an answer that does not say what it used is estimated where tokens are used")
    func estimates() {
        #expect(
            usage("/v1/chat/completions") == TokenUsage(input: 10, output: 100, isEstimated: true))
        #expect(usage("/v1/embeddings") == TokenUsage(input: 10, output: 0, isEstimated: true))
        #expect(usage("/v1/audio/speech") == TokenUsage(input: 0, output: 0))
        #expect(usage("/v2/models/m/infer") == TokenUsage(input: 0, output: 0))
        #expect(
            usage("/v1/messages") {
                $0.isEventStream = true
                $0.contentEvents = 7
                $0.input = 42
                $0.hasFailed = true
            } == TokenUsage(input: 42, output: 7, isEstimated: true))
    }

    @Test("what failed before anything came of it costs nothing")
    func failures() {
        #expect(
            usage("/v1/responses") {
                $0.isEventStream = true
                $0.hasFailed = true
            } == nil)
        #expect(
            usage("/v1/responses") {
                $0.answerBytes = 0
                $0.hasFailed = true
            } == nil)
    }

    @Test("a compressed answer costs what was reserved for it, as far as that can be")
    func compressed() {
        #expect(
            usage("/v1/chat/completions") { $0.isCoded = true }
                == TokenUsage(input: 10, output: 256, isEstimated: true))
        #expect(
            usage("/v1/chat/completions") {
                $0.isCoded = true
                $0.reservedOutput = .max
            } == TokenUsage(input: 10, output: 400, isEstimated: true))
    }

    @Test("a stream that is broken off says so in its own form")
    func cutEvents() throws {
        for (path, name) in [
            ("/v1/chat/completions", nil), ("/v1/responses", "error"), ("/v1/messages", "error"),
        ] {
            let bytes = StreamCutEvent.text(
                TokenRoute(path: path), code: "cut", message: "it \"broke\"\n", number: 3)
            var reader = EventStreamReader()
            unsafe Array("data: {\"x\":".utf8 + bytes).withUnsafeBytes { unsafe reader.read($0) }
            #expect(reader.hasFailed)
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(text.hasPrefix("\n\n") && text.hasSuffix("\n\n"))
            #expect(text.contains("\nevent: error\n") == (name != nil))
        }
    }
}
