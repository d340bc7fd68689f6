// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// When requests run out of time: a binary heap in which every request knows its place, so that
/// who leaves the batcher leaves the heap.
///
/// Cost: O(1) to add the latest, as with equal time limits; O(log n) otherwise.
struct ExpiryHeap {
    private struct Entry {
        var instant: Int64
        /// Alive: it is inside the batcher, and leaves the heap when it leaves that.
        var link: BatchLink
    }

    private var entries: [Entry] = []

    /// The earliest instant, in nanoseconds.
    var first: Int64? { entries.first?.instant }

    /// Takes the earliest request out, if it is due.
    mutating func popFirst(dueAt now: Int64) -> BatchItem? {
        guard let first = entries.first, first.instant <= now else { return nil }
        let item = first.link.item
        remove(item)
        return item
    }

    mutating func push(_ instant: Int64, _ item: BatchItem) {
        entries.append(Entry(instant: instant, link: BatchLink(item)))
        rise(from: entries.count - 1)
    }

    /// Takes a request out, if it is in.
    mutating func remove(_ item: BatchItem) {
        let index = Int(item.standing.expiryIndex)
        guard index >= 0 else { return }
        item.standing.expiryIndex = -1
        let last = entries.removeLast()
        guard index < entries.count else { return }
        entries[index] = last
        if index > 0, last.instant < entries[(index - 1) / 2].instant {
            rise(from: index)
        } else {
            sink(from: index)
        }
    }

    private mutating func place(_ entry: Entry, at index: Int) {
        entries[index] = entry
        entry.link.item.standing.expiryIndex = Int32(truncatingIfNeeded: index)
    }

    private mutating func rise(from start: Int) {
        var index = start
        let entry = entries[index]
        while index > 0, entry.instant < entries[(index - 1) / 2].instant {
            place(entries[(index - 1) / 2], at: index)
            index = (index - 1) / 2
        }
        place(entry, at: index)
    }

    private mutating func sink(from start: Int) {
        var index = start
        let entry = entries[index]
        while true {
            var least = 2 * index + 1
            guard least < entries.count else { break }
            if least + 1 < entries.count, entries[least + 1].instant < entries[least].instant {
                least += 1
            }
            guard entries[least].instant < entry.instant else { break }
            place(entries[least], at: index)
            index = least
        }
        place(entry, at: index)
    }
}
