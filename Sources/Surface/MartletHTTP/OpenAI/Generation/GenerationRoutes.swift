// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletJSON
internal import MartletLanguage
public import MartletServing
internal import MartletTokenizers
internal import MartletWire

/// What clients need of a language model: OpenAI's chat, completions and responses, Anthropic's
/// messages, the KServe protocol's `generate`, and its tokens.
public struct GenerationRoutes: Sendable {
    private let host: any ModelHost

    public init(_ host: any ModelHost) {
        self.host = host
    }

    public func add(to router: inout Router) {
        let host = host
        let tracing = RequestTracing()
        router.on(.post, "/v1/chat/completions") { request, responder in
            GenerationRoutes.answering(responder) {
                try GenerationRoutes.chat(request, responder, host, tracing)
            }
        }
        router.on(.post, "/v1/completions") { request, responder in
            GenerationRoutes.answering(responder) {
                try GenerationRoutes.complete(request, responder, host, tracing)
            }
        }
        router.on(.post, "/v1/responses") { request, responder in
            GenerationRoutes.answering(responder) {
                try GenerationRoutes.respond(request, responder, host, tracing)
            }
        }
        AdapterRoutes.add(to: &router, host)
        MessagesRoutes(host).add(to: &router)
        GenerateExtension.add(to: &router, host)
        router.on(.post, "/tokenize") { request, responder in
            GenerationRoutes.answering(responder) {
                responder.complete(.json(try TokenCoding.tokenize(request, host)))
            }
        }
        router.on(.post, "/detokenize") { request, responder in
            GenerationRoutes.answering(responder) {
                responder.complete(.json(try TokenCoding.detokenize(request, host)))
            }
        }
    }

    private static func answering(_ responder: HTTPResponder, _ body: () throws -> Void) {
        do { try body() } catch { responder.complete(.openAI(error)) }
    }

    static func pieces(
        _ request: HTTPRequest, prefix: String, _ model: String, _ language: LanguageText
    ) -> AnswerPieces {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME_COARSE, &now)
        return AnswerPieces(
            id: prefix + request.id, created: Int64(now.tv_sec), model: model, language: language)
    }

    private static func chat(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ host: any ModelHost,
        _ tracing: RequestTracing
    ) throws {
        let (fields, language) = try open(request, host)
        let (decoded, wishes) = try tracing.withSpan("decode", request.context) {
            try ChatRequestCoding.decode(fields, language, context: request.context)
        }
        let answer = ChatAnswer(
            pieces(request, prefix: "chatcmpl-", wishes.model, language), wishes, responder)
        host.generate(decoded, cancellation: request.cancellation) { answer.receive($0) }
    }

    private static func respond(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ host: any ModelHost,
        _ tracing: RequestTracing
    ) throws {
        let (fields, language) = try open(request, host)
        let (decoded, wishes, echo) = try tracing.withSpan("decode", request.context) {
            try ResponsesCoding.decode(fields, language, context: request.context)
        }
        let answer = ResponsesAnswer(
            pieces(request, prefix: "resp_", wishes.model, language), wishes, echo, responder)
        host.generate(decoded, cancellation: request.cancellation) { answer.receive($0) }
    }

    private static func complete(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ host: any ModelHost,
        _ tracing: RequestTracing
    ) throws {
        let (fields, language) = try open(request, host)
        let (decoded, wishes) = try tracing.withSpan("decode", request.context) {
            try CompletionRequestCoding.decode(fields, language, context: request.context)
        }
        let echoes = wishes.echo == nil ? [] : try decoded.map { try echo($0, language) }
        let answer = CompletionAnswer(
            pieces(request, prefix: "cmpl-", wishes.model, language), wishes, responder,
            prompts: decoded.count, samples: decoded[0].options.samples, echoes: echoes)
        for (index, prompt) in decoded.enumerated() {
            host.generate(prompt, cancellation: request.cancellation) { answer.receive(index, $0) }
        }
    }

    /// The request's members, and the model that it names.
    static func open(
        _ request: HTTPRequest, _ host: any ModelHost
    ) throws -> (GenerationFields, LanguageText) {
        let fields = try GenerationFields(request.body)
        return (fields, try host.language(model: try fields.model()))
    }

    /// What a prompt is as text, and its first token.
    private static func echo(
        _ request: GenerationRequest, _ language: LanguageText
    ) throws -> (text: String, first: Int32?) {
        switch request.prompt {
        case .text(let text):
            let tokens = try language.tokens(text, addsSpecialTokens: request.addsSpecialTokens)
            return (text, tokens.first)
        case .tokens(let tokens): return (TokenCoding.text(tokens, language), tokens.first)
        case .chat: return ("", nil)
        }
    }
}

/// `/tokenize` and `/detokenize`, as vLLM has them.
enum TokenCoding {
    private static let tokenCountMax = 1 << 20

    static func tokenize(_ request: HTTPRequest, _ host: any ModelHost) throws -> [UInt8] {
        let (fields, language) = try GenerationRoutes.open(request, host)
        var addsSpecialTokens = true
        let text: String
        if let prompt = try fields.string("prompt") {
            text = prompt
        } else if fields.value("messages") != nil {
            guard
                case .chat(let chat) = try ChatRequestCoding.decode(
                    fields, language, context: request.context
                ).0.prompt
            else { throw EmbeddingCoding.missing("prompt") }
            var now = timespec()
            unsafe clock_gettime(CLOCK_REALTIME, &now)
            text = try language.render(chat, wallSeconds: Int64(now.tv_sec))
            addsSpecialTokens = false
        } else {
            throw EmbeddingCoding.missing("prompt")
        }
        if fields.value("add_special_tokens") != nil {
            addsSpecialTokens = try fields.flag("add_special_tokens")
        }
        let tokens = try language.tokens(text, addsSpecialTokens: addsSpecialTokens)
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("count")
        writer.integer(tokens.count)
        writer.key("max_model_len")
        writer.integer(language.contextLength)
        writer.key("tokens")
        writer.beginArray()
        for token in tokens { writer.integer(Int(token)) }
        writer.endArray()
        if try fields.flag("return_token_strs") {
            writer.key("token_strs")
            writer.beginArray()
            for token in tokens { writer.string(language.tokenizer.content(of: Int(token)) ?? "") }
            writer.endArray()
        }
        writer.endObject()
        return writer.bytes
    }

    static func detokenize(_ request: HTTPRequest, _ host: any ModelHost) throws -> [UInt8] {
        let (fields, language) = try GenerationRoutes.open(request, host)
        guard let values = try fields.list("tokens") else {
            throw EmbeddingCoding.missing("tokens")
        }
        let tokens = values.compactMap { $0.intValue.flatMap(Int32.init(exactly:)) }
        guard tokens.count == values.count, tokens.count <= tokenCountMax else {
            throw fields.wrong("tokens", "a list of at most \(tokenCountMax) whole numbers")
        }
        let limit = language.tokenizer.vocabularySize
        if let token = tokens.first(where: { $0 < 0 || $0 >= limit }) {
            throw OpenAIError.invalid(
                "'tokens' has \(token), which is not from 0 to \(limit - 1)", parameter: "tokens")
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("prompt")
        writer.string(text(tokens, language))
        writer.endObject()
        return writer.bytes
    }

    static func text(_ tokens: [Int32], _ language: LanguageText) -> String {
        var detokenizer = StreamingDetokenizer(
            language.tokenizer, skipsSpecialTokens: false, continuesText: false)
        var text = ""
        for token in tokens { text += detokenizer.append(token) }
        return text + detokenizer.finish()
    }
}
