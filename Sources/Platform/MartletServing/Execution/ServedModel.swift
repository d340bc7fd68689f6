// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletEngine
package import MartletLanguage
internal import MartletTensor

/// One loaded version of a model, ready to answer. Immutable; shared by every request that runs on
/// it, and gone when the last of them has its answer.
package final class ServedModel: Sendable {
    package let name: String
    package let version: String
    package let configuration: ModelConfiguration
    package let inputs: [TensorSpec]
    package let outputs: [TensorSpec]
    package let capabilities: ModelSummary.Capabilities
    package let statistics: StatisticsRecorder
    package let createdSeconds: Int64
    package let executor: any ModelExecutor

    package init(
        name: String, version: String, configuration: ModelConfiguration, inputs: [TensorSpec],
        outputs: [TensorSpec], capabilities: ModelSummary.Capabilities = [],
        statistics: StatisticsRecorder, executor: any ModelExecutor
    ) {
        self.name = name
        self.version = version
        self.configuration = configuration
        self.inputs = inputs
        self.outputs = outputs
        self.capabilities = capabilities
        self.statistics = statistics
        self.executor = executor
        createdSeconds = Int64(wallMilliseconds() / 1000)
    }
}

/// How a loaded version answers: a batcher over an engine, a pipeline of stages, an ensemble.
package protocol ModelExecutor: AnyObject, Sendable {
    /// Takes a request; `completion` runs exactly once, here or on another thread.
    /// - Returns: false when closed; then `completion` never runs: look the model up again.
    func submit(
        _ request: InferenceRequest, cancellation: Cancellation,
        completion: @escaping ModelHost.InferenceCompletion
    ) -> Bool

    /// As above for embeddings and ranking; models that do neither refuse.
    func submit(
        _ request: EmbeddingRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<EmbeddingResponse, ServingError>) -> Void
    ) -> Bool
    func submit(
        _ request: RerankRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<RerankResponse, ServingError>) -> Void
    ) -> Bool

    /// The low-rank adapters that requests may name.
    var adapters: Set<String> { get }
    func loadAdapter(
        _ name: String, folder: String,
        completion: @escaping @Sendable (Result<Void, ServingError>) -> Void)
    func unloadAdapter(_ name: String) -> Bool

    /// As above for text that is made token by token: `receive` hears of it until its end.
    func generate(
        _ request: GenerationRequest, cancellation: Cancellation,
        receive: @escaping GenerationReceiver
    ) -> Bool
    /// What a language model makes of text; nil for other models.
    var language: LanguageText? { get }
    /// Runs `work` on a thread that reads prompts.
    /// - Returns: false when too much waits there already, or where there is none.
    func prepare(_ work: @escaping @Sendable () -> Void) -> Bool

    /// Takes no more requests; `onDrained` runs, once, when the last one inside is answered.
    func close(onDrained: @escaping @Sendable () -> Void)
}

extension ModelExecutor {
    package var adapters: Set<String> { [] }

    package func loadAdapter(
        _ name: String, folder: String,
        completion: @escaping @Sendable (Result<Void, ServingError>) -> Void
    ) {
        completion(.failure(ServingError(.unsupported, "this model takes no adapters")))
    }

    package func unloadAdapter(_ name: String) -> Bool { false }

    package var language: LanguageText? { nil }

    package func prepare(_ work: @escaping @Sendable () -> Void) -> Bool { false }

    package func generate(
        _ request: GenerationRequest, cancellation: Cancellation,
        receive: @escaping GenerationReceiver
    ) -> Bool {
        receive(
            .failure(
                ServingError(.unsupported, "model '\(request.model)' does not generate text")))
        return true
    }

    package func submit(
        _ request: EmbeddingRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<EmbeddingResponse, ServingError>) -> Void
    ) -> Bool {
        completion(
            .failure(
                ServingError(
                    .unsupported, "model '\(request.model)' does not answer embeddings")))
        return true
    }

    package func submit(
        _ request: RerankRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<RerankResponse, ServingError>) -> Void
    ) -> Bool {
        completion(
            .failure(
                ServingError(.unsupported, "model '\(request.model)' does not rank documents")))
        return true
    }
}
