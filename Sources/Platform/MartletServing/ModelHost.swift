// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
public import MartletLanguage
public import MartletTensor

/// Serves models without knowing any transport. Seam 2 of the house: everything above it is a
/// translation, everything below it a strategy.
public protocol ModelHost: AnyObject, Sendable {
    typealias InferenceCompletion = @Sendable (Result<InferenceResponse, ServingError>) -> Void

    /// Queues a request and returns at once; `completion` runs exactly once, on any thread, and
    /// must not block. Cancelling `cancellation` takes a waiting request out of the queue and is
    /// answered with `.cancelled`.
    func submit(
        _ request: InferenceRequest, cancellation: Cancellation,
        completion: @escaping InferenceCompletion)

    /// As `submit` for inference: returns at once, answers exactly once. Texts are encoded on
    /// threads of the host's own.
    func submit(
        _ request: EmbeddingRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<EmbeddingResponse, ServingError>) -> Void)

    func submit(
        _ request: RerankRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<RerankResponse, ServingError>) -> Void)

    /// Continues a text: returns at once; `receive` hears of it, on the model's own thread, until
    /// its end or failure, and must not block. Cancelling ends it within a step.
    func generate(
        _ request: GenerationRequest, cancellation: Cancellation,
        receive: @escaping GenerationReceiver)

    /// What a language model makes of text.
    /// - Throws: `ServingError` for a model that is none.
    func language(model: String) throws -> LanguageText

    /// Runs `body` with what `language` answers, once, on a thread where rendering and tokenizing
    /// may take their time; a failure is told here.
    func withLanguage(
        model: String, _ body: @escaping @Sendable (Result<LanguageText, ServingError>) -> Void)

    // MARK: What is there

    /// What the server says of itself: its name, version and the protocol extensions it serves.
    var serverMetadata: ServerMetadata { get }
    /// All configured models loaded (strict) or the server able to answer at all (not strict).
    var isReady: Bool { get }
    func isReady(model: String, version: String?) throws -> Bool
    func metadata(model: String, version: String?) throws -> ModelMetadata
    /// The model's configuration, merged with what the model itself says.
    func configuration(model: String, version: String?) throws -> ModelConfiguration
    /// Statistics of one model, one version, or all (nil).
    func statistics(model: String?, version: String?) throws -> [ModelStatistics]
    /// The loaded models, by name, with what each can do: for `/v1/models`.
    func models() -> [ModelSummary]

    // MARK: Changing it

    func index(readyOnly: Bool) -> [RepositoryEntry]
    /// Loads or reloads a model; `configuration` replaces config.pbtxt, `files` (version/name →
    /// content) replace the model's files.
    func load(model: String, configuration: String?, files: [String: [UInt8]]) async throws
    func unload(model: String, includingDependents: Bool) async throws

    /// Loads a low-rank adapter under a name, for a model or the only one that generates.
    func loadAdapter(_ name: String, folder: String, model: String?) async throws
    func unloadAdapter(_ name: String) async throws

    // MARK: Shared memory

    var sharedMemory: SharedMemoryRegistry { get }
}

extension ModelHost {
    /// The asynchronous form of `submit`; cancelling the task cancels the request.
    public func infer(_ request: InferenceRequest) async throws -> InferenceResponse {
        try await withRequest { submit(request, cancellation: $0, completion: $1) }
    }

    /// The asynchronous form of `submit`; cancelling the task cancels the request.
    public func embed(_ request: EmbeddingRequest) async throws -> EmbeddingResponse {
        try await withRequest { submit(request, cancellation: $0, completion: $1) }
    }

    /// The asynchronous form of `submit`; cancelling the task cancels the request.
    public func rerank(_ request: RerankRequest) async throws -> RerankResponse {
        try await withRequest { submit(request, cancellation: $0, completion: $1) }
    }

    private func withRequest<Response: Sendable>(
        _ start: (
            Cancellation, @escaping @Sendable (Result<Response, ServingError>) -> Void
        ) -> Void
    ) async throws -> Response {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                start(cancellation) { continuation.resume(with: $0) }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }
}
