// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletServing
internal import MartletTensor
internal import Synchronization

/// A host whose models answer their inputs: "echo" at once, "slow" when it is told to, "gone"
/// never ready. What it was asked is kept.
final class EchoHost: ModelHost {
    struct Waiting: Sendable {
        var request: InferenceRequest
        var cancellation: Cancellation
        var completion: InferenceCompletion
    }

    private let waiting = Mutex<[Waiting]>([])
    private let requests = Mutex<[InferenceRequest]>([])
    private let loads = Mutex<[String]>([])
    let sharedMemory = SharedMemoryRegistry(isAllowed: true)
    let isReady = true

    /// Answers every request that waits, last first.
    func answerWaiting() {
        let taken = waiting.withLock { waiting -> [Waiting] in
            defer { waiting = [] }
            return waiting
        }
        for item in taken.reversed() { item.completion(EchoHost.answer(item.request)) }
    }

    var waitingCount: Int { waiting.withLock { $0.count } }
    var cancelledCount: Int { waiting.withLock { $0.count { $0.cancellation.isCancelled } } }
    var lastRequest: InferenceRequest? { requests.withLock { $0.last } }
    var loadedNames: [String] { loads.withLock { $0 } }

    private static func answer(
        _ request: InferenceRequest
    ) -> Result<InferenceResponse, ServingError> {
        .success(
            InferenceResponse(
                model: request.model, version: request.version ?? "1", id: request.id,
                outputs: request.inputs.map {
                    NamedTensor(name: EchoHost.outputName($0.name), tensor: $0.tensor)
                }))
    }

    private static func outputName(_ input: String) -> String {
        input.hasPrefix("INPUT") ? "OUTPUT" + input.dropFirst("INPUT".count) : input
    }

    func submit(
        _ request: InferenceRequest, cancellation: Cancellation,
        completion: @escaping InferenceCompletion
    ) {
        requests.withLock { $0.append(request) }
        switch request.model {
        case "echo": completion(EchoHost.answer(request))
        case "slow":
            waiting.withLock {
                $0.append(
                    Waiting(request: request, cancellation: cancellation, completion: completion))
            }
        default: completion(.failure(EchoHost.unknown(request.model)))
        }
    }

    func submit(
        _ request: EmbeddingRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<EmbeddingResponse, ServingError>) -> Void
    ) {
        completion(.failure(ServingError(.unsupported, "no embeddings")))
    }

    func submit(
        _ request: RerankRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<RerankResponse, ServingError>) -> Void
    ) {
        completion(.failure(ServingError(.unsupported, "no reranking")))
    }

    var serverMetadata: ServerMetadata {
        ServerMetadata(name: "martlet", version: "0", extensions: ["statistics"])
    }

    private static func unknown(_ model: String) -> ServingError {
        ServingError(.notFound, "Request for unknown model: '\(model)' is not found")
    }

    private func check(_ model: String) throws {
        guard ["echo", "slow", "gone"].contains(model) else { throw EchoHost.unknown(model) }
    }

    func isReady(model: String, version: String?) throws -> Bool {
        try check(model)
        return model != "gone"
    }

    func metadata(model: String, version: String?) throws -> ModelMetadata {
        try check(model)
        return ModelMetadata(
            name: model, versions: ["1"], platform: "onnxruntime_onnx",
            inputs: [TensorSpec(name: "INPUT0", elementType: .float32, dimensions: [-1, 16])],
            outputs: [TensorSpec(name: "OUTPUT0", elementType: .float32, dimensions: [-1, 16])])
    }

    func configuration(model: String, version: String?) throws -> ModelConfiguration {
        try check(model)
        var configuration = ModelConfiguration(name: model)
        configuration.platform = "onnxruntime_onnx"
        configuration.maxBatchSize = 8
        configuration.inputs = [.init(name: "INPUT0", elementType: .float32, dimensions: [16])]
        configuration.outputs = [.init(name: "OUTPUT0", elementType: .bytes, dimensions: [-1])]
        configuration.dynamicBatching = .init()
        configuration.dynamicBatching?.preferredBatchSizes = [4, 8]
        configuration.parameters = ["a": "b"]
        return configuration
    }

    func statistics(model: String?, version: String?) throws -> [ModelStatistics] {
        if let model { try check(model) }
        var statistics = ModelStatistics(name: model ?? "echo", version: "1")
        statistics.inferenceCount = 7
        statistics.success.add(1_000)
        statistics.memoryBytes = 4_096
        return [statistics]
    }

    func models() -> [ModelSummary] { [] }

    func index(readyOnly: Bool) -> [RepositoryEntry] {
        let all = [
            RepositoryEntry(name: "echo", version: "1", state: .ready),
            RepositoryEntry(name: "gone", version: "1", state: .unavailable, reason: "unloaded"),
        ]
        return readyOnly ? all.filter { $0.state == .ready } : all
    }

    func load(model: String, configuration: String?, files: [String: [UInt8]]) async throws {
        guard model != "broken" else {
            throw ServingError(.internal, "failed to load 'broken'")
        }
        loads.withLock { $0.append(model) }
    }

    func unload(model: String, includingDependents: Bool) async throws {
        try check(model)
    }
}
