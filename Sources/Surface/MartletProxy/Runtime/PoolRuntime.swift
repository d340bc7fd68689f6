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
        fileprivate var adaptive: AdaptiveConcurrency.Pass?
    }

    /// How an attempt may begin.
    enum Beginning {
        case attempt(Attempt)
        /// All places are taken; `queue` waits for one.
        case full
        /// Nobody can be asked.
        case nobody
    }

    /// Called on any thread, once: true with a place, false when it was given to somebody else.
    typealias Wake = @Sendable (Bool) -> Void

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
        var places: PriorityBulkhead
        var adaptive: AdaptiveConcurrency?
        var waiting: [PriorityBulkhead.Ticket: Wake] = [:]

        /// Hands free places on.
        mutating func grant(at now: MonotonicInstant) -> [Wake] {
            var wakes: [Wake] = []
            while let ticket = places.next(at: now) {
                if let wake = waiting.removeValue(forKey: ticket) {
                    wakes.append(wake)
                } else {
                    places.release()
                }
            }
            return wakes
        }
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
                health: members.map { Health(isWell: $0.0.canBeAsked) },
                places: PriorityBulkhead(policy: policy.bulkhead),
                adaptive: policy.adaptive.map { AdaptiveConcurrency(policy: $0) }))
    }

    /// Chooses a member and takes leave to ask it, if there is a place at once; nil when not.
    func begin(
        _ choice: PoolState.Choice, tried: TriedMembers, isFirst: Bool, at now: MonotonicInstant,
        using random: inout SeededRandom
    ) -> Attempt? {
        let beginning = begin(
            choice, tried: tried, isFirst: isFirst, holdsPlace: false, priority: .low, at: now,
            using: &random)
        if case .attempt(let attempt) = beginning { return attempt }
        return nil
    }

    /// Chooses a member and takes leave to ask it.
    ///
    /// - Parameter holdsPlace: a place was granted before (`queue`).
    func begin(
        _ choice: PoolState.Choice, tried: TriedMembers, isFirst: Bool, holdsPlace: Bool,
        priority: RequestPriority, at now: MonotonicInstant, using random: inout SeededRandom
    ) -> Beginning {
        var wakes: [Wake] = []
        let beginning = state.withLock { state -> Beginning in
            if isFirst { state.budget.recordRequest(at: now) }
            if !holdsPlace {
                if let limit = state.adaptive?.limit {
                    state.places.concurrencyMax = min(limit, policy.bulkhead.concurrencyMax)
                }
                guard state.places.takeFree(priority) else { return .full }
            }
            let attempt = choose(choice, tried, &state, at: now, using: &random)
            if let attempt { return .attempt(attempt) }
            state.places.release()
            wakes = state.grant(at: now)
            return .nobody
        }
        for wake in wakes { wake(true) }
        return beginning
    }

    /// Waits for a place, behind those that are as urgent: `wake` says when there is one, or that
    /// there will be none.
    func queue(
        _ priority: RequestPriority, at now: MonotonicInstant, wake: @escaping Wake
    ) -> PriorityBulkhead.Answer {
        var shed: Wake?
        let answer = state.withLock { state in
            let answer = state.places.acquire(priority, at: now)
            if case .waiting(let ticket, _, let loser) = answer {
                state.waiting[ticket] = wake
                shed = loser.flatMap { state.waiting.removeValue(forKey: $0) }
            }
            return answer
        }
        shed?(false)
        return answer
    }

    /// Whoever waited does no more; false when a place is on its way.
    func stopWaiting(_ ticket: PriorityBulkhead.Ticket) -> Bool {
        state.withLock { state in
            state.waiting[ticket] = nil
            return state.places.cancel(ticket)
        }
    }

    /// A place that was granted is not used.
    func leave(at now: MonotonicInstant) {
        let wakes = state.withLock { state in
            state.places.release()
            return state.grant(at: now)
        }
        for wake in wakes { wake(true) }
    }

    private func choose(
        _ choice: PoolState.Choice, _ tried: TriedMembers, _ state: inout State,
        at now: MonotonicInstant, using random: inout SeededRandom
    ) -> Attempt? {
        state.outliers.advance(to: now)
        for member in members.indices {
            let health = state.health[member]
            state.pool.setUp(
                member,
                health.isWell && !health.isDraining && health.restsUntil <= now
                    && !state.outliers.isEjected(member)
                    && state.breakers[member].isReadyInPlace(at: now),
                at: now)
        }
        guard let member = state.pool.pick(choice, tried: tried, at: now, using: &random),
            case .admitted(let pass) = state.breakers[member].admit(at: now)
        else { return nil }
        state.pool.begin(member)
        if case .adapter(let name) = choice { state.pool.use(adapter: name, at: member) }
        return Attempt(
            member: member, pass: pass, began: now, adaptive: state.adaptive?.admit(at: now))
    }

    /// Reports how an attempt ended.
    func finish(
        _ attempt: Attempt, _ outcome: CircuitBreaker.Outcome, restsFor rest: Duration? = nil,
        at now: MonotonicInstant
    ) {
        let wakes = state.withLock { state in
            state.pool.finish(attempt.member)
            if let pass = attempt.adaptive {
                if outcome == .neutral {
                    state.adaptive?.withdraw(pass)
                } else {
                    state.adaptive?.finish(
                        pass, took: attempt.began.duration(to: now), isDrop: outcome == .failure,
                        at: now)
                }
                if let limit = state.adaptive?.limit {
                    state.places.concurrencyMax = min(limit, policy.bulkhead.concurrencyMax)
                }
            }
            state.places.release()
            state.breakers[attempt.member].record(
                attempt.pass, outcome, took: attempt.began.duration(to: now), at: now)
            if outcome != .neutral {
                state.outliers.record(
                    attempt.member, isSuccess: outcome == .success, at: now)
            }
            if let rest {
                state.health[attempt.member].restsUntil = now.advanced(by: rest)
            }
            return state.grant(at: now)
        }
        for wake in wakes { wake(true) }
    }

    /// Takes leave for one retry out of the pool's budget.
    func takeRetry(at now: MonotonicInstant) -> Bool {
        state.withLock { $0.budget.takeRetry(at: now) }
    }

    /// Requests that wait for a place, and how many places there are now.
    var crowd: (waiting: Int, places: Int) {
        state.withLock { ($0.places.waitingCount, $0.places.concurrencyMax) }
    }

    // MARK: Load

    /// Takes in what a member says of its load.
    func report(_ member: Int, _ load: LoadReport, at now: MonotonicInstant) {
        state.withLock {
            $0.pool.report(member, queued: load.queued, memoryUse: load.memoryUse, at: now)
            if policy.balance == .lora, let adapters = load.adapters {
                $0.pool.report(member, adapters)
            }
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
            state.withLock { $0.pool.forgetAdapters(of: member) }
        }
    }

    /// As its last checks said.
    func isWell(_ member: Int) -> Bool { state.withLock { $0.health[member].isWell } }

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

    /// Whether somebody could be asked now. Those that rest for a moment count as usable.
    func hasUsableMember(at now: MonotonicInstant) -> Bool {
        state.withLock { state in
            state.outliers.advance(to: now)
            return members.indices.contains { member in
                state.health[member].isWell && !state.health[member].isDraining
                    && !state.outliers.isEjected(member)
                    && state.breakers[member].isReadyInPlace(at: now)
            }
        }
    }

    struct MemberReport {
        var name: String
        var inFlight: Int
        var queued: Int
        var memoryUse: Double
        var adapters: [String]
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
                    adapters: state.pool.adapters[member].names,
                    isWell: state.health[member].isWell,
                    isDraining: state.health[member].isDraining,
                    isEjected: state.outliers.isEjected(member), breaker: breaker)
            }
        }
    }
}
