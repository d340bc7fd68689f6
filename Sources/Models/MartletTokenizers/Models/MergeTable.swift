// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Which pairs of tokens join, how early, and to what: an open-addressed table, at most half full.
struct MergeTable: Sendable {
    private var keys: [UInt64]
    private var values: [UInt64]
    private var mask: Int
    /// How many merges there are; ranks are below this.
    let count: Int
    /// Whether every pair joins later than anything that makes its parts: merging a pair then never
    /// brings up one that should have come before it.
    let isOrdered: Bool
    private static let free = UInt64.max

    /// - Parameter merges: pairs in the order in which they were learnt; of equal pairs the later
    ///   wins.
    init(_ merges: [(left: Int32, right: Int32, merged: Int32)]) {
        var capacity = 16
        while capacity < merges.count * 2 { capacity *= 2 }
        keys = Array(repeating: MergeTable.free, count: capacity)
        values = Array(repeating: 0, count: capacity)
        mask = capacity - 1
        count = merges.count
        isOrdered = MergeTable.isOrdered(merges)
        for (rank, merge) in merges.enumerated() {
            let key = MergeTable.key(merge.left, merge.right)
            var slot = MergeTable.spread(key) & mask
            while keys[slot] != MergeTable.free, keys[slot] != key { slot = (slot + 1) & mask }
            keys[slot] = key
            values[slot] =
                UInt64(rank) << 32 | UInt64(UInt32(bitPattern: merge.merged))
        }
    }

    private static func isOrdered(
        _ merges: [(left: Int32, right: Int32, merged: Int32)]
    ) -> Bool {
        var lastRank: [Int32: Int] = [:]
        lastRank.reserveCapacity(merges.count)
        for (rank, merge) in merges.enumerated() { lastRank[merge.merged] = rank }
        return merges.enumerated().allSatisfy { rank, merge in
            lastRank[merge.left] ?? -1 < rank && lastRank[merge.right] ?? -1 < rank
        }
    }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private static func spread(_ key: UInt64) -> Int {
        let mixed = (key ^ (key >> 32)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 20)
    }

    /// `rank << 32 | merged id` of a pair; `none` where it does not join.
    @inline(__always)
    func find(_ left: Int32, _ right: Int32) -> UInt64 {
        let key = MergeTable.key(left, right)
        let keys = keys.span
        var slot = MergeTable.spread(key) & mask
        while keys[slot] != MergeTable.free {
            if keys[slot] == key { return values[slot] }
            slot = (slot + 1) & mask
        }
        return MergeTable.none
    }

    static let none = UInt64.max
}
