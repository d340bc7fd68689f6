// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A tree of byte strings: one hash table of edges.
struct TokenTrie: Sendable {
    static let root: UInt32 = 0

    private var slots: [UInt64]
    private var mask: Int
    private var edgeCount = 0
    /// The id of the string that ends at each node; -1 where none does.
    private var ids: [Int32] = [-1]

    init(_ tokens: [(content: [UInt8], id: Int32)]) {
        slots = Array(repeating: 0, count: 1024)
        mask = 1023
        for (content, id) in tokens where !content.isEmpty { insert(content, id) }
    }

    private mutating func insert(_ content: [UInt8], _ id: Int32) {
        var node = TokenTrie.root
        for byte in content {
            if let child = child(of: node, byte) {
                node = child
                continue
            }
            ids.append(-1)
            let child = UInt32(ids.count - 1)
            edgeCount += 1
            if edgeCount * 2 > slots.count { grow() }
            place(TokenTrie.key(node, byte) << 32 | UInt64(child))
            node = child
        }
        ids[Int(node)] = id
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: 0, count: old.count * 2)
        mask = slots.count - 1
        for entry in old where entry != 0 { place(entry) }
    }

    private mutating func place(_ entry: UInt64) {
        var slot = TokenTrie.spread(entry >> 32) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = entry
    }

    /// Nodes stay below 2^24, so that node and byte fit 32 bits.
    private static func key(_ node: UInt32, _ byte: UInt8) -> UInt64 {
        UInt64(node & 0xFF_FFFF) << 8 | UInt64(byte)
    }

    @inline(__always)
    private static func spread(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 24)
    }

    @inline(__always)
    func child(of node: UInt32, _ byte: UInt8) -> UInt32? {
        let key = TokenTrie.key(node, byte)
        var slot = TokenTrie.spread(key) & mask
        while slots[slot] != 0 {
            if slots[slot] >> 32 == key { return UInt32(truncatingIfNeeded: slots[slot]) }
            slot = (slot + 1) & mask
        }
        return nil
    }

    @inline(__always)
    func id(at node: UInt32) -> Int32? {
        let id = ids[Int(node)]
        return id < 0 ? nil : id
    }
}
