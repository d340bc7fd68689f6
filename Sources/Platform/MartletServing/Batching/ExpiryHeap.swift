// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// Names a request in a batcher: its slot, and how often the slot had been used before.
package struct Ticket: Hashable, Sendable {
    package var slot: Int32
    package var generation: UInt32
}

/// When tickets run out of time: a binary heap whose removed entries are dropped lazily.
///
/// Cost: amortised O(1) for equal time limits (each push is then the latest), O(log n) otherwise.
/// Dead entries are swept once they outnumber the living, so the heap stays within twice their
/// number plus a constant.
struct ExpiryHeap {
    struct Entry {
        var instant: Int64
        var ticket: Ticket
    }

    private var entries: [Entry] = []
    private(set) var liveCount = 0

    var first: Entry? { entries.first }
    var needsSweep: Bool { entries.count > 2 * liveCount + 64 }

    mutating func push(_ instant: MonotonicInstant, _ ticket: Ticket) {
        liveCount += 1
        entries.append(Entry(instant: instant.nanoseconds, ticket: ticket))
        var index = entries.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard entries[index].instant < entries[parent].instant else { return }
            entries.swapAt(index, parent)
            index = parent
        }
    }

    /// Says that an entry somewhere in the heap is of no use any more.
    mutating func forget() { liveCount -= 1 }

    /// Removes the earliest entry; `wasLive` tells whether its ticket was still in use.
    mutating func removeFirst(wasLive: Bool) {
        if wasLive { liveCount -= 1 }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        sink(from: 0)
    }

    mutating func sweep(isLive: (Ticket) -> Bool) {
        entries.removeAll { !isLive($0.ticket) }
        liveCount = entries.count
        for index in stride(from: entries.count / 2 - 1, through: 0, by: -1) { sink(from: index) }
    }

    private mutating func sink(from start: Int) {
        var index = start
        while true {
            var least = index
            for child in 2 * index + 1...2 * index + 2 where child < entries.count {
                if entries[child].instant < entries[least].instant { least = child }
            }
            guard least != index else { return }
            entries.swapAt(index, least)
            index = least
        }
    }
}
