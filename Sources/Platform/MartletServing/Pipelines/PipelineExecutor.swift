// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletTensor
internal import Synchronization

/// Runs stages before and after a model. Each stage has its own workers and a bounded queue; the
/// pipeline holds no more than `insideMax` requests, and refuses the next.
final class PipelineExecutor: ModelExecutor {
    /// Requests inside one pipeline, over all its stages.
    static let insideMaxDefault = 256

    private struct Step: Sendable {
        var stage: PreparedStage
        var workers: WorkerPool
    }

    private let model: String
    private let inputs: [TensorSpec]
    private let outputs: [TensorSpec]
    private let rowsMax: Int
    private let pre: [Step]
    private let post: [Step]
    private let statistics: StatisticsRecorder
    private let time: any TimeSource
    /// The model itself, and what it takes once the stages before it have run.
    let inner: any ModelExecutor
    let innerInputs: [TensorSpec]
    private let gate = ExecutorGate()
    private let inside = Atomic<Int>(0)
    private let insideMax: Int

    /// - Parameters:
    ///   - served: the model that the stages stand around.
    ///   - inputs: what clients send; `outputs`, what they get.
    init(
        around served: ServedModel, inputs: [TensorSpec], outputs: [TensorSpec],
        pre: [PreparedStage], post: [PreparedStage], threadsPerStage: Int, time: any TimeSource,
        insideMax: Int = PipelineExecutor.insideMaxDefault
    ) {
        model = served.name
        inner = served.executor
        innerInputs = served.inputs
        statistics = served.statistics
        let batch = served.configuration.maxBatchSize
        rowsMax = batch > 0 ? batch : TextExecutor.textCountMax
        self.inputs = inputs
        self.outputs = outputs
        self.time = time
        self.insideMax = insideMax
        func steps(_ stages: [PreparedStage]) -> [Step] {
            stages.map {
                Step(
                    stage: $0,
                    workers: WorkerPool(
                        name: "martlet-stage", threads: threadsPerStage, waitingMax: insideMax))
            }
        }
        self.pre = steps(pre)
        self.post = steps(post)
    }

    func close(onDrained: @escaping @Sendable () -> Void) {
        gate.close { [inner] in inner.close(onDrained: onDrained) }
    }

    func submit(
        _ request: InferenceRequest, cancellation: Cancellation,
        completion: @escaping ModelHost.InferenceCompletion
    ) -> Bool {
        guard gate.enter() else { return false }
        let count = inside.add(1, ordering: .relaxed).newValue
        let start = time.now()
        let answer: ModelHost.InferenceCompletion = { [self] result in
            completion(result)
            inside.subtract(1, ordering: .relaxed)
            gate.leave()
        }
        // The model counts what reaches it; the stages' own failures are counted here.
        let fail: @Sendable (ServingError) -> Void = { [self] error in
            statistics.answered(.failure(error), rows: 0, from: start, to: time.now())
            answer(.failure(error))
        }
        do throws(ServingError) {
            guard count <= insideMax else {
                throw ServingError(
                    .unavailable,
                    "model '\(model)': the pipeline is full (\(insideMax) requests inside)",
                    retryAfter: .seconds(1))
            }
            try checkInputs(request)
            try checkOutputs(request)
        } catch {
            fail(error)
            return true
        }
        run(pre, 0, StageData(tensors: request.inputs), cancellation) { [self] result in
            switch result {
            case .failure(let error): fail(error)
            case .success(let data): infer(request, data, cancellation, answer, fail)
            }
        }
        return true
    }

    private func checkInputs(_ request: InferenceRequest) throws(ServingError) {
        guard !pre.isEmpty else { return }
        guard let input = request.inputs.first, request.inputs.count == 1,
            input.name == inputs.first?.name
        else {
            throw ServingError(
                .invalidArgument,
                "model '\(model)' takes one input, '\(inputs.first?.name ?? "")' of BYTES")
        }
        guard input.tensor.elementType == .bytes else {
            throw ServingError(
                .invalidArgument,
                "inference input '\(input.name)' data-type is "
                    + "'\(input.tensor.elementType.protocolName ?? "unknown")', but model "
                    + "'\(model)' expects 'BYTES'")
        }
        let count = input.tensor.shape.elementCountChecked ?? 0
        guard count > 0 else {
            throw ServingError(.invalidArgument, "model '\(model)': the request holds no element")
        }
        guard count <= rowsMax else {
            throw ServingError(BatchRefusal.tooManyRows(max: rowsMax), model: model)
        }
    }

    private func checkOutputs(_ request: InferenceRequest) throws(ServingError) {
        for output in request.outputs where !outputs.contains(where: { $0.name == output.name }) {
            throw ServingError(
                .invalidArgument,
                "unexpected inference output '\(output.name)' for model '\(model)'")
        }
    }

    private func infer(
        _ request: InferenceRequest, _ data: StageData, _ cancellation: Cancellation,
        _ answer: @escaping ModelHost.InferenceCompletion,
        _ fail: @escaping @Sendable (ServingError) -> Void
    ) {
        var staged = request
        staged.inputs = data.tensors
        if !post.isEmpty { staged.outputs = [] }
        let (mask, lease) = (data.mask, data.lease)
        let isTaken = inner.submit(staged, cancellation: cancellation) { [self] result in
            withExtendedLifetime(lease) {}
            guard case .success(let response) = result, !post.isEmpty else {
                answer(result)
                return
            }
            let outputs = StageData(tensors: response.outputs, mask: mask)
            run(post, 0, outputs, cancellation) { [self] result in
                do throws(ServingError) {
                    var answered = response
                    answered.outputs = try wanted(request, of: try result.get().tensors)
                    answer(.success(answered))
                } catch {
                    fail(error)
                }
            }
        }
        if !isTaken { fail(ServingError(BatchRefusal.closed, model: model)) }
    }

    /// What the client asked for, in its order; everything when it did not say.
    private func wanted(
        _ request: InferenceRequest, of tensors: [NamedTensor]
    ) throws(ServingError) -> [NamedTensor] {
        if request.outputs.isEmpty { return tensors }
        var chosen: [NamedTensor] = []
        for output in request.outputs {
            guard var named = tensors.first(where: { $0.name == output.name }) else {
                throw ServingError(
                    .internal, "model '\(model)' did not make the output '\(output.name)'")
            }
            if let count = output.classification {
                named.tensor = try Classification.topK(
                    named.tensor, count: count, isBatched: named.tensor.shape.rank > 1, labels: [])
            }
            chosen.append(named)
        }
        return chosen
    }

    /// Sends data through the steps from `index` on, each on its own workers.
    private func run(
        _ steps: [Step], _ index: Int, _ data: StageData, _ cancellation: Cancellation,
        _ done: @escaping @Sendable (Result<StageData, ServingError>) -> Void
    ) {
        guard index < steps.count else {
            done(.success(data))
            return
        }
        let isTaken = steps[index].workers.submit { [self] in
            do throws(ServingError) {
                if cancellation.isCancelled {
                    throw ServingError(BatchRefusal.cancelled, model: model)
                }
                run(steps, index + 1, try steps[index].stage.run(data), cancellation, done)
            } catch {
                done(.failure(error))
            }
        }
        if !isTaken {
            done(
                .failure(
                    ServingError(
                        .unavailable, "model '\(model)': a stage's queue is full",
                        retryAfter: .seconds(1))))
        }
    }
}
