// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import Synchronization

/// One holder's limits, shared by all event loops: exact, because there is one of it.
final class Limiter: Sendable {
    let name: String
    let policy: LimitPolicy
    /// The name under which replicas share it: a changed policy is another limit.
    let sharedName: String
    private let state: Mutex<LimitState>
    private let shares = Mutex<(count: Int, limiter: Limiter)?>(nil)

    init(name: String, policy: LimitPolicy, at now: MonotonicInstant) {
        self.name = name
        self.policy = policy
        sharedName = "\(name)#\(String(StableHash.hash("\(policy)", salt: 7), radix: 36))"
        state = Mutex(LimitState(policy: policy, at: now))
    }

    /// One of so many equal parts, for while replicas cannot agree.
    func share(of count: Int, at now: MonotonicInstant) -> Limiter {
        shares.withLock { shares in
            if let (known, limiter) = shares, known == count { return limiter }
            let limiter = Limiter(name: name, policy: policy.divided(by: count), at: now)
            shares = (count, limiter)
            return limiter
        }
    }

    func admit(
        tokens: Int, at now: MonotonicInstant
    ) throws(LimitRefusal) -> LimitState.Hold {
        try state.withLock { state throws(LimitRefusal) in
            try state.admit(tokens: tokens, at: now)
        }
    }

    func withdraw(_ hold: consuming LimitState.Hold, at now: MonotonicInstant) {
        var hold: LimitState.Hold? = consume hold
        state.withLock { state in
            if let held = hold.take() { state.withdraw(held, at: now) }
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

    consuming func withdraw(at now: MonotonicInstant) { limiter.withdraw(hold, at: now) }

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
    init(_ demand: borrowing LimitDemand, at now: MonotonicInstant) throws(LimitRefusal) {
        if let limiter = demand.key {
            key = try LimitHold(limiter, tokens: demand.tokens(at: limiter), at: now)
        }
        do throws(LimitRefusal) {
            if let limiter = demand.tenant {
                tenant = try LimitHold(limiter, tokens: demand.tokens(at: limiter), at: now)
            }
            if let limiter = demand.model {
                model = try LimitHold(limiter, tokens: demand.tokens(at: limiter), at: now)
            }
        } catch {
            key.take()?.withdraw(at: now)
            tenant.take()?.withdraw(at: now)
            throw error
        }
    }

    mutating func settle(usedTokens: Int, at now: MonotonicInstant) {
        key.take()?.settle(usedTokens: usedTokens, at: now)
        tenant.take()?.settle(usedTokens: usedTokens, at: now)
        model.take()?.settle(usedTokens: usedTokens, at: now)
    }
}
