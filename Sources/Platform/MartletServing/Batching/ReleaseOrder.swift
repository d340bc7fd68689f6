// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import DequeModule

/// The order in which results may leave when it is to be that of arrival.
///
/// Each accepted request takes a number; the queue holds one entry for every number not yet past.
struct ReleaseOrder {
    private enum Entry {
        case pending
        case held(BatchItem)
        case gone
    }

    private var entries = Deque<Entry>()
    private var firstSequence = 0

    mutating func append() -> Int {
        entries.append(.pending)
        return firstSequence + entries.count - 1
    }

    mutating func settle(_ item: BatchItem) {
        entries[item.standing.sequence - firstSequence] = .held(item)
    }

    /// The request left some other way: later ones need not wait for it.
    mutating func drop(_ item: BatchItem) {
        entries[item.standing.sequence - firstSequence] = .gone
    }

    /// The next result that may leave now; nil when an earlier one is still computed.
    mutating func popReleasable() -> BatchItem? {
        while let entry = entries.first {
            switch entry {
            case .pending: return nil
            case .held(let item):
                removeFirst()
                return item
            case .gone: removeFirst()
            }
        }
        return nil
    }

    private mutating func removeFirst() {
        entries.removeFirst()
        firstSequence += 1
    }
}
