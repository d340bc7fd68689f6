// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage

/// What answers of all forms are made of.
struct AnswerPieces: Sendable {
    let id: String
    let created: Int64
    let model: String
    let language: LanguageText

    /// The members that every object begins with.
    func begin(_ writer: inout JSONWriter, object: String) {
        writer.beginObject()
        writer.key("id")
        writer.string(id)
        writer.key("object")
        writer.string(object)
        writer.key("created")
        writer.integer(created)
        writer.key("model")
        writer.string(model)
    }

    static func usage(_ usage: GenerationUsage, _ writer: inout JSONWriter) {
        writer.key("usage")
        writer.beginObject()
        writer.key("prompt_tokens")
        writer.integer(usage.promptTokens)
        writer.key("completion_tokens")
        writer.integer(usage.completionTokens)
        writer.key("total_tokens")
        writer.integer(usage.promptTokens + usage.completionTokens)
        writer.key("prompt_tokens_details")
        writer.beginObject()
        writer.key("cached_tokens")
        writer.integer(usage.cachedTokens)
        writer.endObject()
        writer.endObject()
    }

    /// vLLM's member: the stop text or token that ended a choice; null where the model did.
    static func stop(_ stop: StopCause?, _ writer: inout JSONWriter) {
        writer.key("stop_reason")
        switch stop {
        case .text(let text): writer.string(text)
        case .token(let token): writer.integer(Int(token))
        case nil: writer.null()
        }
    }

    // MARK: Log-probabilities

    /// JSON has no infinity.
    private static func finite(_ value: Float) -> Double { max(Double(value), -9999) }

    private func tokenText(_ token: Int32) -> (text: String, bytes: [UInt8]) {
        let bytes = language.bytes(of: token)
        return (String(decoding: bytes, as: UTF8.self), bytes)
    }

    private func writeToken(_ token: Int32, _ logProbability: Float, _ writer: inout JSONWriter) {
        let (text, bytes) = tokenText(token)
        writer.key("token")
        writer.string(text)
        writer.key("logprob")
        writer.number(AnswerPieces.finite(logProbability))
        writer.key("bytes")
        writer.beginArray()
        for byte in bytes { writer.integer(Int(byte)) }
        writer.endArray()
    }

    /// The chat form: a list of tokens with their alternatives.
    func chatScores(_ scores: [ScoredToken], _ writer: inout JSONWriter) {
        writer.key("logprobs")
        writer.beginObject()
        writer.key("content")
        writer.beginArray()
        for score in scores {
            writer.beginObject()
            writeToken(score.token, score.logProbability, &writer)
            writer.key("top_logprobs")
            writer.beginArray()
            for other in score.top {
                writer.beginObject()
                writeToken(other.token, other.logProbability, &writer)
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.key("refusal")
        writer.null()
        writer.endObject()
    }

    /// The completions' form: lists side by side.
    /// - Parameters:
    ///   - first: a prompt's first token, which nothing stands before.
    ///   - offset: the text's place in the answer, moved on.
    func completionScores(
        _ scores: [ScoredToken], first: Int32? = nil, offset: inout Int, _ writer: inout JSONWriter
    ) {
        let texts =
            (first.map { [tokenText($0).text] } ?? []) + scores.map { tokenText($0.token).text }
        writer.key("logprobs")
        writer.beginObject()
        writer.key("tokens")
        writer.beginArray()
        for text in texts { writer.string(text) }
        writer.endArray()
        writer.key("token_logprobs")
        writer.beginArray()
        if first != nil { writer.null() }
        for score in scores { writer.number(AnswerPieces.finite(score.logProbability)) }
        writer.endArray()
        writer.key("top_logprobs")
        writer.beginArray()
        if first != nil { writer.null() }
        for score in scores { topObject(score, &writer) }
        writer.endArray()
        writer.key("text_offset")
        writer.beginArray()
        for text in texts {
            writer.integer(offset)
            offset += text.unicodeScalars.count
        }
        writer.endArray()
        writer.endObject()
    }

    /// The likeliest tokens by their text, the chosen one among them.
    private func topObject(_ score: ScoredToken, _ writer: inout JSONWriter) {
        var all = score.top
        if !all.contains(where: { $0.token == score.token }) {
            all.append(TokenProbability(token: score.token, logProbability: score.logProbability))
        }
        var seen: Set<[UInt8]> = []
        writer.beginObject()
        for other in all {
            let (text, bytes) = tokenText(other.token)
            guard seen.insert(Array(text.utf8)).inserted else { continue }
            _ = bytes
            writer.key(text)
            writer.number(AnswerPieces.finite(other.logProbability))
        }
        writer.endObject()
    }
}

extension FinishReason {
    /// OpenAI's word for it.
    var openAI: String {
        switch self {
        case .stop: "stop"
        case .length: "length"
        case .cancelled, .deadline: "abort"
        }
    }
}

/// Server-sent events.
enum EventText {
    static func data(_ json: [UInt8]) -> [UInt8] {
        var bytes = Array("data: ".utf8)
        bytes.reserveCapacity(json.count + 8)
        bytes += json
        bytes += [0x0A, 0x0A]
        return bytes
    }

    static func named(_ name: String, _ json: [UInt8]) -> [UInt8] {
        Array("event: \(name)\n".utf8) + data(json)
    }

    static let done = Array("data: [DONE]\n\n".utf8)
}
