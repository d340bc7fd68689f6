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

    /// One model's: searches of different models do not wait for one another.
    private final class Cache: Sendable {
        let state = Mutex((index: SemanticIndex?.none, counts: Counts()))
    }

    private let caches = Mutex<[String: Cache]>([:])

    private func cache(_ model: String) -> Cache {
        caches.withLock { caches in
            if let known = caches[model] { return known }
            let new = Cache()
            caches[model] = new
            return new
        }
    }

    /// A search: the model's answers are forgotten when its policy has changed.
    func find(
        _ question: SemanticQuestion, _ direction: [Float], model: String,
        policy: SemanticCachePolicy, at now: MonotonicInstant
    ) -> (kept: SemanticIndex.Kept, cosine: Double)? {
        cache(model).state.withLock { state in
            guard let index = state.index, index.policy == policy,
                let found = index.find(question.context, direction, at: now)
            else {
                state.counts.misses += 1
                return nil
            }
            state.counts.hits += 1
            return found
        }
    }

    func keep(
        _ kept: SemanticIndex.Kept, _ question: SemanticQuestion, _ direction: [Float],
        model: String, policy: SemanticCachePolicy, at now: MonotonicInstant
    ) {
        cache(model).state.withLock { state in
            // Taken out, so that it is changed in place.
            var changed = state.index.take() ?? SemanticIndex(policy: policy)
            if changed.policy != policy { changed = SemanticIndex(policy: policy) }
            changed.keep(kept, question.context, direction, at: now)
            state.counts.entries = changed.count
            state.counts.bytes = changed.bytes
            state.index = changed
        }
    }

    /// An embedding did not come, or not in time.
    func hasFailed(model: String) {
        cache(model).state.withLock { $0.counts.failures += 1 }
    }

    var counts: [String: Counts] {
        caches.withLock { $0 }.mapValues { $0.state.withLock { $0.counts } }
    }
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
