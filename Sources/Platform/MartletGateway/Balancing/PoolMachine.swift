// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletResilience

/// Everything that decides whom of a pool a request may ask: loads, breakers, ejections, health,
/// rests, places and the retry budget, together.
///
/// A value: time and randomness come with each call. O(members) per attempt and per answer,
/// nothing is allocated after `init` but a queue of waiters. What a shell does with it is in
/// `PoolRuntime`; what the parts do together is simulated (`PoolSimulation`).
package struct PoolMachine: Sendable {
    /// Leave to make one attempt at a member; handed back with `finish`.
    package struct Attempt: Sendable {
        package var member: Int
        package var pass: CircuitBreaker.Pass
        package var began: MonotonicInstant
        fileprivate var adaptive: AdaptiveConcurrency.Pass?
    }

    /// How an attempt may begin.
    package enum Beginning: Sendable {
        case attempt(Attempt)
        /// All places are taken; one may be waited for.
        case full
        /// Nobody can be asked.
        case nobody
    }

    /// One member, as a pool begins with it.
    package struct Seat: Sendable {
        package var name: String
        package var weight: Int
        package var priority: Int
        /// It could answer if it were well.
        package var canBeAsked = true
        /// Whoever runs the gateway has taken it out.
        package var isDraining = false
        /// What is known of the same endpoint from before.
        package var inherited: MemberState?

        package init(name: String, weight: Int = 1, priority: Int = 0) {
            self.name = name
            self.weight = weight
            self.priority = priority
        }
    }

    /// What is known of one member; outlives its pool.
    package struct MemberState: Sendable {
        var load: MemberLoad
        var adapters: HeldAdapters
        var breaker: CircuitBreaker
        var outlier: OutlierEjection.Member
        var health: Health
    }

    struct Health: Sendable {
        var isWell = true
        var streak = 0
        var isDraining = false
        /// Asked to be left alone (429 with Retry-After) until then.
        var restsUntil = MonotonicInstant(nanoseconds: .min)
    }

    /// However long an upstream asks to be left alone: one wrong answer takes nobody out for long.
    package static let restMax = Duration.seconds(60)

    package let policy: PoolPolicy
    package internal(set) var pool: PoolState
    var health: [Health]
    var breakers: [CircuitBreaker]
    var outliers: OutlierEjection
    private var budget: RetryBudget
    private var adaptive: AdaptiveConcurrency?
    private var places: PriorityBulkhead
    let canBeAsked: [Bool]

    /// - Parameter previous: the pool that this takes the place of; requests that it has out stay
    ///   its own.
    package init(
        _ seats: [Seat], policy: PoolPolicy, at now: MonotonicInstant,
        after previous: PoolMachine? = nil
    ) {
        self.policy = policy
        canBeAsked = seats.map(\.canBeAsked)
        pool = PoolState(
            members: seats.map { seat in
                var load = MemberLoad(weight: seat.weight, priority: seat.priority)
                if let before = seat.inherited?.load {
                    load.take(from: before)
                } else if previous != nil {
                    // New beside others: it begins slowly.
                    load.upSince = now
                }
                return load
            }, names: seats.map(\.name), slowStart: policy.slowStart)
        for (member, seat) in seats.enumerated() {
            if let held = seat.inherited?.adapters { pool.set(adapters: held, of: member) }
        }
        health = seats.map { seat in
            var health = seat.inherited?.health ?? Health()
            health.streak = 0
            health.isDraining = seat.isDraining
            // Without checks nobody would ever find it well again.
            health.isWell = seat.canBeAsked && (policy.health == nil || health.isWell)
            return health
        }
        breakers = seats.map { seat in
            seat.inherited?.breaker.succeeded(by: policy.breaker)
                ?? CircuitBreaker(policy: policy.breaker)
        }
        outliers = OutlierEjection(
            members: seats.map { $0.inherited?.outlier }, policy: policy.outliers, at: now)
        if let old = previous?.budget, old.policy == policy.retries {
            budget = old
        } else {
            budget = RetryBudget(policy: policy.retries)
        }
        if let old = previous?.adaptive, old.policy == policy.adaptive {
            adaptive = old.withoutCalls()
        } else {
            adaptive = policy.adaptive.map { AdaptiveConcurrency(policy: $0) }
        }
        places = PriorityBulkhead(policy: policy.bulkhead)
    }

    /// What is known of a member now.
    package func state(of member: Int) -> MemberState {
        MemberState(
            load: pool.members[member], adapters: pool.adapters[member], breaker: breakers[member],
            outlier: outliers.state(of: member), health: health[member])
    }

    // MARK: Attempts

    /// Chooses a member and takes leave to ask it.
    ///
    /// - Parameter holdsPlace: a place was granted before.
    package mutating func begin(
        _ choice: PoolState.Choice, tried: TriedMembers, isFirst: Bool, holdsPlace: Bool,
        priority: RequestPriority, at now: MonotonicInstant, using random: inout SeededRandom
    ) -> Beginning {
        if isFirst { budget.recordRequest(at: now) }
        if !holdsPlace {
            setPlaces()
            guard places.takeFree(priority) else { return .full }
        }
        guard let attempt = choose(choice, tried, at: now, using: &random) else {
            places.release()
            return .nobody
        }
        return .attempt(attempt)
    }

    private mutating func setPlaces() {
        if let limit = adaptive?.limit {
            places.concurrencyMax = min(limit, policy.bulkhead.concurrencyMax)
        }
    }

    private mutating func choose(
        _ choice: PoolState.Choice, _ tried: TriedMembers, at now: MonotonicInstant,
        using random: inout SeededRandom
    ) -> Attempt? {
        outliers.advance(to: now)
        var hasResting = false
        for member in breakers.indices {
            let isUp = couldBeAsked(member, at: now)
            let rests = health[member].restsUntil > now
            if isUp, rests { hasResting = true }
            pool.setUp(member, isUp && !rests, at: now)
        }
        var picked = pool.pick(choice, tried: tried, at: now, using: &random)
        if picked == nil, hasResting, tried.count == 0 { picked = leastResting(at: now) }
        guard let member = picked, case .admitted(let pass) = breakers[member].admit(at: now)
        else { return nil }
        pool.begin(member)
        if case .adapter(let name) = choice { pool.use(adapter: name, at: member) }
        return Attempt(
            member: member, pass: pass, began: now, adaptive: adaptive?.admit(at: now))
    }

    /// Whether somebody could be asked now. Those that rest for a moment count as usable.
    package mutating func hasUsableMember(at now: MonotonicInstant) -> Bool {
        outliers.advance(to: now)
        for member in breakers.indices where couldBeAsked(member, at: now) { return true }
        return false
    }

    /// Whether nothing speaks against asking a member, but that it rests perhaps.
    private mutating func couldBeAsked(_ member: Int, at now: MonotonicInstant) -> Bool {
        health[member].isWell && !health[member].isDraining && !outliers.isEjected(member)
            && breakers[member].isReadyInPlace(at: now)
    }

    /// When all rest, a new request is asked of the one that is back first: its own answer says
    /// more than ours would.
    private mutating func leastResting(at now: MonotonicInstant) -> Int? {
        var least: Int?
        for member in health.indices where couldBeAsked(member, at: now) {
            if let known = least, health[known].restsUntil <= health[member].restsUntil {
                continue
            }
            least = member
        }
        return least
    }

    /// Reports how an attempt ended; `grant` hands its place on.
    package mutating func finish(
        _ attempt: Attempt, _ outcome: CircuitBreaker.Outcome, restsFor rest: Duration?,
        at now: MonotonicInstant
    ) {
        pool.finish(attempt.member)
        if let pass = attempt.adaptive {
            if outcome == .neutral {
                adaptive?.withdraw(pass)
            } else {
                adaptive?.finish(
                    pass, took: attempt.began.duration(to: now), isDrop: outcome == .failure,
                    at: now)
            }
            setPlaces()
        }
        places.release()
        breakers[attempt.member].record(
            attempt.pass, outcome, took: attempt.began.duration(to: now), at: now)
        if outcome != .neutral {
            outliers.record(attempt.member, isSuccess: outcome == .success, at: now)
        }
        if let rest {
            health[attempt.member].restsUntil = now.advanced(
                by: min(max(rest, .zero), PoolMachine.restMax))
        }
    }

    /// Takes leave for one retry out of the budget.
    package mutating func takeRetry(at now: MonotonicInstant) -> Bool {
        budget.takeRetry(at: now)
    }

    // MARK: Places

    /// Waits for a place, behind those that are as urgent.
    package mutating func queue(
        _ priority: RequestPriority, at now: MonotonicInstant
    ) -> PriorityBulkhead.Answer {
        places.acquire(priority, at: now)
    }

    /// Whoever waited does no more; false when a place is on its way.
    package mutating func stopWaiting(_ ticket: PriorityBulkhead.Ticket) -> Bool {
        places.cancel(ticket)
    }

    /// A place that was granted is not used.
    package mutating func leave() { places.release() }

    /// Who has a place now that waited for one; nil when nobody has.
    package mutating func grant(at now: MonotonicInstant) -> PriorityBulkhead.Ticket? {
        places.next(at: now)
    }

    /// Requests that wait for a place, how many have one, and how many there are now.
    package var crowd: (waiting: Int, taken: Int, places: Int) {
        (places.waitingCount, places.inUse, places.concurrencyMax)
    }

    // MARK: Load

    package mutating func report(_ member: Int, _ load: LoadReport, at now: MonotonicInstant) {
        pool.report(member, queued: load.queued, memoryUse: load.memoryUse, at: now)
        if policy.balance == .lora, let adapters = load.adapters {
            pool.report(member, adapters)
        }
    }
}
