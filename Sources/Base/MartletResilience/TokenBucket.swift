// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// A rate with an allowed burst, in exact arithmetic.
///
/// Over any stretch of time `t`, what is taken is at most `capacity + rate · t`: to the token, for
/// whole rates over whole nanoseconds, without rounding (the level is kept in units of one token
/// divided by the interval's nanoseconds). A value; O(1), no allocation.
package struct TokenBucket: Sendable {
    /// So many tokens per so much time.
    package struct Rate: Sendable, Hashable {
        package var tokens: Int
        package var interval: Duration

        /// At least no token per at least a nanosecond.
        package init(_ tokens: Int, per interval: Duration) {
            self.tokens = max(tokens, 0)
            self.interval = max(interval, .nanoseconds(1))
        }
    }

    package enum Answer: Sendable, Hashable {
        case taken
        /// Would be granted after this time, if nobody else takes.
        case later(Duration)
        /// More than the bucket ever holds.
        case never
    }

    /// More is not owed: it keeps the arithmetic within its type.
    private static let debtMax = -(Int128(1) << 125)

    package let rate: Rate
    package let capacity: Int
    private let perToken: Int128
    private let full: Int128
    private var level: Int128
    private var updated: MonotonicInstant

    /// A full bucket.
    package init(rate: Rate, capacity: Int, at now: MonotonicInstant) {
        self.rate = rate
        self.capacity = max(capacity, 0)
        perToken = Int128(rate.interval.nanosecondsSaturating)
        full = Int128(self.capacity) * perToken
        level = full
        updated = now
    }

    /// Whole tokens there are; below zero when `charge` went into debt.
    package mutating func available(at now: MonotonicInstant) -> Int {
        refill(at: now)
        let (quotient, rest) = level.quotientAndRemainder(dividingBy: perToken)
        return Int(clamping: rest < 0 ? quotient - 1 : quotient)
    }

    /// Takes `count` tokens, all or none.
    package mutating func take(_ count: Int = 1, at now: MonotonicInstant) -> Answer {
        refill(at: now)
        let cost = Int128(max(count, 0)) * perToken
        if level >= cost {
            level -= cost
            return .taken
        }
        guard cost <= full, rate.tokens > 0 else { return .never }
        let speed = Int128(rate.tokens)
        return .later(.nanoseconds(Int64(clamping: (cost - level + speed - 1) / speed)))
    }

    /// Takes `count` tokens whether they are there or not: what is missing is owed.
    package mutating func charge(_ count: Int, at now: MonotonicInstant) {
        refill(at: now)
        level = max(level - Int128(max(count, 0)) * perToken, TokenBucket.debtMax)
    }

    /// Gives `count` tokens back; what does not fit is lost.
    package mutating func giveBack(_ count: Int, at now: MonotonicInstant) {
        refill(at: now)
        level = min(full, level + Int128(max(count, 0)) * perToken)
    }

    private mutating func refill(at now: MonotonicInstant) {
        guard now > updated else { return }
        let elapsed = Int128(now.nanoseconds) - Int128(updated.nanoseconds)
        updated = now
        let (gained, overflow) = elapsed.multipliedReportingOverflow(by: Int128(rate.tokens))
        level = overflow || gained >= full - level ? full : level + gained
    }
}
