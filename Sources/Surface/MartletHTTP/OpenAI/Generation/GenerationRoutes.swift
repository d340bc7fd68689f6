// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletJSON
internal import MartletLanguage
public import MartletServing
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
            GenerationRoutes.reading(request, responder, host) { fields, language in
                .json(try TokenCoding.tokenize(fields, language, context: request.context))
            }
        }
        router.on(.post, "/detokenize") { request, responder in
            GenerationRoutes.reading(request, responder, host) { fields, language in
                .json(try TokenCoding.detokenize(fields, language))
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
        @Sendable func begin(echoes: [(text: String, first: Int32?)]) {
            let answer = CompletionAnswer(
                pieces(request, prefix: "cmpl-", wishes.model, language), wishes, responder,
                prompts: decoded.count, samples: decoded[0].options.samples, echoes: echoes)
            for (index, prompt) in decoded.enumerated() {
                host.generate(prompt, cancellation: request.cancellation) {
                    answer.receive(index, $0)
                }
            }
        }
        guard wishes.echo != nil else { return begin(echoes: []) }
        onPromptThread(request, responder, host, model: wishes.model) { language in
            begin(echoes: try decoded.map { try echo($0, language) })
            return nil
        }
    }

    // MARK: Reading

    /// Answers with what `body` makes of the request's members, on a thread where rendering and
    /// tokenizing may take their time.
    static func reading(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ host: any ModelHost,
        failure: @escaping @Sendable (any Error) -> HTTPResponse = { .openAI($0) },
        _ body: @escaping @Sendable (GenerationFields, LanguageText) throws -> HTTPResponse
    ) {
        do {
            let fields = try fields(request, host)
            onPromptThread(
                request, responder, host, model: try fields.model(), failure: failure
            ) { try body(fields, $0) }
        } catch {
            responder.complete(failure(error))
        }
    }

    private static func onPromptThread(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ host: any ModelHost, model: String,
        failure: @escaping @Sendable (any Error) -> HTTPResponse = { .openAI($0) },
        _ body: @escaping @Sendable (LanguageText) throws -> HTTPResponse?
    ) {
        host.withLanguage(model: model) { result in
            // Nobody waits for it any more.
            if request.cancellation.isCancelled { return }
            do {
                let language = try result.get()
                if let response = try body(language) { responder.complete(response) }
            } catch {
                responder.complete(failure(error))
            }
        }
    }

    /// The request's members, and the model that it names.
    static func open(
        _ request: HTTPRequest, _ host: any ModelHost
    ) throws -> (GenerationFields, LanguageText) {
        let fields = try fields(request, host)
        return (fields, try host.language(model: try fields.model()))
    }

    /// The request's members, with the only language model where none is named.
    private static func fields(
        _ request: HTTPRequest, _ host: any ModelHost
    ) throws -> GenerationFields {
        var fields = try GenerationFields(request.body)
        if fields.value("model") == nil || fields.value("model") == "" {
            fields.setModel(try host.onlyModel(.generation))
        }
        return fields
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
