// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import Synchronization

/// Answers found by meaning, by model, for all event loops.
final class SemanticCaches: Sendable {
    struct Counts: Sendable {
        var hits = 0
        var misses = 0
        var failures = 0
        var entries = 0
        var bytes = 0
    }

    private struct State {
        var indexes: [String: SemanticIndex] = [:]
        var counts: [String: Counts] = [:]
    }

    private let state = Mutex(State())

    /// A search: the model's answers are forgotten when its policy has changed.
    func find(
        _ question: SemanticQuestion, _ direction: [Float], model: String,
        policy: SemanticCachePolicy, at now: MonotonicInstant
    ) -> (kept: SemanticIndex.Kept, cosine: Double)? {
        state.withLock { state in
            guard let index = state.indexes[model], index.policy == policy,
                let found = index.find(question.context, direction, at: now)
            else {
                state.counts[model, default: Counts()].misses += 1
                return nil
            }
            state.counts[model, default: Counts()].hits += 1
            return found
        }
    }

    func keep(
        _ kept: SemanticIndex.Kept, _ question: SemanticQuestion, _ direction: [Float],
        model: String, policy: SemanticCachePolicy, at now: MonotonicInstant
    ) {
        state.withLock { state in
            var index = state.indexes.removeValue(forKey: model)
            if index?.policy != policy { index = nil }
            var changed = index ?? SemanticIndex(policy: policy)
            changed.keep(kept, question.context, direction, at: now)
            state.counts[model, default: Counts()].entries = changed.count
            state.counts[model, default: Counts()].bytes = changed.bytes
            state.indexes[model] = changed
        }
    }

    /// An embedding did not come, or not in time.
    func hasFailed(model: String) {
        state.withLock { $0.counts[model, default: Counts()].failures += 1 }
    }

    var counts: [String: Counts] { state.withLock { $0.counts } }
}

/// A request that found nothing: its answer is kept under this.
struct SemanticTurn {
    static let answerBytesMax = 256 << 10

    let question: SemanticQuestion
    let direction: [Float]
    let model: String
    let policy: SemanticCachePolicy
    /// The version that was asked: another's answer is not kept.
    let version: Int
    var body: [UInt8] = []
}
