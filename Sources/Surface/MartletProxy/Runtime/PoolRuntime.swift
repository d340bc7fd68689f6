// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import Synchronization

/// A pool's live state, shared by all event loops: loads, breakers, ejections, the retry budget.
///
/// One short lock per attempt and one per answer; nobody waits inside.
final class PoolRuntime: Sendable {
    /// Leave to make one attempt at a member; handed back with `finish`.
    struct Attempt {
        var member: Int
        var pass: CircuitBreaker.Pass
        var began: MonotonicInstant
    }

    private struct Health {
        var isWell = true
        var streak = 0
        var isDraining = false
        /// Asked to be left alone (429 with Retry-After) until then.
        var restsUntil = MonotonicInstant(nanoseconds: .min)
    }

    private struct State {
        var pool: PoolState
        var breakers: [CircuitBreaker]
        var outliers: OutlierEjection
        var budget: RetryBudget
        var health: [Health]
        var inFlight = 0
    }

    let name: String
    let policy: PoolPolicy
    let members: [UpstreamIdentity]
    /// Of one attempt.
    let timeoutNanoseconds: Int64
    private let state: Mutex<State>
    /// Who has seen which beginnings of prompts; nil when nobody asks.
    private let prefixes: Mutex<PrefixIndex?>

    init(
        name: String, policy: PoolPolicy, members: [(UpstreamIdentity, RoutingTables.Member)],
        at now: MonotonicInstant
    ) {
        self.name = name
        self.policy = policy
        prefixes = Mutex(
            policy.balance == .prefix ? PrefixIndex(capacity: 32_768, blockBytes: 128) : nil)
        timeoutNanoseconds = policy.timeout.nanosecondsSaturating
        self.members = members.map(\.0)
        state = Mutex(
            State(
                pool: PoolState(
                    members: members.map {
                        MemberLoad(weight: $0.1.weight, priority: $0.1.priority)
                    }, slowStart: policy.slowStart),
                breakers: members.map { _ in CircuitBreaker(policy: policy.breaker) },
                outliers: OutlierEjection(
                    upstreams: members.count, policy: policy.outliers, at: now),
                budget: RetryBudget(policy: policy.retries),
                health: members.map { Health(isWell: $0.0.canBeAsked) }))
    }

    /// Chooses a member and takes leave to ask it; nil when none can be asked.
    func begin(
        _ choice: PoolState.Choice, tried: TriedMembers, isFirst: Bool, at now: MonotonicInstant,
        using random: inout SeededRandom
    ) -> Attempt? {
        state.withLock { state -> Attempt? in
            guard state.inFlight < policy.bulkhead.concurrencyMax else { return nil }
            if isFirst { state.budget.recordRequest(at: now) }
            state.outliers.advance(to: now)
            for member in members.indices {
                let health = state.health[member]
                state.pool.setUp(
                    member,
                    health.isWell && !health.isDraining && health.restsUntil <= now
                        && !state.outliers.isEjected(member)
                        && state.breakers[member].isReady(at: now),
                    at: now)
            }
            guard let member = state.pool.pick(choice, tried: tried, at: now, using: &random),
                case .admitted(let pass) = state.breakers[member].admit(at: now)
            else { return nil }
            state.pool.begin(member)
            state.inFlight += 1
            return Attempt(member: member, pass: pass, began: now)
        }
    }

    /// Reports how an attempt ended.
    func finish(
        _ attempt: Attempt, _ outcome: CircuitBreaker.Outcome, restsFor rest: Duration? = nil,
        at now: MonotonicInstant
    ) {
        state.withLock { state in
            state.pool.finish(attempt.member)
            state.inFlight -= 1
            state.breakers[attempt.member].record(
                attempt.pass, outcome, took: attempt.began.duration(to: now), at: now)
            if outcome != .neutral {
                state.outliers.record(
                    attempt.member, isSuccess: outcome == .success, at: now)
            }
            if let rest {
                state.health[attempt.member].restsUntil = now.advanced(by: rest)
            }
        }
    }

    /// Takes leave for one retry out of the pool's budget.
    func takeRetry(at now: MonotonicInstant) -> Bool {
        state.withLock { $0.budget.takeRetry(at: now) }
    }

    /// Whether the pool has all the requests that it may have.
    var isFull: Bool {
        state.withLock { $0.inFlight >= policy.bulkhead.concurrencyMax }
    }

    // MARK: Load

    /// Takes in what a member says of its load.
    func report(_ member: Int, _ load: LoadReport, at now: MonotonicInstant) {
        state.withLock {
            $0.pool.report(member, queued: load.queued, memoryUse: load.memoryUse, at: now)
        }
    }

    /// The member to prefer for a prompt: one that has seen the most of it.
    /// - Parameter salt: tells models apart.
    func prefer(
        _ body: [UInt8], from start: Int, salt: UInt64, at now: MonotonicInstant
    ) -> PoolState.Choice {
        let match = prefixes.withLock { index in
            index?.match(body.span.extracting(start..<body.count), salt: salt)
        }
        guard let match, match.blocks > 0,
            let member = state.withLock({ $0.pool.warmest(match, at: now) })
        else { return .leastLoaded }
        return .preferred(member)
    }

    /// Notes that a member gets a prompt.
    func remember(_ body: [UInt8], from start: Int, salt: UInt64, at member: Int) {
        prefixes.withLock { index in
            index?.insert(body.span.extracting(start..<body.count), salt: salt, member: member)
        }
    }

    // MARK: Health

    /// Takes in a health check's answer.
    func report(_ member: Int, isWell: Bool, policy: HealthCheckPolicy) {
        // What it had cached may be gone when it comes back.
        if take(member, isWell: isWell, policy), !isWell {
            prefixes.withLock { $0?.forget(member: member) }
        }
    }

    /// - Returns: whether that has changed it.
    private func take(_ member: Int, isWell: Bool, _ policy: HealthCheckPolicy) -> Bool {
        state.withLock { state in
            if state.health[member].isWell == isWell {
                state.health[member].streak = 0
                return false
            }
            state.health[member].streak += 1
            let needed = isWell ? policy.successes : policy.failures
            guard state.health[member].streak >= needed else { return false }
            state.health[member].isWell = isWell
            state.health[member].streak = 0
            return true
        }
    }

    /// Sends a member nothing new, or takes it back.
    func setDraining(_ member: Int, _ isDraining: Bool) {
        state.withLock { $0.health[member].isDraining = isDraining }
    }

    struct MemberReport {
        var name: String
        var inFlight: Int
        var queued: Int
        var memoryUse: Double
        var isWell: Bool
        var isDraining: Bool
        var isEjected: Bool
        var breaker: String
    }

    func report() -> [MemberReport] {
        state.withLock { state in
            members.indices.map { member in
                let breaker =
                    switch state.breakers[member].phase {
                    case .closed: "closed"
                    case .open: "open"
                    case .halfOpen: "half_open"
                    }
                return MemberReport(
                    name: members[member].name, inFlight: state.pool.members[member].inFlight,
                    queued: state.pool.members[member].queued,
                    memoryUse: state.pool.members[member].memoryUse,
                    isWell: state.health[member].isWell,
                    isDraining: state.health[member].isDraining,
                    isEjected: state.outliers.isEjected(member), breaker: breaker)
            }
        }
    }
}
