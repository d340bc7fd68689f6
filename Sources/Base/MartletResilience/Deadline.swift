// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// The instant by which an answer must be there, handed down from hop to hop.
package struct Deadline: Sendable, Hashable, Comparable {
    /// `.max` stands for no deadline.
    package var instant: MonotonicInstant

    package static let never = Deadline(instant: MonotonicInstant(nanoseconds: .max))

    package init(instant: MonotonicInstant) {
        self.instant = instant
    }

    package init(after duration: Duration, from now: MonotonicInstant) {
        instant = now.advanced(by: duration)
    }

    package static func < (left: Deadline, right: Deadline) -> Bool {
        left.instant < right.instant
    }

    package var isNever: Bool { self == .never }

    package func isPast(at now: MonotonicInstant) -> Bool { !isNever && now >= instant }

    /// The time that is left, never below zero; nil without a deadline.
    package func remaining(at now: MonotonicInstant) -> Duration? {
        isNever ? nil : max(now.duration(to: instant), .zero)
    }

    /// The deadline for the next hop: what is left less `margin` for the way back, and at most
    /// `limit` (a route's or an attempt's own). Nil when nothing would be left: the call must not
    /// be made.
    package func forNextHop(
        margin: Duration, limit: Duration? = nil, at now: MonotonicInstant
    ) -> Deadline? {
        var next = self
        if !isNever { next.instant = instant.advanced(by: .zero - margin) }
        if let limit { next = min(next, Deadline(after: limit, from: now)) }
        return next.isPast(at: now) ? nil : next
    }

    /// Whether another attempt makes sense that starts after `wait` and needs `expected`.
    package func allows(
        wait: Duration, expected: Duration, at now: MonotonicInstant
    ) -> Bool {
        isNever || now.advanced(by: wait).advanced(by: expected) < instant
    }
}
