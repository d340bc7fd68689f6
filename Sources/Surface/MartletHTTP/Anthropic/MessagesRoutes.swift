// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
public import MartletServing
internal import MartletWire

/// `/v1/messages`: what Anthropic's clients need of a language model.
public struct MessagesRoutes: Sendable {
    private let host: any ModelHost

    public init(_ host: any ModelHost) {
        self.host = host
    }

    public func add(to router: inout Router) {
        let host = host
        router.on(.post, "/v1/messages") { request, responder in
            do {
                let (fields, language) = try GenerationRoutes.open(request, host)
                let (decoded, wishes) = try MessagesCoding.decode(
                    fields, language, context: request.context)
                let answer = MessagesAnswer(
                    GenerationRoutes.pieces(request, prefix: "msg_", wishes.model, language),
                    wishes, responder)
                host.generate(decoded, cancellation: request.cancellation) { answer.receive($0) }
            } catch {
                responder.complete(.anthropic(error))
            }
        }
        router.on(.post, "/v1/messages/count_tokens") { request, responder in
            GenerationRoutes.reading(
                request, responder, host, failure: { .anthropic($0) }
            ) { fields, language in
                guard
                    case .chat(let chat) = try MessagesCoding.decode(
                        fields, language, context: request.context, countsOnly: true
                    ).0.prompt
                else { throw EmbeddingCoding.missing("messages") }
                let text = try language.render(chat, wallSeconds: 0)
                var writer = JSONWriter()
                writer.beginObject()
                writer.key("input_tokens")
                writer.integer(try language.tokens(text, addsSpecialTokens: false).count)
                writer.endObject()
                return .json(writer.bytes)
            }
        }
    }
}

extension HTTPResponse {
    /// Anthropic's answer to an error: `{"type": "error", "error": {type, message}}`.
    static func anthropic(_ error: any Error) -> HTTPResponse {
        let openAI = HTTPResponse.openAI(error)
        let message =
            (try? JSONValue(parsing: openAI.bodyBytes))?["error"]?["message"]?.stringValue
            ?? "\(error)"
        let type =
            switch openAI.status {
            case 404: "not_found_error"
            case 413: "request_too_large"
            case 429: "rate_limit_error"
            case 503, 529: "overloaded_error"
            case 500...: "api_error"
            default: "invalid_request_error"
            }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("type")
        writer.string("error")
        writer.key("error")
        writer.beginObject()
        writer.key("type")
        writer.string(type)
        writer.key("message")
        writer.string(message)
        writer.endObject()
        writer.endObject()
        var response = HTTPResponse.json(writer.bytes, status: openAI.status)
        response.fields = openAI.fields
        return response
    }
}
