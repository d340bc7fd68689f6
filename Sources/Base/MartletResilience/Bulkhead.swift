// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// So many at a time, and so many waiting for so long: a pool's concurrency with a bounded queue.
///
/// Waiters are served in order. A value that only decides: the shell keeps what waits under the
/// ticket, and calls `next` after each release until it answers nil. O(1) each, O(waiting) to
/// cancel or to expire; nothing is allocated after `init` but what the caller's arrays need.
package struct Bulkhead: Sendable {
    package struct Policy: Sendable, Hashable {
        package var concurrencyMax = 64
        package var waitingMax = 64
        package var waitMax: Duration = .seconds(1)

        package init() {}
    }

    /// One waiter's place in the queue.
    package struct Ticket: Sendable, Hashable {
        fileprivate let number: UInt64
    }

    package enum Answer: Sendable, Hashable {
        case granted
        /// Granted by `next`, or told by `expire` after that time.
        case waiting(Ticket, until: MonotonicInstant)
        case refused
    }

    private struct Waiter {
        var ticket: Ticket
        var limit: MonotonicInstant
        var isGone: Bool
    }

    package let policy: Policy
    /// How many may hold a place; may be changed while running (adaptive concurrency).
    package var concurrencyMax: Int
    package private(set) var inUse = 0
    /// Those that wait and are neither cancelled nor expired.
    package private(set) var waitingCount = 0
    private var ring: [Waiter?]
    private var head = 0
    private var length = 0
    private var nextNumber: UInt64 = 0

    package init(policy: Policy = Policy()) {
        self.policy = policy
        concurrencyMax = policy.concurrencyMax
        ring = Array(repeating: nil, count: max(policy.waitingMax, 0))
    }

    /// Asks for a place; whoever must wait waits until `waitMax` or the deadline, the earlier.
    package mutating func acquire(
        at now: MonotonicInstant, deadline: Deadline = .never
    ) -> Answer {
        if inUse < concurrencyMax, waitingCount == 0 {
            inUse += 1
            return .granted
        }
        let limit = min(now.advanced(by: policy.waitMax), deadline.instant)
        guard waitingCount < ring.count, limit > now else { return .refused }
        if length == ring.count { dropGone() }
        let ticket = Ticket(number: nextNumber)
        nextNumber += 1
        ring[(head + length) % ring.count] = Waiter(ticket: ticket, limit: limit, isGone: false)
        length += 1
        waitingCount += 1
        return .waiting(ticket, until: limit)
    }

    /// Gives a place back. Call `next` afterwards.
    package mutating func release() {
        precondition(inUse > 0, "a place is released twice")
        inUse -= 1
    }

    /// Grants a free place to the first waiter; nil when there is no place or nobody waits.
    /// Waiters found too late on the way are appended to `expired`.
    package mutating func next(
        at now: MonotonicInstant, expired: inout [Ticket]
    ) -> Ticket? {
        while inUse < concurrencyMax, length > 0 {
            let waiter = ring[head]
            ring[head] = nil
            head = (head + 1) % ring.count
            length -= 1
            guard let waiter, !waiter.isGone else { continue }
            waitingCount -= 1
            guard waiter.limit > now else {
                expired.append(waiter.ticket)
                continue
            }
            inUse += 1
            return waiter.ticket
        }
        return nil
    }

    /// Takes a waiter out of the queue; false when it was granted, expired or cancelled before.
    package mutating func cancel(_ ticket: Ticket) -> Bool {
        for offset in 0..<length {
            let place = (head + offset) % ring.count
            guard let waiter = ring[place], waiter.ticket == ticket else { continue }
            guard !waiter.isGone else { return false }
            ring[place]?.isGone = true
            waitingCount -= 1
            return true
        }
        return false
    }

    /// Takes out everyone whose wait is over.
    package mutating func expire(at now: MonotonicInstant, into expired: inout [Ticket]) {
        for offset in 0..<length {
            let place = (head + offset) % ring.count
            guard let waiter = ring[place], !waiter.isGone, waiter.limit <= now else { continue }
            ring[place]?.isGone = true
            waitingCount -= 1
            expired.append(waiter.ticket)
        }
    }

    /// When `expire` has something to do next.
    package var nextExpiry: MonotonicInstant? {
        var earliest: MonotonicInstant?
        for offset in 0..<length {
            guard let waiter = ring[(head + offset) % ring.count], !waiter.isGone else { continue }
            earliest = min(earliest ?? waiter.limit, waiter.limit)
        }
        return earliest
    }

    private mutating func dropGone() {
        var kept = 0
        for offset in 0..<length {
            let from = (head + offset) % ring.count
            guard let waiter = ring[from], !waiter.isGone else { continue }
            let to = (head + kept) % ring.count
            if to != from {
                ring[to] = waiter
            }
            kept += 1
        }
        for offset in kept..<length { ring[(head + offset) % ring.count] = nil }
        length = kept
    }
}
