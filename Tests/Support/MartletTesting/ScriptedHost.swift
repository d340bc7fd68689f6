// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
internal import MartletEngine
package import MartletServing
package import MartletTensor
internal import Synchronization

/// A host whose models do as their names say: "echo" answers its inputs, "slow" when told to,
/// "full" refuses, "late" misses its deadline, "gone" is not ready, "embedder" and "reranker"
/// answer made-up numbers. What it was asked is kept.
package final class ScriptedHost: ModelHost {
    private struct Waiting: Sendable {
        var request: InferenceRequest
        var cancellation: Cancellation
        var completion: InferenceCompletion
    }

    private let waiting = Mutex<[Waiting]>([])
    private let requests = Mutex<[InferenceRequest]>([])
    private let loads = Mutex<[String]>([])
    package let sharedMemory = SharedMemoryRegistry(isAllowed: true)
    package let isReady = true

    package init() {}

    package var waitingCount: Int { waiting.withLock { $0.count } }
    package var cancelledCount: Int {
        waiting.withLock { $0.count { $0.cancellation.isCancelled } }
    }
    package var lastRequest: InferenceRequest? { requests.withLock { $0.last } }
    package var loadedNames: [String] { loads.withLock { $0 } }

    /// Answers every request that waits, last first.
    package func answerWaiting() {
        let taken = waiting.withLock { waiting -> [Waiting] in
            defer { waiting = [] }
            return waiting
        }
        for item in taken.reversed() { item.completion(ScriptedHost.answer(item.request)) }
    }

    private static func answer(
        _ request: InferenceRequest
    ) -> Result<InferenceResponse, ServingError> {
        .success(
            InferenceResponse(
                model: request.model, version: request.version ?? "1", id: request.id,
                outputs: request.inputs.map {
                    NamedTensor(name: "OUT_" + $0.name, tensor: $0.tensor)
                }))
    }

    package func submit(
        _ request: InferenceRequest, cancellation: Cancellation,
        completion: @escaping InferenceCompletion
    ) {
        requests.withLock { $0.append(request) }
        switch request.model {
        case "echo": completion(ScriptedHost.answer(request))
        case "slow":
            waiting.withLock {
                $0.append(
                    Waiting(request: request, cancellation: cancellation, completion: completion))
            }
        case "full":
            completion(
                .failure(
                    ServingError(.unavailable, "the queue is full", retryAfter: .seconds(3))))
        case "late":
            completion(.failure(ServingError(.deadlineExceeded, "too late")))
        default: completion(.failure(ScriptedHost.unknown(request.model)))
        }
    }

    package func submit(
        _ request: EmbeddingRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<EmbeddingResponse, ServingError>) -> Void
    ) {
        guard request.model == "embedder" else {
            return completion(.failure(ScriptedHost.unknown(request.model)))
        }
        let dimensions = request.dimensions ?? 4
        let vectors = request.inputs.indices.flatMap { index in
            (0..<dimensions).map { Float(index) + Float($0) / 8 }
        }
        completion(
            .success(
                EmbeddingResponse(
                    model: request.model, vectors: vectors, dimensions: dimensions,
                    promptTokens: request.inputs.count * 3)))
    }

    package func submit(
        _ request: RerankRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<RerankResponse, ServingError>) -> Void
    ) {
        guard request.model == "reranker" else {
            return completion(.failure(ScriptedHost.unknown(request.model)))
        }
        completion(
            .success(
                RerankResponse(
                    model: request.model, scores: request.documents.map { Float($0.utf8.count) },
                    promptTokens: 9)))
    }

    package var serverMetadata: ServerMetadata {
        ServerMetadata(
            name: "martlet", version: "0", extensions: ["statistics", "binary_tensor_data"])
    }

    private static func unknown(_ model: String) -> ServingError {
        ServingError(.notFound, "Request for unknown model: '\(model)' is not found")
    }

    private func check(_ model: String) throws {
        guard ["echo", "slow", "gone", "embedder"].contains(model) else {
            throw ScriptedHost.unknown(model)
        }
    }

    package func isReady(model: String, version: String?) throws -> Bool {
        try check(model)
        return model != "gone"
    }

    package func metadata(model: String, version: String?) throws -> ModelMetadata {
        try check(model)
        return ModelMetadata(
            name: model, versions: ["1"], platform: "onnxruntime_onnx",
            inputs: [TensorSpec(name: "INPUT0", elementType: .float32, dimensions: [-1, 4])],
            outputs: [TensorSpec(name: "OUT_INPUT0", elementType: .float32, dimensions: [-1, 4])])
    }

    package func configuration(model: String, version: String?) throws -> ModelConfiguration {
        try check(model)
        var configuration = ModelConfiguration(name: model)
        configuration.maxBatchSize = 8
        configuration.inputs = [.init(name: "INPUT0", elementType: .float32, dimensions: [4])]
        configuration.dynamicBatching = .init()
        configuration.parameters = ["a": "b"]
        return configuration
    }

    package func statistics(model: String?, version: String?) throws -> [ModelStatistics] {
        if let model { try check(model) }
        var statistics = ModelStatistics(name: model ?? "echo", version: "1")
        statistics.inferenceCount = 7
        statistics.success.add(1_000)
        return [statistics]
    }

    package func models() -> [ModelSummary] {
        [
            ModelSummary(
                name: "embedder", versions: ["1"], capabilities: [.embedding],
                createdSeconds: 1_700_000_000)
        ]
    }

    package func index(readyOnly: Bool) -> [RepositoryEntry] {
        let all = [
            RepositoryEntry(name: "echo", version: "1", state: .ready),
            RepositoryEntry(name: "gone", version: "1", state: .unavailable, reason: "unloaded"),
        ]
        return readyOnly ? all.filter { $0.state == .ready } : all
    }

    package func load(model: String, configuration: String?, files: [String: [UInt8]]) async throws
    {
        guard model != "broken" else {
            throw ServingError(.internal, "failed to load 'broken'")
        }
        loads.withLock { $0.append("\(model) \(configuration ?? "-") \(files.mapValues(\.count))") }
    }

    package func unload(model: String, includingDependents: Bool) async throws {
        try check(model)
    }
}
