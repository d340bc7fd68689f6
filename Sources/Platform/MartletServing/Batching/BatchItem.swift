// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletTensor
package import MartletTokenizers
package import ServiceContextModule

/// What a run gave a request; one word, unlike a `Result` of the same.
package enum BatchAnswer: Sendable {
    /// Output tensors in the model's order.
    case success([Tensor])
    indirect case failure(ServingError)

    package var result: Result<[Tensor], ServingError> {
        switch self {
        case .success(let tensors): .success(tensors)
        case .failure(let error): .failure(error)
        }
    }
}

/// One request's part in a batch: its inputs in the model's order, and where its answer goes. May
/// be submitted again when it has its result.
// Sendable: the fields that change belong to the batcher while the request is inside (under its
// lock) and to the thread that runs it meanwhile; whoever took the item out of the batcher's state
// answers it, once. Exclusivity is unchecked where every request would pay for it.
package final class BatchItem: @unchecked Sendable {
    package typealias Completion = @Sendable (BatchAnswer, BatchItem) -> Void

    package let claim: BatcherState.Claim
    package let context: ServiceContext
    package let inputs: [Tensor]
    /// Texts to be padded and run instead of `inputs`.
    package let encodings: [Encoding]
    private let completion: Completion
    /// Where, and as what, the batcher has asked to be told that the client went away.
    @safe @exclusivity(unchecked) private var cancellation:
        (Cancellation, Cancellation.Registration)?
    @safe @exclusivity(unchecked) package var arrival = MonotonicInstant(nanoseconds: 0)
    /// Set by the runner.
    @safe @exclusivity(unchecked) package var result: BatchAnswer?
    /// The state machine's.
    @safe @exclusivity(unchecked) var standing = Standing()

    package init(
        inputs: [Tensor] = [], encodings: [Encoding] = [],
        claim: BatcherState.Claim,
        context: ServiceContext = .topLevel, completion: @escaping Completion
    ) {
        self.inputs = inputs
        self.encodings = encodings
        self.claim = claim
        self.context = context
        self.completion = completion
    }

    package var rows: Int { claim.rows }

    /// Has `body` called when the client goes away before the answer. Under the batcher's lock.
    /// - Returns: false when the client has gone already; `body` is not called then.
    func observe(_ cancellation: Cancellation, _ body: @escaping @Sendable () -> Void) -> Bool {
        guard let registration = cancellation.register(body) else { return false }
        self.cancellation = (cancellation, registration)
        return true
    }

    func answer(_ answer: BatchAnswer) {
        if let (cancellation, registration) = cancellation {
            cancellation.forget(registration)
            self.cancellation = nil
        }
        completion(answer, self)
    }

    /// The runner's word on this item, from another module.
    package func settle(_ answer: BatchAnswer) { result = answer }

    func answerWithResult() {
        if let result = result.take() { return answer(result) }
        answer(
            .failure(
                ServingError(.internal, "the model's run left a request without a result")))
    }
}

/// How long the parts of one batch's execution took, in nanoseconds.
package struct BatchTimes: Sendable {
    package var input: Int64 = 0
    package var infer: Int64 = 0
    package var output: Int64 = 0

    package init() {}
}

/// Runs batches, one at a time, on any thread.
package protocol BatchRunner: AnyObject {
    /// Computes the batch and sets every item's `result`.
    func run(_ batch: [BatchItem], cancellation: Cancellation?, times: inout BatchTimes)
}

/// Is told what a batcher did: statistics, metrics, spans.
package protocol BatchObserver: AnyObject, Sendable {
    /// After a batch ran, before its members are answered.
    func ran(
        _ batch: [BatchItem], times: BatchTimes, from start: MonotonicInstant,
        to end: MonotonicInstant)
    /// A request left without a result of its own.
    func refused(_ item: BatchItem, reason: BatchRefusal, at now: MonotonicInstant)
}
