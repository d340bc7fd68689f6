// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A word's symbols while they are being merged.
///
/// Short words are merged by looking for the best pair each time; long ones over a linked list,
/// rank by rank, or with a heap where the merges are in no order that allows it. All join the pair
/// of lowest rank, the leftmost of equals.
struct SymbolList: Sendable {
    private static let shortMax = 48

    private var ids: [Int32] = []
    /// `rank << 32 | merged id` of each symbol with the next.
    private var joins: [UInt64] = []
    private var next: [Int32] = []
    private var previous: [Int32] = []
    private var heap: [Candidate] = []

    private struct Candidate: Sendable {
        /// Rank, then position: the order in which pairs join.
        var order: UInt64
        var left: Int32
        var right: Int32
        var merged: Int32
    }

    init() {}

    mutating func removeAll() {
        ids.removeAll(keepingCapacity: true)
    }

    @inline(__always)
    mutating func append(_ id: Int32) {
        ids.append(id)
    }

    /// Merges the symbols and appends what is left of them to `result`.
    mutating func merge(with merges: MergeTable, into result: inout [Int32]) {
        if ids.count <= SymbolList.shortMax {
            mergeShort(merges)
            result.append(contentsOf: ids)
        } else {
            mergeLong(merges)
            var index = 0
            while index >= 0 {
                result.append(ids[index])
                index = Int(next[index])
            }
        }
    }

    private mutating func mergeShort(_ merges: MergeTable) {
        guard ids.count > 1 else { return }
        joins.removeAll(keepingCapacity: true)
        for index in 0..<ids.count - 1 { joins.append(merges.find(ids[index], ids[index + 1])) }
        while true {
            var best = MergeTable.none
            var at = -1
            for index in 0..<joins.count where joins[index] >> 32 < best >> 32 {
                best = joins[index]
                at = index
            }
            guard at >= 0 else { return }
            ids[at] = Int32(truncatingIfNeeded: best)
            ids.remove(at: at + 1)
            joins.remove(at: at)
            if at < joins.count { joins[at] = merges.find(ids[at], ids[at + 1]) }
            if at > 0 { joins[at - 1] = merges.find(ids[at - 1], ids[at]) }
        }
    }

    private mutating func mergeLong(_ merges: MergeTable) {
        let count = ids.count
        next.removeAll(keepingCapacity: true)
        previous.removeAll(keepingCapacity: true)
        for index in 0..<count {
            next.append(index + 1 < count ? Int32(index + 1) : -1)
            previous.append(Int32(index - 1))
        }
        if merges.isOrdered { mergeByRank(merges) } else { mergeByHeap(merges) }
    }

    /// Joins the symbol at `left` with the one after it.
    @inline(__always)
    private mutating func join(_ left: Int, to merged: Int32) {
        let right = Int(next[left])
        ids[left] = merged
        ids[right] = -1
        next[left] = next[right]
        if next[left] >= 0 { previous[Int(next[left])] = Int32(truncatingIfNeeded: left) }
    }

    /// Takes the ranks in order, each with all its places from left to right. Linear, but for the
    /// order of the ranks that occur.
    private mutating func mergeByRank(_ merges: MergeTable) {
        var places = RankedPlaces(rankCount: merges.count)
        func add(_ left: Int, _ right: Int32, to places: inout RankedPlaces) {
            guard left >= 0, right >= 0 else { return }
            let found = merges.find(ids[left], ids[Int(right)])
            guard found != MergeTable.none else { return }
            places.add(left, rank: Int(found >> 32))
        }
        for left in 0..<ids.count - 1 { add(left, Int32(left + 1), to: &places) }
        while let (rank, lefts) = places.popLowest() {
            for left in lefts {
                let place = Int(left)
                guard ids[place] >= 0, next[place] >= 0 else { continue }
                let found = merges.find(ids[place], ids[Int(next[place])])
                guard found != MergeTable.none, Int(found >> 32) == rank else { continue }
                join(place, to: Int32(truncatingIfNeeded: found))
                add(place, next[place], to: &places)
                add(Int(previous[place]), left, to: &places)
            }
        }
    }

    private mutating func mergeByHeap(_ merges: MergeTable) {
        heap.removeAll(keepingCapacity: true)
        let count = ids.count
        for index in 0..<count - 1 { addCandidate(Int32(index), Int32(index + 1), merges) }
        heap.sort { $0.order < $1.order }
        while let best = popCandidate() {
            // A symbol that was merged since has another id, or is gone (-1).
            let left = Int(best.left)
            let right = Int(best.right)
            guard next[left] == best.right, ids[left] >= 0, ids[right] >= 0,
                Int32(truncatingIfNeeded: merges.find(ids[left], ids[right])) == best.merged,
                merges.find(ids[left], ids[right]) >> 32 == best.order >> 32
            else { continue }
            join(left, to: best.merged)
            if next[left] >= 0 { pushCandidate(best.left, next[left], merges) }
            if previous[left] >= 0 { pushCandidate(previous[left], best.left, merges) }
        }
        // A long word's buffers are not kept.
        if heap.capacity > 1 << 16 { heap = [] }
    }

    private mutating func addCandidate(_ left: Int32, _ right: Int32, _ merges: MergeTable) {
        let join = merges.find(ids[Int(left)], ids[Int(right)])
        guard join != MergeTable.none else { return }
        heap.append(
            Candidate(
                order: (join & ~0xFFFF_FFFF) | UInt64(UInt32(bitPattern: left)), left: left,
                right: right, merged: Int32(truncatingIfNeeded: join)))
    }

    private mutating func pushCandidate(_ left: Int32, _ right: Int32, _ merges: MergeTable) {
        let count = heap.count
        addCandidate(left, right, merges)
        guard heap.count > count else { return }
        var child = count
        while child > 0 {
            let parent = (child - 1) / 2
            if heap[parent].order <= heap[child].order { break }
            heap.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func popCandidate() -> Candidate? {
        guard let best = heap.first, let last = heap.popLast() else { return nil }
        if heap.isEmpty { return best }
        heap[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            if child >= heap.count { break }
            if child + 1 < heap.count, heap[child + 1].order < heap[child].order { child += 1 }
            if heap[parent].order <= heap[child].order { break }
            heap.swapAt(parent, child)
            parent = child
        }
        return best
    }
}
