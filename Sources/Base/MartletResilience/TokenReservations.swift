// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// A limit on tokens that bites before they are spent: an estimate is reserved at admission, and
/// settled when the true count is known.
///
/// The bound, from the start at a full bucket to any later time `t`:
///
///     Σ settled + Σ reserved and still open ≤ capacity + rate · t + overrun
///
/// where the overrun is what requests open at the same time used beyond what they had reserved. It
/// is zero when every estimate is an upper bound (`max_tokens` is known), and zero for streams that
/// call `extend` as they grow and stop when refused. Otherwise at most the number open at one time
/// × the largest overrun of one, for whatever is overdrawn is owed: nothing is admitted until the
/// debt is paid off. A reservation that is never settled stays spent, which errs to the safe side.
///
/// A value; O(1), no allocation.
package struct TokenReservations: Sendable {
    /// What one request holds. It cannot be copied, so it cannot be settled twice.
    package struct Reservation: ~Copyable, Sendable {
        package fileprivate(set) var tokens: Int
    }

    package enum Refusal: Error, Sendable, Hashable {
        /// May be granted after this time.
        case later(Duration)
        /// More than the limit ever allows at once.
        case never
    }

    private var bucket: TokenBucket

    package init(rate: TokenBucket.Rate, capacity: Int, at now: MonotonicInstant) {
        bucket = TokenBucket(rate: rate, capacity: capacity, at: now)
    }

    /// Tokens that could be reserved now; below zero while in debt.
    package mutating func available(at now: MonotonicInstant) -> Int { bucket.available(at: now) }

    /// Reserves an estimate of what a request will use.
    package mutating func reserve(
        _ tokens: Int, at now: MonotonicInstant
    ) throws(Refusal) -> Reservation {
        try take(tokens, at: now)
        return Reservation(tokens: max(tokens, 0))
    }

    /// Makes a reservation larger while its stream runs; a refusal leaves it as it was.
    package mutating func extend(
        _ reservation: inout Reservation, by tokens: Int, at now: MonotonicInstant
    ) throws(Refusal) {
        try take(tokens, at: now)
        reservation.tokens += max(tokens, 0)
    }

    /// Closes a reservation with what was truly used: the rest comes back, an excess is owed.
    package mutating func settle(
        _ reservation: consuming Reservation, used: Int, at now: MonotonicInstant
    ) {
        let excess = max(used, 0) - reservation.tokens
        if excess > 0 {
            bucket.charge(excess, at: now)
        } else {
            bucket.giveBack(-excess, at: now)
        }
    }

    private mutating func take(_ tokens: Int, at now: MonotonicInstant) throws(Refusal) {
        switch bucket.take(tokens, at: now) {
        case .taken: return
        case .later(let wait): throw .later(wait)
        case .never: throw .never
        }
    }
}
