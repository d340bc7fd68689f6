// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import DequeModule

/// The order in which results may leave when it is to be that of arrival.
///
/// Each accepted request takes a number; the queue holds one entry for every number not yet past.
struct ReleaseOrder {
    private enum Entry {
        case pending
        case held(slot: Int32)
        case gone
    }

    private var entries = Deque<Entry>()
    private var firstSequence = 0

    mutating func append() -> Int {
        entries.append(.pending)
        return firstSequence + entries.count - 1
    }

    mutating func settle(_ sequence: Int, heldSlot: Int32) {
        entries[sequence - firstSequence] = .held(slot: heldSlot)
    }

    /// The request was refused: later ones need not wait for it.
    mutating func drop(_ sequence: Int) {
        entries[sequence - firstSequence] = .gone
    }

    /// The slot of the next result that may leave now; nil when an earlier one is still computed.
    mutating func popReleasable() -> Int32? {
        while let entry = entries.first {
            switch entry {
            case .pending: return nil
            case .held(let slot):
                removeFirst()
                return slot
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
