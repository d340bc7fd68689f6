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
    private let pre: [Step]
    private let post: [Step]
    private let inner: any ModelExecutor
    private let gate = ExecutorGate()
    private let inside = Atomic<Int>(0)
    private let insideMax: Int

    init(
        model: String, inputs: [TensorSpec], pre: [PreparedStage], post: [PreparedStage],
        inner: any ModelExecutor, threadsPerStage: Int,
        insideMax: Int = PipelineExecutor.insideMaxDefault
    ) {
        self.model = model
        self.inputs = inputs
        self.inner = inner
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
        let answer: ModelHost.InferenceCompletion = { [self] result in
            completion(result)
            inside.subtract(1, ordering: .relaxed)
            gate.leave()
        }
        guard count <= insideMax else {
            answer(
                .failure(
                    ServingError(
                        .unavailable,
                        "model '\(model)': the pipeline is full (\(insideMax) requests inside)",
                        retryAfter: .seconds(1))))
            return true
        }
        if let error = check(request) {
            answer(.failure(error))
            return true
        }
        let data = StageData(tensors: request.inputs)
        run(pre, 0, data, cancellation) { [self] result in
            switch result {
            case .failure(let error): answer(.failure(error))
            case .success(let data): infer(request, data, cancellation, answer)
            }
        }
        return true
    }

    private func check(_ request: InferenceRequest) -> ServingError? {
        guard !pre.isEmpty else { return nil }
        guard let input = request.inputs.first, request.inputs.count == 1,
            input.name == inputs.first?.name
        else {
            return ServingError(
                .invalidArgument,
                "model '\(model)' takes one input, '\(inputs.first?.name ?? "")' of BYTES")
        }
        guard input.tensor.elementType == .bytes else {
            return ServingError(
                .invalidArgument,
                "inference input '\(input.name)' data-type is "
                    + "'\(input.tensor.elementType.protocolName ?? "unknown")', but model "
                    + "'\(model)' expects 'BYTES'")
        }
        guard input.tensor.shape.elementCountChecked ?? 0 > 0 else {
            return ServingError(.invalidArgument, "model '\(model)': the request holds no element")
        }
        return nil
    }

    private func infer(
        _ request: InferenceRequest, _ data: StageData, _ cancellation: Cancellation,
        _ answer: @escaping ModelHost.InferenceCompletion
    ) {
        var staged = request
        staged.inputs = data.tensors
        if !post.isEmpty { staged.outputs = [] }
        let isTaken = inner.submit(staged, cancellation: cancellation) { [self] result in
            guard case .success(let response) = result, !post.isEmpty else {
                answer(result)
                return
            }
            let outputs = StageData(tensors: response.outputs, mask: data.mask)
            run(post, 0, outputs, cancellation) { result in
                answer(
                    result.map { data in
                        var answered = response
                        answered.outputs = data.tensors
                        return answered
                    })
            }
        }
        if !isTaken { answer(.failure(ServingError(BatchRefusal.closed, model: model))) }
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
