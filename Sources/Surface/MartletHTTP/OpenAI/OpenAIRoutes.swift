// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
public import MartletServing
internal import MartletWire

/// What OpenAI's clients need of a `ModelHost`: models, embeddings and, in the form that Cohere
/// and Jina share, reranking.
public struct OpenAIRoutes: Sendable {
    private let host: any ModelHost

    public init(_ host: any ModelHost) {
        self.host = host
    }

    public func add(to router: inout Router) {
        let host = host
        let tracing = RequestTracing()
        OpenAIRoutes.addHealth(to: &router, host)
        router.on(.get, "/v1/models") { _, responder in
            responder.complete(.json(OpenAIRoutes.encode(host.models())))
        }
        router.on(.get, "/v1/models/:model") { request, responder in
            let name = request.parameter("model") ?? ""
            guard let model = host.models().first(where: { $0.name == name }) else {
                let error = ServingError(.notFound, "The model '\(name)' does not exist")
                responder.complete(.openAI(error))
                return
            }
            var writer = JSONWriter()
            OpenAIRoutes.write(model, to: &writer)
            responder.complete(.json(writer.bytes))
        }
        router.on(.post, "/v1/embeddings") { request, responder in
            OpenAIRoutes.embed(request, responder, host, tracing)
        }
        router.on(.post, "/v1/rerank") { request, responder in
            OpenAIRoutes.rerank(request, responder, host, tracing)
        }
    }

    // MARK: Health

    /// As vLLM answers them, for whatever watches such servers: `/ping` is SageMaker's.
    private static func addHealth(to router: inout Router, _ host: any ModelHost) {
        for (method, path) in [(HTTPMethod.get, "/health"), (.get, "/ping"), (.post, "/ping")] {
            router.on(method, path) { _, responder in
                responder.complete(.empty(host.isReady ? 200 : 503))
            }
        }
        router.on(.get, "/version") { _, responder in
            let value: JSONValue = ["version": .string(host.serverMetadata.version)]
            responder.complete(.json(value.serialized()))
        }
    }

    // MARK: Models

    private static func encode(_ models: [ModelSummary]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("object")
        writer.string("list")
        writer.key("data")
        writer.beginArray()
        for model in models { write(model, to: &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ model: ModelSummary, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("id")
        writer.string(model.name)
        writer.key("object")
        writer.string("model")
        writer.key("created")
        writer.integer(model.createdSeconds)
        writer.key("owned_by")
        writer.string("martlet")
        // vLLM's members, by which clients tell adapters from models.
        writer.key("root")
        writer.string(model.parent ?? model.standsFor ?? model.name)
        writer.key("parent")
        writer.optional(model.parent)
        writer.endObject()
    }

    // MARK: Embeddings and reranking

    private static func embed(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ host: any ModelHost,
        _ tracing: RequestTracing
    ) {
        do {
            let (decoded, encoding) = try tracing.withSpan("decode", request.context) {
                var (decoded, encoding) = try EmbeddingCoding.decode(
                    request.body, context: request.context)
                if decoded.model.isEmpty { decoded.model = try host.onlyModel(.embedding) }
                return (decoded, encoding)
            }
            let context = request.context
            host.submit(decoded, cancellation: request.cancellation) { result in
                var byteCount = 0
                if case .success(let response) = result { byteCount = response.vectors.count * 10 }
                responder.complete(writing: byteCount) {
                    tracing.withSpan("encode", context) {
                        do throws(ServingError) {
                            return .json(EmbeddingCoding.encode(try result.get(), encoding))
                        } catch { return .openAI(error) }
                    }
                }
            }
        } catch {
            responder.complete(.openAI(error))
        }
    }

    private static func rerank(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ host: any ModelHost,
        _ tracing: RequestTracing
    ) {
        do {
            let (decoded, wish) = try tracing.withSpan("decode", request.context) {
                var (decoded, wish) = try RerankCoding.decode(
                    request.body, context: request.context)
                if decoded.model.isEmpty { decoded.model = try host.onlyModel(.reranking) }
                return (decoded, wish)
            }
            let context = request.context
            let documents = decoded.documents
            host.submit(decoded, cancellation: request.cancellation) { result in
                let byteCount = documents.reduce(0) { $0 + $1.utf8.count }
                responder.complete(writing: byteCount) {
                    tracing.withSpan("encode", context) {
                        do throws(ServingError) {
                            let response = try result.get()
                            return .json(RerankCoding.encode(response, documents, wish))
                        } catch { return .openAI(error) }
                    }
                }
            }
        } catch {
            responder.complete(.openAI(error))
        }
    }
}

extension ModelHost {
    /// The model that a request without a name means: the only one that can do this.
    /// - Throws: `OpenAIError` where there are several, or none.
    func onlyModel(_ capability: ModelSummary.Capabilities) throws(OpenAIError) -> String {
        let able = models().filter {
            $0.capabilities.contains(capability) && $0.parent == nil && $0.standsFor == nil
        }
        guard able.count == 1 else { throw EmbeddingCoding.missing("model") }
        return able[0].name
    }
}
