// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import NIOCore

/// Asks the members of pools that want it, each pool at its own interval. One event loop does it
/// for all.
final class PoolRounds<Policy> {
    private let loop: ProxyLoop
    private let policy: (PoolRuntime) -> Policy?
    private let interval: (Policy) -> Duration
    private let ask: (PoolRuntime, Int, Policy) -> Void
    /// When each pool is asked next, by its identity.
    private var due: [ObjectIdentifier: MonotonicInstant] = [:]

    /// - Parameters:
    ///   - policy: what a pool's file says of it; nil for pools that are not asked.
    ///   - ask: asks one member, without waiting for the answer.
    init(
        _ loop: ProxyLoop, policy: @escaping (PoolRuntime) -> Policy?,
        interval: @escaping (Policy) -> Duration,
        ask: @escaping (PoolRuntime, Int, Policy) -> Void
    ) {
        self.loop = loop
        self.policy = policy
        self.interval = interval
        self.ask = ask
    }

    func start(in wait: Duration = .milliseconds(100)) {
        loop.eventLoop.assumeIsolated().scheduleTask(
            in: .nanoseconds(wait.nanosecondsSaturating)
        ) { [self] in
            goRound()
            if !loop.shared.isDraining { start(in: due.isEmpty ? .seconds(1) : .milliseconds(100)) }
        }
    }

    private func goRound() {
        let now = loop.shared.time.now()
        var kept: [ObjectIdentifier: MonotonicInstant] = [:]
        for pool in loop.runtime().pools {
            guard let policy = policy(pool) else { continue }
            let key = ObjectIdentifier(pool)
            if let next = due[key], next > now {
                kept[key] = next
                continue
            }
            kept[key] = now.advanced(by: interval(policy))
            for member in pool.members.indices { ask(pool, member, policy) }
        }
        due = kept
    }
}
