// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
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

    func embed(_ request: EmbeddingRequest) async throws -> EmbeddingResponse
    func rerank(_ request: RerankRequest) async throws -> RerankResponse

    // MARK: What is there

    /// All configured models loaded (strict) or the server able to answer at all (not strict).
    var isReady: Bool { get }
    func isReady(model: String, version: String?) throws -> Bool
    func metadata(model: String, version: String?) throws -> ModelMetadata
    /// The model's configuration as the protocol's JSON form of `ModelConfig`.
    func configuration(model: String, version: String?) throws -> ModelConfiguration
    /// Statistics of one model, one version, or all (nil).
    func statistics(model: String?, version: String?) throws -> [ModelStatistics]
    /// Names of loaded models, with what each can do, for `/v1/models`.
    func modelNames() -> [String]

    // MARK: Changing it

    func index(readyOnly: Bool) -> [RepositoryEntry]
    /// Loads or reloads a model; `configuration` replaces config.pbtxt, `files` (version/name →
    /// content) replace the model's files.
    func load(model: String, configuration: String?, files: [String: [UInt8]]) async throws
    func unload(model: String, includingDependents: Bool) async throws

    // MARK: Shared memory

    var sharedMemory: SharedMemoryRegistry { get }
}

extension ModelHost {
    /// The asynchronous form of `submit`; cancelling the task cancels the request.
    public func infer(_ request: InferenceRequest) async throws -> InferenceResponse {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                submit(request, cancellation: cancellation) { result in
                    continuation.resume(with: result)
                }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }
}
