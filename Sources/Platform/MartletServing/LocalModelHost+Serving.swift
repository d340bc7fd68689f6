// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
public import MartletLanguage
internal import MartletTensor
internal import ServiceContextModule
internal import Synchronization

extension LocalModelHost {
    public func submit(
        _ request: InferenceRequest, cancellation: Cancellation,
        completion: @escaping InferenceCompletion
    ) {
        if let name = LocalModelHost.repeated(request.outputs) {
            completion(
                .failure(
                    ServingError(.invalidArgument, "output '\(name)' is requested more than once")))
            return
        }
        guard let admission else {
            return admit(request.model, request.version, completion) { executor in
                executor.submit(request, cancellation: cancellation, completion: completion)
            }
        }
        // The span of admission ends here, and a run on this thread would be counted in.
        var waiting = request
        waiting.allowsInlineRun = false
        admission.withSpan(request.model, request.context, completion) { completion in
            admit(waiting.model, waiting.version, completion) { executor in
                executor.submit(waiting, cancellation: cancellation, completion: completion)
            }
        }
    }

    /// An output that is asked for twice: a short request could ask for a tensor a million times.
    private static func repeated(_ outputs: [RequestedOutput]) -> String? {
        guard outputs.count > 1 else { return nil }
        var names: Set<String> = []
        return outputs.first { !names.insert($0.name).inserted }?.name
    }

    public func submit(
        _ request: EmbeddingRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<EmbeddingResponse, ServingError>) -> Void
    ) {
        dispatch(request.model, nil, request.context, completion) { executor, completion in
            executor.submit(request, cancellation: cancellation, completion: completion)
        }
    }

    public func submit(
        _ request: RerankRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<RerankResponse, ServingError>) -> Void
    ) {
        dispatch(request.model, nil, request.context, completion) { executor, completion in
            executor.submit(request, cancellation: cancellation, completion: completion)
        }
    }

    public func generate(
        _ request: GenerationRequest, cancellation: Cancellation,
        receive: @escaping GenerationReceiver
    ) {
        var request = request
        if let adapter = adapter(named: request.model) {
            request.model = adapter.base
            request.options.adapter = adapter.name
        }
        dispatch(request.model, nil, request.context, receive) { [request] executor, receive in
            executor.generate(request, cancellation: cancellation, receive: receive)
        }
    }

    public func language(model: String) throws -> LanguageText {
        let base = adapter(named: model)?.base ?? model
        guard let language = try table.current.find(base, version: nil).executor.language else {
            throw ServingError(.unsupported, "model '\(model)' is no language model")
        }
        return language
    }

    public func withLanguage(
        model: String, _ body: @escaping @Sendable (Result<LanguageText, ServingError>) -> Void
    ) {
        let base = adapter(named: model)?.base ?? model
        admit(base, nil, body) { executor in
            guard let language = executor.language else {
                body(
                    .failure(
                        ServingError(.unsupported, "model '\(model)' is no language model")))
                return true
            }
            if !executor.prepare({ body(.success(language)) }) {
                body(
                    .failure(
                        ServingError(
                            .unavailable, "model '\(model)': too many texts wait to be read",
                            retryAfter: .seconds(1))))
            }
            return true
        }
    }

    private func dispatch<Response>(
        _ model: String, _ version: String?, _ context: ServiceContext,
        _ completion: @escaping AdmissionSpans.Completion<Response>,
        _ submit: (any ModelExecutor, @escaping AdmissionSpans.Completion<Response>) -> Bool
    ) {
        guard let admission else {
            return admit(model, version, completion) { submit($0, completion) }
        }
        admission.withSpan(model, context, completion) { completion in
            admit(model, version, completion) { submit($0, completion) }
        }
    }

    /// Finds the model and hands the request over; a version that was closed between the two is
    /// looked up again, for its successor stands in the table before it closes.
    @inline(__always)
    private func admit<Response>(
        _ model: String, _ version: String?,
        _ completion: AdmissionSpans.Completion<Response>, _ submit: (any ModelExecutor) -> Bool
    ) {
        var closed: ServedModel?
        while true {
            do throws(ServingError) {
                let served = try served(model, version: version, after: closed)
                if submit(served.executor) { return }
                closed = served
            } catch {
                completion(.failure(error))
                return
            }
        }
    }

    /// - Throws: when there is none, or still the one that was closed, or no more are served.
    private func served(
        _ model: String, version: String?, after closed: ServedModel?
    ) throws(ServingError) -> ServedModel {
        if phase.withLock({ $0 == .draining }) {
            throw ServingError(
                .unavailable, "the server is shutting down", retryAfter: .seconds(5))
        }
        let served = try table.current.find(model, version: version)
        if served === closed {
            throw ServingError(
                .unavailable, "model '\(model)' is being unloaded", retryAfter: .seconds(1))
        }
        return served
    }

    // MARK: What is there

    public var serverMetadata: ServerMetadata {
        var extensions = [
            "classification", "model_repository", "model_repository(unload_dependents)",
            "schedule_policy", "model_configuration", "binary_tensor_data", "parameters",
            "statistics", "trace", "logging",
        ]
        if sharedMemory.isAllowed { extensions.append("system_shared_memory") }
        return ServerMetadata(
            name: "martlet", version: LocalModelHost.version, extensions: extensions)
    }

    public static let version = "0.1.0"

    public var isReady: Bool {
        switch phase.withLock({ $0 }) {
        case .idle, .draining: false
        case .starting: !options.isReadinessStrict
        case .started: !options.isReadinessStrict || repository.isSettledWithoutFailure
        }
    }

    /// False for a model or version that is not there: a question, not a mistake.
    public func isReady(model: String, version: String?) throws -> Bool {
        (try? table.current.find(model, version: version)) != nil
    }

    public func metadata(model: String, version: String?) throws -> ModelMetadata {
        let table = table.current
        let served = try table.find(model, version: version)
        return ModelMetadata(
            name: served.name,
            versions: table.entries[model]?.versions.map(\.version) ?? [served.version],
            platform: served.configuration.platform, inputs: served.inputs,
            outputs: served.outputs)
    }

    public func configuration(model: String, version: String?) throws -> ModelConfiguration {
        try table.current.find(model, version: version).configuration
    }

    public func statistics(model: String?, version: String?) throws -> [ModelStatistics] {
        let table = table.current
        guard let model, !model.isEmpty else {
            return table.entries.values.flatMap(\.versions).map(\.statistics.snapshot)
                .sorted { ($0.name, $0.version) < ($1.name, $1.version) }
        }
        if let version, !version.isEmpty {
            return [try table.find(model, version: version).statistics.snapshot]
        }
        _ = try table.find(model, version: nil)
        return table.entries[model]?.versions.map(\.statistics.snapshot) ?? []
    }

    public func models() -> [ModelSummary] {
        table.current.entries.values.flatMap { entry -> [ModelSummary] in
            guard let latest = entry.latest else { return [] }
            let model = ModelSummary(
                name: latest.name, versions: entry.versions.map(\.version),
                capabilities: latest.capabilities, createdSeconds: latest.createdSeconds)
            let adapters = latest.executor.adapters.map { name in
                var adapter = model
                adapter.name = name
                adapter.parent = latest.name
                return adapter
            }
            let others = options.otherNames.filter { $0.value == latest.name }.keys.map { name in
                var other = model
                other.name = name
                other.standsFor = latest.name
                return other
            }
            return [model] + adapters + others
        }.sorted { $0.name < $1.name }
    }

    public func index(readyOnly: Bool) -> [RepositoryEntry] {
        repository.index(readyOnly: readyOnly)
    }

    // MARK: Changing it

    public func load(
        model: String, configuration: String?, files: [String: [UInt8]]
    ) async throws {
        try requireExplicitControl()
        let uploaded: UploadedFiles?
        var found: ModelCandidate?
        if files.isEmpty {
            uploaded = nil
            found = try scanner.find(model)
        } else {
            guard configuration != nil else {
                throw ServingError(
                    .invalidArgument,
                    "failed to load '\(model)', override model directory requires model config")
            }
            let written = try UploadedFiles(model: model, files: files)
            uploaded = written
            found = try RepositoryScanner([]).model(at: written.folder)
            found?.name = model
        }
        guard var candidate = found else {
            throw ServingError(
                .invalidArgument,
                "failed to load '\(model)', failed to poll from model repository")
        }
        if let configuration { candidate.configuration = .json(Array(configuration.utf8)) }
        let failures = await apply(try withDependencies(candidate))
        withExtendedLifetime(uploaded) {}
        if let failure = failures.first { throw ServingError(.invalidArgument, failure) }
    }

    /// An ensemble with the models it needs and that are not loaded, at any depth.
    private func withDependencies(_ candidate: ModelCandidate) throws -> [ModelCandidate] {
        var found = [candidate]
        var position = 0
        while position < found.count, found.count <= RepositoryScanner.modelCountMax {
            let reading = try? ConfigurationReader.read(found[position])
            position += 1
            for step in reading?.configuration.ensemble?.steps ?? []
            where table.current.entries[step.modelName] == nil
                && !found.contains(where: { $0.name == step.modelName })
            {
                if let needed = try scanner.find(step.modelName) { found.append(needed) }
            }
        }
        return found
    }

    public func unload(model: String, includingDependents: Bool) async throws {
        try requireExplicitControl()
        var names = [model]
        let entries = table.current.entries
        if includingDependents, let ensemble = entries[model]?.latest?.configuration.ensemble {
            let others = entries.filter { $0.key != model }.values
                .compactMap { $0.latest?.configuration.ensemble }
                .flatMap { $0.steps.map(\.modelName) }
            names += Set(ensemble.steps.map(\.modelName)).subtracting(others)
        }
        for name in names {
            try await withCheckedThrowingContinuation { continuation in
                repository.unload(name) { continuation.resume(with: $0) }
            }
        }
    }

    private func requireExplicitControl() throws {
        guard options.controlMode == .explicit else {
            throw ServingError(
                .unavailable,
                "explicit model load / unload is not allowed in model control mode "
                    + "'\(options.controlMode.rawValue)'")
        }
    }
}
