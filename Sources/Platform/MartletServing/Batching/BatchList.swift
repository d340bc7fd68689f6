// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// A reference to an item that counts nothing by itself: somebody else keeps the item alive.
@safe struct BatchLink {
    private let reference: Unmanaged<BatchItem>

    init(_ item: BatchItem) { unsafe reference = .passUnretained(item) }

    /// A link that keeps the item alive until it is released.
    init(retaining item: BatchItem) { unsafe reference = .passRetained(item) }

    var item: BatchItem { unsafe reference.takeUnretainedValue() }

    /// Ends what `init(retaining:)` began.
    func release() -> BatchItem { unsafe reference.takeRetainedValue() }
}

extension [BatchItem] {
    /// Calls `body` with each item without counting references to it: the array keeps them. The
    /// array must not change meanwhile.
    @inline(__always)
    func forEachBorrowed(_ body: (BatchItem) -> Void) {
        unsafe withUnsafeBufferPointer { items in
            unsafe items.withMemoryRebound(to: Unmanaged<BatchItem>.self) { links in
                for index in links.indices {
                    unsafe links[index]._withUnsafeGuaranteedRef(body)
                }
            }
        }
    }
}

extension BatchItem {
    /// Where a request stands in a batcher. Kept in the item, so that no step looks anything up.
    struct Standing {
        enum Phase: UInt8 {
            /// Not submitted yet, or answered.
            case outside
            case waiting
            case running
            /// Running, but answered already.
            case abandoned
            /// Finished, while earlier ones are not and order is kept.
            case held
        }

        var phase = Phase.outside
        var isDelayed = false
        var level: Int32 = 0
        var instance: Int32 = 0
        /// Its place among the expiries, or -1.
        var expiryIndex: Int32 = -1
        /// When its queue's patience ends, in nanoseconds; the largest number is never.
        var queueLimit = Int64.max
        var sequence = 0
        var previous: BatchLink?
        var next: BatchLink?
    }
}

/// Requests in order, linked through themselves: every operation is O(1) and allocates nothing.
/// The list owns one reference to each; whoever has it must empty it.
struct BatchList {
    private(set) var first: BatchLink?
    private var last: BatchLink?

    mutating func append(_ item: BatchItem) {
        let link = BatchLink(retaining: item)
        item.standing.previous = last
        item.standing.next = nil
        if let last { last.item.standing.next = link } else { first = link }
        last = link
    }

    /// Takes an item of this list out, and gives its reference away.
    mutating func remove(_ link: BatchLink) -> BatchItem {
        let item = link.release()
        let (previous, next) = (item.standing.previous, item.standing.next)
        if let previous { previous.item.standing.next = next } else { first = next }
        if let next { next.item.standing.previous = previous } else { last = previous }
        item.standing.previous = nil
        item.standing.next = nil
        return item
    }

    mutating func removeAll() {
        while let first { _ = remove(first) }
    }
}

/// What waits of one priority, and by which rules.
final class BatchLane {
    let rules: BatchingPolicy.Level
    /// In nanoseconds; the largest number is never.
    let timeout: Int64
    @safe @exclusivity(unchecked) var waiting = BatchList()
    /// Past their time, taken when `waiting` is empty.
    @safe @exclusivity(unchecked) var delayed = BatchList()
    @safe @exclusivity(unchecked) var count = 0

    init(_ rules: BatchingPolicy.Level) {
        self.rules = rules
        timeout = rules.timeout?.nanosecondsSaturating ?? .max
    }

    deinit {
        waiting.removeAll()
        delayed.removeAll()
    }

    func append(_ item: BatchItem, isDelayed: Bool) {
        item.standing.isDelayed = isDelayed
        if isDelayed { delayed.append(item) } else { waiting.append(item) }
    }

    /// Takes an item out of whichever list it is in.
    func remove(_ item: BatchItem) {
        let link = BatchLink(item)
        _ = item.standing.isDelayed ? delayed.remove(link) : waiting.remove(link)
    }
}
