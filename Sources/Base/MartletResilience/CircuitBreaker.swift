// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Stops asking what keeps failing: closed, open for a while, then a few probes.
///
/// Opens when, over a sliding window with enough calls, the share of failures or of slow calls
/// reaches its limit. Each opening without a recovery in between lasts twice as long, up to a
/// maximum. Half-open admits as many probes as must succeed, and one failure opens it again.
/// Answers that belong to an earlier phase count for nothing.
///
/// A value: time comes with each call; nothing is allocated after `init`. The pattern is Nygard's
/// (Release It!, 2007); window and slow-call rate as in resilience4j.
package struct CircuitBreaker: Sendable {
    package struct Policy: Sendable, Hashable {
        /// The stretch of time that the shares are taken over.
        package var window: Duration = .seconds(10)
        /// Fewer calls than this in the window never open the breaker.
        package var callsMin = 20
        /// Opens when failures / calls reaches this; above 1 never.
        package var failureShare = 0.5
        /// Calls that take at least this long are slow; nil: none is.
        package var slowCall: Duration?
        /// Opens when slow calls / calls reaches this.
        package var slowShare = 0.8
        package var openTime: Duration = .seconds(5)
        package var openTimeMax: Duration = .seconds(60)
        /// Probes in half-open that must succeed, and that may be out at one time.
        package var probes = 3
        /// A probe without an answer for this long is given up, and its place is free again.
        package var probeTimeout: Duration = .seconds(30)

        package init() {}
    }

    package enum Phase: Sendable, Hashable {
        case closed
        case open(until: MonotonicInstant)
        case halfOpen
    }

    /// Leave to make one call; handed back with its outcome.
    package struct Pass: Sendable, Hashable {
        fileprivate let epoch: UInt64
    }

    package enum Admission: Sendable, Hashable {
        case admitted(Pass)
        case refused(retryAfter: Duration)
    }

    package enum Outcome: Sendable, Hashable {
        case success
        case failure
        /// Says nothing about the upstream: the client's own error, or a call that was cancelled.
        case neutral
    }

    private enum Lane { static let calls = 0, failures = 1, slow = 2, count = 3 }

    package let policy: Policy
    package private(set) var phase = Phase.closed
    /// Openings since it last closed.
    package private(set) var openings = 0
    private var epoch: UInt64 = 0
    private var counts: SlidingCounts
    private var probesOut = 0
    private var probesPassed = 0
    private var lastProbe = MonotonicInstant(nanoseconds: 0)

    package init(policy: Policy = Policy()) {
        self.policy = policy
        counts = SlidingCounts(window: policy.window, lanes: Lane.count)
    }

    /// The breaker of the same upstream under a policy that may be another: open stays open. Calls
    /// that are out belong to the one before and count for nothing here.
    package func succeeded(by policy: Policy) -> CircuitBreaker {
        var next = CircuitBreaker(policy: policy)
        if policy == self.policy { next.counts = counts }
        next.phase = phase
        next.openings = openings
        next.epoch = epoch + 1
        return next
    }

    /// Asks for leave to make a call.
    package mutating func admit(at now: MonotonicInstant) -> Admission {
        if case .open(let until) = phase {
            guard now >= until else { return .refused(retryAfter: now.duration(to: until)) }
            enterHalfOpen()
        }
        guard phase == .halfOpen else { return .admitted(Pass(epoch: epoch)) }
        if probesOut + probesPassed >= policy.probes {
            let givenUp = lastProbe.advanced(by: policy.probeTimeout)
            guard now >= givenUp else {
                return .refused(retryAfter: now.duration(to: givenUp))
            }
            enterHalfOpen()
        }
        probesOut += 1
        lastProbe = now
        return .admitted(Pass(epoch: epoch))
    }

    /// Whether a call would be admitted now, without asking for it.
    package func isReady(at now: MonotonicInstant) -> Bool {
        switch phase {
        case .closed: true
        case .open(let until): now >= until
        case .halfOpen:
            probesOut + probesPassed < policy.probes
                || now >= lastProbe.advanced(by: policy.probeTimeout)
        }
    }

    /// As `isReady`, read in place: nobody copies the breaker for it.
    package mutating func isReadyInPlace(at now: MonotonicInstant) -> Bool {
        if case .closed = phase { return true }
        return isReady(at: now)
    }

    /// Reports how an admitted call ended.
    package mutating func record(
        _ pass: Pass, _ outcome: Outcome, took duration: Duration, at now: MonotonicInstant
    ) {
        guard pass.epoch == epoch else { return }
        let isSlow = policy.slowCall.map { duration >= $0 } ?? false
        switch phase {
        case .open: return
        case .closed:
            guard outcome != .neutral else { return }
            counts.add(Lane.calls, at: now)
            if outcome == .failure { counts.add(Lane.failures, at: now) }
            if isSlow { counts.add(Lane.slow, at: now) }
            if mustOpen { open(at: now) }
        case .halfOpen:
            probesOut -= 1
            if outcome == .neutral { return }
            if outcome == .failure || isSlow { return open(at: now) }
            probesPassed += 1
            if probesPassed >= policy.probes { close() }
        }
    }

    private var mustOpen: Bool {
        let calls = counts.sum(Lane.calls)
        guard calls >= max(policy.callsMin, 1) else { return false }
        let all = Double(calls)
        return Double(counts.sum(Lane.failures)) >= policy.failureShare * all
            || (policy.slowCall != nil
                && Double(counts.sum(Lane.slow)) >= policy.slowShare * all)
    }

    private mutating func open(at now: MonotonicInstant) {
        let doublings = min(openings, 30)
        let time = min(policy.openTime * (1 << doublings), policy.openTimeMax)
        openings += 1
        epoch += 1
        phase = .open(until: now.advanced(by: time))
    }

    private mutating func enterHalfOpen() {
        epoch += 1
        phase = .halfOpen
        probesOut = 0
        probesPassed = 0
    }

    private mutating func close() {
        epoch += 1
        phase = .closed
        openings = 0
        counts.clear()
    }
}
