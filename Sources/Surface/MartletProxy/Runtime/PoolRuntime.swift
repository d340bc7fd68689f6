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
    typealias Attempt = PoolMachine.Attempt
    typealias Beginning = PoolMachine.Beginning

    /// Called on any thread, once: true with a place, false when it was given to somebody else.
    typealias Wake = @Sendable (Bool) -> Void

    private struct State {
        var machine: PoolMachine
        var waiting: [PriorityBulkhead.Ticket: Wake] = [:]

        /// Hands free places on.
        mutating func grant(at now: MonotonicInstant) -> [Wake] {
            var wakes: [Wake] = []
            while let ticket = machine.grant(at: now) {
                if let wake = waiting.removeValue(forKey: ticket) {
                    wakes.append(wake)
                } else {
                    machine.leave()
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

    /// - Parameters:
    ///   - seats: what the machine begins with, one for each member.
    ///   - previous: the pool whose place it takes.
    init(
        name: String, policy: PoolPolicy, members: [UpstreamIdentity],
        seats: [PoolMachine.Seat], at now: MonotonicInstant, after previous: PoolRuntime?
    ) {
        self.name = name
        self.policy = policy
        prefixes = Mutex(
            policy.balance == .prefix ? PrefixIndex(capacity: 32_768, blockBytes: 128) : nil)
        timeoutNanoseconds = policy.timeout.nanosecondsSaturating
        self.members = members
        let before = previous.map { $0.state.withLock { $0.machine } }
        state = Mutex(
            State(machine: PoolMachine(seats, policy: policy, at: now, after: before)))
    }

    /// What is known of its members, for a pool that takes its place.
    func memberStates() -> [PoolMachine.MemberState] {
        state.withLock { state in members.indices.map { state.machine.state(of: $0) } }
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
            let beginning = state.machine.begin(
                choice, tried: tried, isFirst: isFirst, holdsPlace: holdsPlace,
                priority: priority, at: now, using: &random)
            if case .nobody = beginning { wakes = state.grant(at: now) }
            return beginning
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
            let answer = state.machine.queue(priority, at: now)
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
            return state.machine.stopWaiting(ticket)
        }
    }

    /// A place that was granted is not used.
    func leave(at now: MonotonicInstant) {
        let wakes = state.withLock { state in
            state.machine.leave()
            return state.grant(at: now)
        }
        for wake in wakes { wake(true) }
    }

    /// Reports how an attempt ended.
    func finish(
        _ attempt: Attempt, _ outcome: CircuitBreaker.Outcome, restsFor rest: Duration? = nil,
        at now: MonotonicInstant
    ) {
        let wakes = state.withLock { state in
            state.machine.finish(attempt, outcome, restsFor: rest, at: now)
            return state.grant(at: now)
        }
        for wake in wakes { wake(true) }
    }

    /// Takes leave for one retry out of the pool's budget.
    func takeRetry(at now: MonotonicInstant) -> Bool {
        state.withLock { $0.machine.takeRetry(at: now) }
    }

    /// Requests that wait for a place, and how many places there are now.
    var crowd: (waiting: Int, places: Int) {
        state.withLock { ($0.machine.crowd.waiting, $0.machine.crowd.places) }
    }

    // MARK: Load

    /// Takes in what a member says of its load.
    func report(_ member: Int, _ load: LoadReport, at now: MonotonicInstant) {
        state.withLock { $0.machine.report(member, load, at: now) }
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
            let member = state.withLock({ $0.machine.pool.warmest(match, at: now) })
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
        let hasChanged = state.withLock { $0.machine.take(member, isWell: isWell, policy) }
        if hasChanged, !isWell { prefixes.withLock { $0?.forget(member: member) } }
    }

    /// As its last checks said.
    func isWell(_ member: Int) -> Bool { state.withLock { $0.machine.isWell(member) } }

    /// Sends a member nothing new, or takes it back.
    func setDraining(_ member: Int, _ isDraining: Bool) {
        state.withLock { $0.machine.setDraining(member, isDraining) }
    }

    /// Whether somebody could be asked now. Those that rest for a moment count as usable.
    func hasUsableMember(at now: MonotonicInstant) -> Bool {
        state.withLock { $0.machine.hasUsableMember(at: now) }
    }

    /// Of each member, in their order.
    func report(at now: MonotonicInstant) -> [PoolMachine.MemberReport] {
        state.withLock { $0.machine.report(at: now) }
    }
}
