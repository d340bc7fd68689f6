// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Places of a long word by the rank at which they join: a list per rank, lowest rank first.
struct RankedPlaces {
    /// The newest entry of each rank's list; -1 is none.
    private var heads: [Int32]
    private var places: [Int32] = []
    private var older: [Int32] = []
    /// The ranks whose lists are not empty: a binary heap.
    private var ranks: [Int32] = []

    init(rankCount: Int) {
        heads = Array(repeating: -1, count: rankCount)
    }

    mutating func add(_ place: Int, rank: Int) {
        if heads[rank] < 0 { push(Int32(truncatingIfNeeded: rank)) }
        places.append(Int32(truncatingIfNeeded: place))
        older.append(heads[rank])
        heads[rank] = Int32(truncatingIfNeeded: places.count - 1)
    }

    /// The lowest rank that has places, with these from left to right; they are gone afterwards.
    mutating func popLowest() -> (rank: Int, places: [Int32])? {
        guard let rank = pop() else { return nil }
        var found: [Int32] = []
        var entry = heads[Int(rank)]
        heads[Int(rank)] = -1
        while entry >= 0 {
            found.append(places[Int(entry)])
            entry = older[Int(entry)]
        }
        // Newest first is nearly sorted downwards: turned round, sorting is linear.
        found.reverse()
        found.sort()
        return (Int(rank), found)
    }

    private mutating func push(_ rank: Int32) {
        ranks.append(rank)
        var child = ranks.count - 1
        while child > 0, ranks[(child - 1) / 2] > ranks[child] {
            ranks.swapAt((child - 1) / 2, child)
            child = (child - 1) / 2
        }
    }

    private mutating func pop() -> Int32? {
        guard let lowest = ranks.first, let last = ranks.popLast() else { return nil }
        if ranks.isEmpty { return lowest }
        ranks[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            if child >= ranks.count { break }
            if child + 1 < ranks.count, ranks[child + 1] < ranks[child] { child += 1 }
            if ranks[parent] <= ranks[child] { break }
            ranks.swapAt(parent, child)
            parent = child
        }
        return lowest
    }
}
