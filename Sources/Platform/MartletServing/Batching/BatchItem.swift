// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletTensor
package import MartletTokenizers
package import ServiceContextModule

/// One request's part in a batch: its inputs in the model's order, and where its answer goes.
// Sendable: the fields that change belong to the batcher while the request waits (under its lock)
// and to the instance's thread while it runs; the completion is called once, by whoever removed
// the item from the batcher's state.
package final class BatchItem: @unchecked Sendable {
    /// Output tensors in the model's order, or why there are none.
    package typealias Completion = @Sendable (Result<[Tensor], ServingError>, BatchItem) -> Void

    package let inputs: [Tensor]
    /// Texts to be padded and run instead of `inputs`.
    package let encodings: [Encoding]
    package let claim: BatcherState<BatchItem>.Claim
    package let context: ServiceContext
    private let completion: Completion
    package var arrival = MonotonicInstant(nanoseconds: 0)
    package var started = MonotonicInstant(nanoseconds: 0)
    /// Set by the runner.
    package var result: Result<[Tensor], ServingError>?

    package init(
        inputs: [Tensor] = [], encodings: [Encoding] = [],
        claim: BatcherState<BatchItem>.Claim,
        context: ServiceContext = .topLevel, completion: @escaping Completion
    ) {
        self.inputs = inputs
        self.encodings = encodings
        self.claim = claim
        self.context = context
        self.completion = completion
    }

    package var rows: Int { claim.rows }

    func answer(_ result: Result<[Tensor], ServingError>) { completion(result, self) }

    func answerWithResult() {
        guard let result else {
            answer(
                .failure(
                    ServingError(
                        .internal, "the model's run left a request without a result")))
            return
        }
        self.result = nil
        answer(result)
    }
}

/// How long the parts of one batch's execution took, in nanoseconds.
package struct BatchTimes: Sendable {
    package var input: Int64 = 0
    package var infer: Int64 = 0
    package var output: Int64 = 0

    package init() {}
}

/// Runs batches, one at a time, on the thread of one model instance.
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
