// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A stream by its id and its place in the table; the place is used again once the stream is over.
package struct HTTP2StreamRef: Hashable, Sendable {
    package let id: UInt32
    package let slot: Int

    package init(id: UInt32, slot: Int) {
        self.id = id
        self.slot = slot
    }
}

/// One open stream.
struct HTTP2Stream: Sendable {
    var id: UInt32
    /// What we may send, and what the peer may.
    var sendWindow: Int
    var receiveWindow: Int
    /// Received bytes that are done with and not yet given back to the peer's window.
    var credit = 0
    /// What is left of the request's content-length.
    var contentLeft: Int?
    var isRemoteClosed: Bool
    var isLocalClosed = false
    // Of a client's streams.
    /// The answer has begun.
    var hasHead = false
    /// The answer has no body, whatever length it announces (HEAD).
    var isBodiless = false
}

/// The open streams of a connection: slots, and a hash table of ids (linear probing).
struct HTTP2StreamTable: Sendable {
    private(set) var slots: [HTTP2Stream] = []
    private(set) var count = 0
    private var free: [Int] = []
    /// Slot + 1 by place, 0 where there is none.
    private var index = [Int32](repeating: 0, count: 16)

    private func home(_ id: UInt32) -> Int { Int(id >> 1) & (index.count - 1) }

    func find(_ id: UInt32) -> Int? {
        var place = home(id)
        while index[place] != 0 {
            let slot = Int(index[place] - 1)
            if slots[slot].id == id { return slot }
            place = (place + 1) & (index.count - 1)
        }
        return nil
    }

    subscript(slot: Int) -> HTTP2Stream {
        get { slots[slot] }
        _modify { yield &slots[slot] }
    }

    func isOpen(_ ref: HTTP2StreamRef) -> Bool {
        slots.indices.contains(ref.slot) && slots[ref.slot].id == ref.id
    }

    mutating func insert(_ stream: HTTP2Stream) -> Int {
        if 2 * (count + 1) > index.count { grow() }
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            slots[slot] = stream
        } else {
            slot = slots.count
            slots.append(stream)
        }
        count += 1
        place(slot)
        return slot
    }

    private mutating func place(_ slot: Int) {
        var place = home(slots[slot].id)
        while index[place] != 0 { place = (place + 1) & (index.count - 1) }
        index[place] = Int32(slot + 1)
    }

    private mutating func grow() {
        index = [Int32](repeating: 0, count: index.count * 2)
        for slot in slots.indices where slots[slot].id != 0 { place(slot) }
    }

    mutating func remove(_ slot: Int) {
        let id = slots[slot].id
        let mask = index.count - 1
        var hole = home(id)
        while index[hole] != Int32(slot + 1) { hole = (hole + 1) & mask }
        // What follows moves up when its own place is not after the hole.
        var scan = (hole + 1) & mask
        while index[scan] != 0 {
            let wanted = home(slots[Int(index[scan] - 1)].id)
            if (scan - wanted) & mask >= (scan - hole) & mask {
                index[hole] = index[scan]
                hole = scan
            }
            scan = (scan + 1) & mask
        }
        index[hole] = 0
        slots[slot].id = 0
        free.append(slot)
        count -= 1
    }

    /// Adds to every stream's send window; false when one would overflow.
    mutating func changeSendWindows(by change: Int) -> Bool {
        for slot in slots.indices where slots[slot].id != 0 {
            slots[slot].sendWindow += change
            if slots[slot].sendWindow > HTTP2Settings.windowMax { return false }
        }
        return true
    }
}
