// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletTensor
internal import Synchronization

/// Runs an ensemble: each step as soon as its inputs are there, steps that can side by side.
///
/// Models are looked up when a step starts, so a reloaded one is used at once. Bounded: no more
/// than `insideMax` requests inside, and each step's model has its own bounded queue.
final class EnsembleExecutor: ModelExecutor {
    static let insideMaxDefault = 1024

    let model: String
    let version: String
    let plan: EnsemblePlan
    let configuration: ModelConfiguration
    let labels: [String: [String]]
    let table: ModelTableReference
    let statistics: StatisticsRecorder
    let time: any TimeSource
    private let gate = ExecutorGate()
    private let inside = Atomic<Int>(0)
    private let insideMax: Int

    init(
        version: String, plan: EnsemblePlan, configuration: ModelConfiguration,
        labels: [String: [String]], table: ModelTableReference, statistics: StatisticsRecorder,
        time: any TimeSource
    ) {
        model = configuration.name
        self.version = version
        self.plan = plan
        self.configuration = configuration
        self.labels = labels
        self.table = table
        self.statistics = statistics
        self.time = time
        let written = configuration.ensemble?.inflightRequestsMax ?? 0
        insideMax = written > 0 ? written : EnsembleExecutor.insideMaxDefault
    }

    func close(onDrained: @escaping @Sendable () -> Void) { gate.close(onEmpty: onDrained) }

    func submit(
        _ request: InferenceRequest, cancellation: Cancellation,
        completion: @escaping ModelHost.InferenceCompletion
    ) -> Bool {
        guard gate.enter() else { return false }
        let count = inside.add(1, ordering: .relaxed).newValue
        let start = time.now()
        let rows = configuration.maxBatchSize > 0 ? request.inputs.first?.tensor.shape.first : 1
        let answer: ModelHost.InferenceCompletion = { [self] result in
            statistics.answered(result, rows: rows ?? 1, from: start, to: time.now())
            completion(result)
            inside.subtract(1, ordering: .relaxed)
            gate.leave()
        }
        do throws(ServingError) {
            guard count <= insideMax else {
                throw ServingError(
                    .unavailable,
                    "ensemble '\(model)': \(insideMax) requests are inside already",
                    retryAfter: .seconds(1))
            }
            try check(request)
        } catch {
            answer(.failure(error))
            return true
        }
        EnsembleRun(self, request, answer).start(cancellation)
        return true
    }

    private func check(_ request: InferenceRequest) throws(ServingError) {
        for input in configuration.inputs
        where !request.inputs.contains(where: { $0.name == input.name }) {
            throw ServingError(
                .invalidArgument,
                "expected \(configuration.inputs.count) inputs but got \(request.inputs.count) "
                    + "inputs for model '\(model)'. Missing '\(input.name)'.")
        }
        for given in request.inputs
        where !configuration.inputs.contains(where: { $0.name == given.name }) {
            throw ServingError(
                .invalidArgument,
                "unexpected inference input '\(given.name)' for model '\(model)'")
        }
        for output in request.outputs
        where !configuration.outputs.contains(where: { $0.name == output.name }) {
            throw ServingError(
                .invalidArgument,
                "unexpected inference output '\(output.name)' for model '\(model)'")
        }
    }
}

/// One request's way through an ensemble.
private final class EnsembleRun: Sendable {
    private struct State {
        var tensors: [String: NamedTensor]
        var waiting: [ModelConfiguration.Ensemble.Step]
        var running = 0
        var answer: ModelHost.InferenceCompletion?
    }

    private let ensemble: EnsembleExecutor
    private let request: InferenceRequest
    private let cancellation = Cancellation()
    private let state: Mutex<State>

    init(
        _ ensemble: EnsembleExecutor, _ request: InferenceRequest,
        _ answer: @escaping ModelHost.InferenceCompletion
    ) {
        self.ensemble = ensemble
        self.request = request
        let tensors = Dictionary(request.inputs.map { ($0.name, $0) }) { first, _ in first }
        state = Mutex(
            State(tensors: tensors, waiting: ensemble.plan.steps, answer: answer))
    }

    func start(_ outer: Cancellation) {
        outer.onCancel { [cancellation] in cancellation.cancel() }
        proceed()
    }

    /// Starts every step that has its inputs; answers when none is left.
    private func proceed() {
        typealias Steps = [(ModelConfiguration.Ensemble.Step, [NamedTensor])]
        let (ready, finished) = state.withLock { state -> (Steps, [String: NamedTensor]?) in
            guard state.answer != nil else { return ([], nil) }
            var ready: Steps = []
            state.waiting.removeAll { step in
                var inputs: [NamedTensor] = []
                for (name, tensor) in step.inputMap {
                    guard let found = state.tensors[tensor] else { return false }
                    inputs.append(NamedTensor(name: name, tensor: found.tensor))
                }
                ready.append((step, inputs))
                return true
            }
            state.running += ready.count
            return (ready, state.running == 0 && state.waiting.isEmpty ? state.tensors : nil)
        }
        for (step, inputs) in ready { run(step, inputs) }
        if let finished { finish(with: finished) }
    }

    private func run(_ step: ModelConfiguration.Ensemble.Step, _ inputs: [NamedTensor]) {
        var staged = request
        staged.model = step.modelName
        staged.version = step.modelVersion > 0 ? String(step.modelVersion) : nil
        staged.inputs = inputs
        staged.outputs = step.outputMap.keys.sorted().map { RequestedOutput(name: $0) }
        let completion: ModelHost.InferenceCompletion = { [self] result in
            switch result {
            case .failure(let error): fail(error)
            case .success(let response):
                state.withLock { state in
                    state.running -= 1
                    for output in response.outputs {
                        guard let name = step.outputMap[output.name] else { continue }
                        state.tensors[name] = NamedTensor(name: name, tensor: output.tensor)
                    }
                }
                proceed()
            }
        }
        do throws(ServingError) {
            var closed: ServedModel?
            while true {
                let served = try ensemble.table.current.find(
                    staged.model, version: staged.version)
                guard served !== closed else {
                    throw ServingError(BatchRefusal.closed, model: staged.model)
                }
                if served.executor.submit(
                    staged, cancellation: cancellation, completion: completion)
                {
                    return
                }
                closed = served
            }
        } catch {
            fail(error)
        }
    }

    private func fail(_ error: ServingError) {
        let answer = state.withLock { state -> ModelHost.InferenceCompletion? in
            defer { state.answer = nil }
            return state.answer
        }
        guard let answer else { return }
        cancellation.cancel()
        let message = "in ensemble '\(ensemble.model)', \(error.message)"
        answer(
            .failure(
                ServingError(error.code, message, retryAfter: error.retryAfter, cause: error)))
    }

    private func finish(with tensors: [String: NamedTensor]) {
        let answer = state.withLock { state -> ModelHost.InferenceCompletion? in
            defer { state.answer = nil }
            return state.answer
        }
        guard let answer else { return }
        do throws(ServingError) {
            let wanted =
                request.outputs.isEmpty
                ? ensemble.configuration.outputs.map { RequestedOutput(name: $0.name) }
                : request.outputs
            var outputs: [NamedTensor] = []
            for output in wanted {
                guard var tensor = tensors[output.name] else {
                    throw ServingError(
                        .internal, "ensemble '\(ensemble.model)' did not make '\(output.name)'")
                }
                if let count = output.classification {
                    tensor.tensor = try Classification.topK(
                        tensor.tensor, count: count,
                        isBatched: ensemble.configuration.maxBatchSize > 0,
                        labels: ensemble.labels[output.name] ?? [])
                }
                outputs.append(tensor)
            }
            answer(
                .success(
                    InferenceResponse(
                        model: ensemble.model, version: ensemble.version, id: request.id,
                        outputs: outputs)))
        } catch {
            answer(.failure(error))
        }
    }
}
