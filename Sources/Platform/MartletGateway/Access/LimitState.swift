// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
internal import MartletResilience

/// Why a limit lets a request through no more.
package struct LimitRefusal: Error, Sendable, Hashable {
    package enum Kind: String, Sendable { case requests, tokens, concurrency }

    package var kind: Kind
    /// When it may be tried again; nil: never as it is (it wants more than there ever is).
    package var retryAfter: Duration?

    package init(kind: Kind, retryAfter: Duration?) {
        self.kind = kind
        self.retryAfter = retryAfter
    }
}

/// One holder's limits: requests in a time, tokens in a time (reserved before, settled after), and
/// requests at one time.
///
/// Over-admission: requests and concurrency never; tokens by what requests that were open at one
/// time used beyond their reservations (`TokenReservations`). A value; O(1), no allocation.
package struct LimitState: Sendable {
    /// What one request holds; settled once.
    package struct Hold: ~Copyable, Sendable {
        fileprivate var tokens: TokenReservations.Reservation?
    }

    package let policy: LimitPolicy
    package private(set) var inFlight = 0
    private var requests: TokenBucket?
    private var tokens: TokenReservations?

    package init(policy: LimitPolicy, at now: MonotonicInstant) {
        self.policy = policy
        requests = policy.requests.map {
            TokenBucket(rate: $0.rate, capacity: $0.burst, at: now)
        }
        tokens = policy.tokens.map {
            TokenReservations(rate: $0.rate, capacity: $0.burst, at: now)
        }
    }

    /// Asks for one request that may use so many tokens.
    package mutating func admit(
        tokens wanted: Int, at now: MonotonicInstant
    ) throws(LimitRefusal) -> Hold {
        if let most = policy.concurrency, inFlight >= most {
            throw LimitRefusal(kind: .concurrency, retryAfter: .seconds(1))
        }
        switch requests?.take(at: now) {
        case .later(let wait)?: throw LimitRefusal(kind: .requests, retryAfter: wait)
        case .never?: throw LimitRefusal(kind: .requests, retryAfter: nil)
        case .taken?, nil: break
        }
        var reserved: TokenReservations.Reservation?
        if tokens != nil {
            do throws(TokenReservations.Refusal) {
                reserved = try tokens?.reserve(wanted, at: now)
            } catch {
                // The request is not made, so it does not count as one.
                requests?.giveBack(1, at: now)
                switch error {
                case .later(let wait): throw LimitRefusal(kind: .tokens, retryAfter: wait)
                case .never: throw LimitRefusal(kind: .tokens, retryAfter: nil)
                }
            }
        }
        inFlight += 1
        return Hold(tokens: reserved)
    }

    /// The request is not made after all: another limit refused it. As if it had never asked.
    package mutating func withdraw(_ hold: consuming Hold, at now: MonotonicInstant) {
        requests?.giveBack(1, at: now)
        settle(hold, usedTokens: 0, at: now)
    }

    /// The request is over and used so much.
    package mutating func settle(
        _ hold: consuming Hold, usedTokens: Int, at now: MonotonicInstant
    ) {
        inFlight -= 1
        if let reservation = hold.tokens {
            tokens?.settle(reservation, used: usedTokens, at: now)
        }
    }
}
