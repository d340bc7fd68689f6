// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import MartletWire
internal import Synchronization

/// `generate` and `generate_stream`, in the form of Triton's extension: a text in, a text or its
/// pieces out.
enum GenerateExtension {
    static func add(to router: inout Router, _ host: any ModelHost) {
        for version in ["", "/versions/:version"] {
            for isStream in [false, true] {
                let path = "/v2/models/:model\(version)/generate\(isStream ? "_stream" : "")"
                router.on(.post, path) { request, responder in
                    do {
                        try answer(request, responder, host, isStream: isStream)
                    } catch {
                        responder.complete(failure(error))
                    }
                }
            }
        }
    }

    private static func failure(_ error: any Error) -> HTTPResponse {
        switch error {
        case let error as ServingError: .kserve(error)
        case let error as LanguageError: .kserve(ServingError(failure: error))
        case let error as OpenAIError: .error(error.message, status: error.status)
        default: .error("\(error)", status: 400)
        }
    }

    private static func answer(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ host: any ModelHost, isStream: Bool
    ) throws {
        let model = request.parameter("model") ?? ""
        let language = try host.language(model: model)
        let fields = try GenerationFields(request.body)
        guard let prompt = try fields.string("text_input") else {
            throw OpenAIError.invalid("'text_input' is missing", parameter: "text_input")
        }
        // Parameters stand beside the text or in an object of their own.
        var members = fields.object
        for (name, value) in fields.value("parameters")?.objectValue ?? JSONObject() {
            members[name] = value
        }
        let wishes = GenerationFields(members)
        var options = try wishes.options(language.sampling)
        if options.tokensMax == nil { options.tokensMax = 16 }
        options.samples = 1
        var generation = GenerationRequest(
            model: model, prompt: .text(prompt), options: options, format: try wishes.format(),
            context: request.context)
        if wishes.value("add_special_tokens") != nil {
            generation.addsSpecialTokens = try wishes.flag("add_special_tokens")
        }
        generation.truncatesPromptTo = try wishes.integer("truncate_prompt_tokens")
        let state = Collector(
            model: model, version: request.parameter("version") ?? "1", responder, isStream)
        host.generate(generation, cancellation: request.cancellation) { state.receive($0) }
    }

    private final class Collector: Sendable {
        private struct State {
            var text = ""
            var stream: HTTPStream?
        }

        private let model: String
        private let version: String
        private let responder: HTTPResponder
        private let isStream: Bool
        private let state = Mutex(State())

        init(model: String, version: String, _ responder: HTTPResponder, _ isStream: Bool) {
            self.model = model
            self.version = version
            self.responder = responder
            self.isStream = isStream
        }

        private func body(_ text: String) -> [UInt8] {
            let value: JSONValue = [
                "model_name": .string(model), "model_version": .string(version),
                "text_output": .string(text),
            ]
            return value.serialized()
        }

        func receive(_ result: Result<GenerationEvent, ServingError>) {
            switch result {
            case .success(.started):
                guard isStream else { return }
                let stream = responder.stream(.events)
                state.withLock { $0.stream = stream }
            case .success(.delta(let delta)):
                if isStream {
                    guard !delta.text.isEmpty else { return }
                    state.withLock { $0.stream }?.write(EventText.data(body(delta.text)))
                } else {
                    state.withLock { $0.text += delta.text }
                }
            case .success(.ended):
                let final = state.withLock { $0 }
                if let stream = final.stream {
                    stream.end()
                } else {
                    responder.complete(.json(body(final.text)))
                }
            case .success(.failed(let error)): fail(ServingError(failure: error))
            case .failure(let error): fail(error)
            default: break
            }
        }

        private func fail(_ error: ServingError) {
            let response = HTTPResponse.kserve(error)
            guard let stream = state.withLock({ $0.stream }) else {
                responder.complete(response)
                return
            }
            stream.write(EventText.data(response.bodyBytes))
            stream.end()
        }
    }
}
