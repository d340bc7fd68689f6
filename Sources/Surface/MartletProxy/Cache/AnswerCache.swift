// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import Synchronization

/// One model's kept answers, shared by all event loops; one short lock per call.
final class AnswerCache: Sendable {
    typealias Cache = ExactCache<CachedAnswer>

    /// What a request that waits is told, once.
    enum Outcome: Sendable {
        case answer(CachedAnswer)
        case failure(CacheFailure)
        /// Ask for all that wait: whoever did is gone.
        case lead(Cache.Flight)
        /// Ask for yourself.
        case alone
    }

    enum Answer {
        case hit(CachedAnswer, age: Duration)
        case lead(Cache.Flight)
        case wait(Cache.Waiter)
        case alone
    }

    private struct State {
        var cache: Cache
        var waiting: [Cache.Waiter: @Sendable (Outcome) -> Void] = [:]
    }

    let policy: CachePolicy
    private let state: Mutex<State>

    init(_ policy: CachePolicy) {
        self.policy = policy
        var limits = Cache.Policy()
        limits.bytesMax = policy.limits.bytesMax
        limits.entriesMax = policy.limits.entriesMax
        limits.entryBytesMax = policy.limits.entryBytesMax
        limits.timeToLive = policy.limits.timeToLive
        limits.staleFor = policy.limits.staleFor
        limits.waitersMax = policy.limits.waitersMax
        state = Mutex(State(cache: Cache(policy: limits)))
    }

    /// Entries and their bytes.
    var size: (count: Int, bytes: Int) {
        state.withLock { ($0.cache.count, $0.cache.byteCount) }
    }

    /// - Parameter wake: called on any thread, once, if the answer is to wait.
    func ask(
        _ key: CacheKey, isRefresh: Bool, at now: MonotonicInstant,
        wake: @escaping @Sendable (Outcome) -> Void
    ) -> Answer {
        state.withLock { state in
            switch state.cache.ask(key, isRefresh: isRefresh, at: now) {
            case .hit(let answer, let age): return .hit(answer, age: age)
            case .lead(let flight): return .lead(flight)
            case .alone: return .alone
            case .wait(let waiter):
                state.waiting[waiter] = wake
                return .wait(waiter)
            }
        }
    }

    func stale(_ key: CacheKey, at now: MonotonicInstant) -> (CachedAnswer, age: Duration)? {
        state.withLock { state in
            state.cache.stale(key, at: now).map { ($0.value, $0.age) }
        }
    }

    func put(_ key: CacheKey, _ answer: CachedAnswer, made: MonotonicInstant) {
        state.withLock {
            $0.cache.put(key, answer, byteCount: answer.byteCount, made: made)
        }
    }

    /// The answer has come whole; those that wait get it.
    /// - Parameter made: when the answer was made.
    func succeed(
        _ flight: Cache.Flight, _ answer: CachedAnswer, isCacheable: Bool, made: MonotonicInstant
    ) {
        tell(.answer(answer)) {
            $0.succeed(
                flight, answer, byteCount: answer.byteCount, isCacheable: isCacheable, at: made)
        }
    }

    func fail(_ flight: Cache.Flight, _ failure: CacheFailure) {
        tell(.failure(failure)) { $0.fail(flight) }
    }

    /// Those that wait ask for themselves: the answer is none to be shared.
    func release(_ flight: Cache.Flight) { tell(.alone) { $0.fail(flight) } }

    /// Whoever led has gone: the first that waits leads on.
    func abandon(_ flight: Cache.Flight) {
        let next = state.withLock { state -> ((@Sendable (Outcome) -> Void), Cache.Flight)? in
            while let (waiter, flight) = state.cache.abandon(flight) {
                if let wake = state.waiting.removeValue(forKey: waiter) { return (wake, flight) }
            }
            return nil
        }
        if let (wake, flight) = next { wake(.lead(flight)) }
    }

    /// False when the waiter is being told already.
    func cancel(_ waiter: Cache.Waiter) -> Bool {
        state.withLock { state in
            state.waiting[waiter] = nil
            return state.cache.cancel(waiter)
        }
    }

    func removeAll() { state.withLock { $0.cache.removeAll() } }

    private func tell(_ outcome: Outcome, _ end: (inout Cache) -> [Cache.Waiter]) {
        let wakes = state.withLock { state in
            end(&state.cache).compactMap { state.waiting.removeValue(forKey: $0) }
        }
        for wake in wakes { wake(outcome) }
    }
}
