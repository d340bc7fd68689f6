// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import Synchronization

/// One holder's limits, shared by all event loops: exact, because there is one of it.
final class Limiter: Sendable {
    let name: String
    let policy: LimitPolicy
    private let state: Mutex<LimitState>

    init(name: String, policy: LimitPolicy, at now: MonotonicInstant) {
        self.name = name
        self.policy = policy
        state = Mutex(LimitState(policy: policy, at: now))
    }

    func admit(
        tokens: Int, at now: MonotonicInstant
    ) throws(LimitRefusal) -> LimitState.Hold {
        try state.withLock { state throws(LimitRefusal) in
            try state.admit(tokens: tokens, at: now)
        }
    }

    func settle(
        _ hold: consuming LimitState.Hold, usedTokens: Int, at now: MonotonicInstant
    ) {
        var hold: LimitState.Hold? = consume hold
        state.withLock { state in
            if let held = hold.take() { state.settle(held, usedTokens: usedTokens, at: now) }
        }
    }
}

/// What a request holds at one limiter.
struct LimitHold: ~Copyable {
    private let limiter: Limiter
    private let hold: LimitState.Hold

    init(
        _ limiter: Limiter, tokens: Int, at now: MonotonicInstant
    ) throws(LimitRefusal) {
        hold = try limiter.admit(tokens: tokens, at: now)
        self.limiter = limiter
    }

    consuming func settle(usedTokens: Int, at now: MonotonicInstant) {
        limiter.settle(hold, usedTokens: usedTokens, at: now)
    }
}

/// What a request holds at its key's, its tenant's and its model's limits: all of them or none.
struct LimitHolds: ~Copyable {
    private var key: LimitHold?
    private var tenant: LimitHold?
    private var model: LimitHold?

    /// - Throws: `LimitRefusal` of the first limit that refuses; nothing is held then.
    init(
        key keyLimiter: Limiter?, tenant tenantLimiter: Limiter?, model modelLimiter: Limiter?,
        outputTokens: Int?, inputTokens: Int, at now: MonotonicInstant
    ) throws(LimitRefusal) {
        func tokens(_ limiter: Limiter) -> Int {
            let output = outputTokens ?? limiter.policy.reservedOutput
            let (sum, overflow) = inputTokens.addingReportingOverflow(output)
            return overflow ? Int.max : sum
        }
        if let keyLimiter {
            key = try LimitHold(keyLimiter, tokens: tokens(keyLimiter), at: now)
        }
        do throws(LimitRefusal) {
            if let tenantLimiter {
                tenant = try LimitHold(tenantLimiter, tokens: tokens(tenantLimiter), at: now)
            }
            if let modelLimiter {
                model = try LimitHold(modelLimiter, tokens: tokens(modelLimiter), at: now)
            }
        } catch {
            settle(usedTokens: 0, at: now)
            throw error
        }
    }

    mutating func settle(usedTokens: Int, at now: MonotonicInstant) {
        key.take()?.settle(usedTokens: usedTokens, at: now)
        tenant.take()?.settle(usedTokens: usedTokens, at: now)
        model.take()?.settle(usedTokens: usedTokens, at: now)
    }
}
