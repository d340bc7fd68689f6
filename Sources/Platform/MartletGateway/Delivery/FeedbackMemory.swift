// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Remembers what was answered lately, so that a verdict on an answer finds whose it was.
///
/// Bounded in number and age: the oldest is forgotten first. O(1).
package struct FeedbackMemory<Subject: Sendable>: Sendable {
    package enum Found {
        case known(Subject)
        /// It has had its verdict.
        case given
        /// Never answered here, or forgotten.
        case unknown
    }

    private struct Entry {
        var id: UInt64
        var at: MonotonicInstant
        /// Nil once its verdict was given.
        var subject: Subject?
    }

    private let policy: FeedbackPolicy
    private var ring: [Entry] = []
    private var next = 0
    private var places: [UInt64: Int] = [:]

    package init(policy: FeedbackPolicy) { self.policy = policy }

    package var count: Int { places.count }

    package mutating func remember(_ id: UInt64, _ subject: Subject, at now: MonotonicInstant) {
        let entry = Entry(id: id, at: now, subject: subject)
        if ring.count < policy.requestsMax {
            places[id] = ring.count
            ring.append(entry)
            return
        }
        if places[ring[next].id] == next { places[ring[next].id] = nil }
        ring[next] = entry
        places[id] = next
        next = (next + 1) % ring.count
    }

    /// What an id stands for, without giving a verdict.
    package func look(_ id: UInt64, at now: MonotonicInstant) -> Found {
        guard let place = places[id], ring[place].at.duration(to: now) <= policy.keptFor else {
            return .unknown
        }
        return ring[place].subject.map { .known($0) } ?? .given
    }

    /// Notes that the verdict on an answer was given.
    package mutating func close(_ id: UInt64) {
        if let place = places[id] { ring[place].subject = nil }
    }
}
