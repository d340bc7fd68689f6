// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// How urgent a request is.
package enum RequestPriority: String, Sendable, CaseIterable, Comparable {
    case low, normal, high

    package static func < (left: RequestPriority, right: RequestPriority) -> Bool {
        left.rank < right.rank
    }

    var rank: Int {
        switch self {
        case .low: 0
        case .normal: 1
        case .high: 2
        }
    }
}

/// So many at a time, and so many waiting for so long, the most urgent first.
///
/// Of equal urgency, whoever came first goes first. When the queue is full, somebody more urgent
/// takes the place of the least urgent waiter that came last, who is told so. A value that only
/// decides, as `Bulkhead`; O(1), O(waiting) to cancel and to shed.
package struct PriorityBulkhead: Sendable {
    package struct Ticket: Sendable, Hashable {
        fileprivate let number: UInt64
    }

    package enum Answer: Sendable, Hashable {
        case granted
        /// `shed` has lost its place for this one.
        case waiting(Ticket, until: MonotonicInstant, shed: Ticket?)
        case refused
    }

    private struct Waiter {
        var ticket: Ticket
        var limit: MonotonicInstant
    }

    package let policy: Bulkhead.Policy
    /// May be changed while running (adaptive concurrency).
    package var concurrencyMax: Int
    package private(set) var inUse = 0
    private var queues: [[Waiter]] = Array(repeating: [], count: RequestPriority.allCases.count)
    private var nextNumber: UInt64 = 0

    package init(policy: Bulkhead.Policy) {
        self.policy = policy
        concurrencyMax = policy.concurrencyMax
    }

    package var waitingCount: Int { queues.reduce(0) { $0 + $1.count } }

    /// Takes a place if there is one now, and nobody as urgent waits for it.
    package mutating func takeFree(_ priority: RequestPriority) -> Bool {
        guard inUse < concurrencyMax else { return false }
        for rank in priority.rank..<queues.count where !queues[rank].isEmpty { return false }
        inUse += 1
        return true
    }

    package mutating func acquire(
        _ priority: RequestPriority, at now: MonotonicInstant, deadline: Deadline = .never
    ) -> Answer {
        if takeFree(priority) { return .granted }
        let limit = min(now.advanced(by: policy.waitMax), deadline.instant)
        guard policy.waitingMax > 0, limit > now else { return .refused }
        for rank in queues.indices { queues[rank].removeAll { $0.limit <= now } }
        // Those whose wait is over kept it from a place that is free.
        if takeFree(priority) { return .granted }
        var shed: Ticket?
        if waitingCount >= policy.waitingMax {
            guard let rank = queues.indices.first(where: { !queues[$0].isEmpty }),
                rank < priority.rank
            else { return .refused }
            shed = queues[rank].removeLast().ticket
        }
        let ticket = Ticket(number: nextNumber)
        nextNumber += 1
        queues[priority.rank].append(Waiter(ticket: ticket, limit: limit))
        return .waiting(ticket, until: limit, shed: shed)
    }

    /// Gives a place back. Call `next` until it answers nil afterwards.
    package mutating func release() {
        precondition(inUse > 0, "a place is released twice")
        inUse -= 1
    }

    /// Grants a free place to the most urgent waiter. Those whose wait is over are passed over:
    /// they know.
    package mutating func next(at now: MonotonicInstant) -> Ticket? {
        guard inUse < concurrencyMax else { return nil }
        for rank in queues.indices.reversed() {
            while !queues[rank].isEmpty {
                let waiter = queues[rank].removeFirst()
                guard waiter.limit > now else { continue }
                inUse += 1
                return waiter.ticket
            }
        }
        return nil
    }

    /// Takes a waiter out; false when it waits no more.
    package mutating func cancel(_ ticket: Ticket) -> Bool {
        for rank in queues.indices {
            if let place = queues[rank].firstIndex(where: { $0.ticket == ticket }) {
                queues[rank].remove(at: place)
                return true
            }
        }
        return false
    }
}
