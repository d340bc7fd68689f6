// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Hands out the blocks of a paged key-value cache, counts who uses them, and finds blocks that
/// hold the beginning of a new sequence already.
///
/// Full blocks form a tree for each namespace: a block's parent holds the tokens before it. A block
/// that nobody uses stays in the tree, last released first kept, until its memory is needed.
/// Sequences release their last block first and whoever uses a block uses its parent, so that the
/// block unused for longest is always a leaf. All operations are O(1) a block.
package struct BlockPool: Sendable {
    package let blockLength: Int
    package let blockCount: Int

    /// Sequences that hold each block.
    private(set) var users: [Int32]
    /// The block before, or the root (-1 - its number); only of blocks in the tree.
    private var parents: [Int32]
    private var hashes: [UInt64]
    private var isInTree: [Bool]
    /// Each tree block's tokens, `blockLength` apiece.
    private var contents: [Int32]
    private var tree: [Edge: Int32] = [:]
    private var free: [Int32]
    /// Tree blocks without users, the longest unused first; `blockCount` is the ring's anchor.
    private var next: [Int32]
    private var previous: [Int32]
    private(set) var idleCount = 0
    private var roots: [CacheNamespace: Int32] = [:]
    private var rootRecords: [RootRecord] = []
    private var freeRoots: [Int32] = []

    private struct Edge: Hashable {
        var parent: Int32
        var hash: UInt64
    }

    private struct RootRecord {
        var namespace: CacheNamespace
        /// Open sequences and tree blocks directly below.
        var users = 0
    }

    package init(blockCount: Int, blockLength: Int) {
        precondition(blockCount >= 0 && blockCount < Int32.max && blockLength > 0)
        self.blockCount = blockCount
        self.blockLength = blockLength
        users = Array(repeating: 0, count: blockCount)
        parents = Array(repeating: 0, count: blockCount)
        hashes = Array(repeating: 0, count: blockCount)
        isInTree = Array(repeating: false, count: blockCount)
        contents = Array(repeating: 0, count: blockCount * blockLength)
        free = (0..<Int32(blockCount)).reversed()
        next = Array(repeating: Int32(blockCount), count: blockCount + 1)
        previous = next
    }

    /// Blocks that can be had: free, or cached and used by nobody.
    package var availableCount: Int { free.count + idleCount }
    /// Blocks that running sequences hold.
    package var usedCount: Int { blockCount - availableCount }

    package func blocksNeeded(for tokenCount: Int) -> Int {
        (tokenCount + blockLength - 1) / blockLength
    }

    // MARK: Sequences

    package mutating func open(_ namespace: CacheNamespace) -> SequenceBlocks {
        let root: Int32
        if let known = roots[namespace] {
            root = known
        } else if let number = freeRoots.popLast() {
            root = -1 - number
            rootRecords[Int(number)] = RootRecord(namespace: namespace)
            roots[namespace] = root
        } else {
            root = -1 - Int32(rootRecords.count)
            rootRecords.append(RootRecord(namespace: namespace))
            roots[namespace] = root
        }
        rootRecords[Int(-1 - root)].users += 1
        return SequenceBlocks(root: root)
    }

    /// Takes cached blocks for the beginning of `tokens`, at most for `limit` tokens. The sequence
    /// must be empty.
    /// - Returns: how many tokens need not be computed.
    package mutating func reuse(
        _ sequence: inout SequenceBlocks, tokens: [Int32], limit: Int
    ) -> Int {
        precondition(sequence.blocks.isEmpty)
        var parent = sequence.root
        var start = 0
        while start + blockLength <= min(limit, tokens.count),
            let block = find(tokens, start, under: parent)
        {
            retain(block)
            sequence.blocks.append(block)
            parent = block
            start += blockLength
        }
        sequence.sharedCount = sequence.blocks.count
        return start
    }

    /// How many leading tokens `reuse` would find, and how many of their blocks nobody uses now.
    package func reusable(
        _ namespace: CacheNamespace, tokens: [Int32], limit: Int
    ) -> (tokenCount: Int, idleBlocks: Int) {
        guard var parent = roots[namespace] else { return (0, 0) }
        var start = 0
        var idle = 0
        while start + blockLength <= min(limit, tokens.count),
            let block = find(tokens, start, under: parent)
        {
            if users[Int(block)] == 0 { idle += 1 }
            parent = block
            start += blockLength
        }
        return (start, idle)
    }

    /// Gives the sequence blocks for `tokenCount` tokens, all or none.
    package mutating func reserve(_ sequence: inout SequenceBlocks, tokenCount: Int) -> Bool {
        let missing = blocksNeeded(for: tokenCount) - sequence.blocks.count
        guard missing > 0 else { return true }
        guard missing <= availableCount else { return false }
        for _ in 0..<missing { sequence.blocks.append(takeBlock()) }
        return true
    }

    /// Blocks from `position` on that others hold too are exchanged for copies of their own.
    /// - Returns: false, and nothing changed, when there are not enough blocks.
    package mutating func makeWritable(
        _ sequence: inout SequenceBlocks, from position: Int,
        copies: inout [(from: Int32, to: Int32)]
    ) -> Bool {
        let first = position / blockLength
        guard first < sequence.blocks.count else { return true }
        let places = (first..<sequence.blocks.count).filter {
            users[Int(sequence.blocks[$0])] > 1
        }
        guard places.count <= availableCount else { return false }
        for place in places {
            let old = sequence.blocks[place]
            let new = takeBlock()
            copies.append((old, new))
            release(old)
            sequence.blocks[place] = new
        }
        return true
    }

    /// A second holder of the same blocks.
    package mutating func fork(_ sequence: SequenceBlocks) -> SequenceBlocks {
        for block in sequence.blocks { users[Int(block)] += 1 }
        rootRecords[Int(-1 - sequence.root)].users += 1
        return sequence
    }

    /// Puts the blocks that the first `computed` tokens fill into the tree. Where the tree has such
    /// a block already, the sequence takes that and gives its own back: rows do not depend on their
    /// company, so that both hold the same.
    package mutating func commit(
        _ sequence: inout SequenceBlocks, tokens: [Int32], computed: Int
    ) {
        while (sequence.sharedCount + 1) * blockLength <= computed {
            let place = sequence.sharedCount
            let parent = place == 0 ? sequence.root : sequence.blocks[place - 1]
            let start = place * blockLength
            let own = sequence.blocks[place]
            let hash = hash(tokens, start)
            if let known = tree[Edge(parent: parent, hash: hash)] {
                // Another content under the same hash: this sequence's blocks stay its own.
                guard known != own, holds(known, tokens, start) else { return }
                retain(known)
                release(own)
                sequence.blocks[place] = known
            } else {
                guard users[Int(own)] == 1 else { return }
                insert(own, under: parent, hash: hash, tokens, start)
            }
            sequence.sharedCount += 1
        }
    }

    /// Gives all blocks back; what is in the tree stays there for others.
    package mutating func close(_ sequence: inout SequenceBlocks) {
        for block in sequence.blocks.reversed() { release(block) }
        sequence.blocks = []
        sequence.sharedCount = 0
        leaveRoot(sequence.root)
    }

    /// Gives blocks back as `close` does, but stays in the namespace.
    package mutating func empty(_ sequence: inout SequenceBlocks) {
        for block in sequence.blocks.reversed() { release(block) }
        sequence.blocks = []
        sequence.sharedCount = 0
    }

    // MARK: Blocks

    private mutating func takeBlock() -> Int32 {
        if let block = free.popLast() {
            users[Int(block)] = 1
            return block
        }
        let block = next[blockCount]
        precondition(Int(block) < blockCount, "a block is taken where none is available")
        unlink(block)
        removeFromTree(block)
        users[Int(block)] = 1
        return block
    }

    private mutating func retain(_ block: Int32) {
        if users[Int(block)] == 0 { unlink(block) }
        users[Int(block)] += 1
    }

    private mutating func release(_ block: Int32) {
        users[Int(block)] -= 1
        guard users[Int(block)] == 0 else { return }
        if isInTree[Int(block)] { link(block) } else { free.append(block) }
    }

    private mutating func link(_ block: Int32) {
        let anchor = blockCount
        let last = previous[anchor]
        next[Int(last)] = block
        previous[Int(block)] = last
        next[Int(block)] = Int32(anchor)
        previous[anchor] = block
        idleCount += 1
    }

    private mutating func unlink(_ block: Int32) {
        let (before, after) = (previous[Int(block)], next[Int(block)])
        next[Int(before)] = after
        previous[Int(after)] = before
        idleCount -= 1
    }

    // MARK: Tree

    private mutating func insert(
        _ block: Int32, under parent: Int32, hash: UInt64, _ tokens: [Int32], _ start: Int
    ) {
        tree[Edge(parent: parent, hash: hash)] = block
        parents[Int(block)] = parent
        hashes[Int(block)] = hash
        isInTree[Int(block)] = true
        for offset in 0..<blockLength {
            contents[Int(block) * blockLength + offset] = tokens[start + offset]
        }
        if parent < 0 { rootRecords[Int(-1 - parent)].users += 1 }
    }

    private mutating func removeFromTree(_ block: Int32) {
        let parent = parents[Int(block)]
        tree[Edge(parent: parent, hash: hashes[Int(block)])] = nil
        isInTree[Int(block)] = false
        if parent < 0 { leaveRoot(parent) }
    }

    private mutating func leaveRoot(_ root: Int32) {
        let number = Int(-1 - root)
        rootRecords[number].users -= 1
        guard rootRecords[number].users == 0 else { return }
        roots[rootRecords[number].namespace] = nil
        freeRoots.append(Int32(number))
    }

    private func find(_ tokens: [Int32], _ start: Int, under parent: Int32) -> Int32? {
        guard let block = tree[Edge(parent: parent, hash: hash(tokens, start))],
            holds(block, tokens, start)
        else { return nil }
        return block
    }

    private func holds(_ block: Int32, _ tokens: [Int32], _ start: Int) -> Bool {
        let place = Int(block) * blockLength
        for offset in 0..<blockLength where contents[place + offset] != tokens[start + offset] {
            return false
        }
        return true
    }

    private func hash(_ tokens: [Int32], _ start: Int) -> UInt64 {
        var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
        for index in start..<start + blockLength {
            hash = (hash ^ UInt64(UInt32(bitPattern: tokens[index]))) &* 0xBF58_476D_1CE4_E5B9
            hash ^= hash >> 29
        }
        return hash
    }

    // MARK: Checking

    /// What is wrong with the pool's own books, given who holds blocks; nil when nothing is.
    /// For simulations: O(blocks).
    package func inconsistency(holders: [SequenceBlocks]) -> String? {
        var counted = [Int32](repeating: 0, count: blockCount)
        for holder in holders { for block in holder.blocks { counted[Int(block)] += 1 } }
        if let block = counted.indices.first(where: { counted[$0] != users[$0] }) {
            return "block \(block) has \(users[block]) users, \(counted[block]) hold it"
        }
        var seen = [Bool](repeating: false, count: blockCount)
        for block in free {
            if seen[Int(block)] { return "block \(block) is free twice" }
            if users[Int(block)] != 0 || isInTree[Int(block)] {
                return "block \(block) is free and in use"
            }
            seen[Int(block)] = true
        }
        var position = [Int32: Int]()
        var block = next[blockCount]
        while Int(block) < blockCount {
            if seen[Int(block)] { return "block \(block) is idle twice or free" }
            seen[Int(block)] = true
            if users[Int(block)] != 0 || !isInTree[Int(block)] {
                return "block \(block) is idle and in use"
            }
            position[block] = position.count
            block = next[Int(block)]
        }
        if position.count != idleCount { return "\(position.count) idle, counted \(idleCount)" }
        for block in 0..<blockCount where isInTree[block] {
            let parent = parents[block]
            if parent >= 0, !isInTree[Int(parent)] { return "block \(block) lost its parent" }
            if let own = position[Int32(block)], parent >= 0, let above = position[parent],
                above < own
            {
                return "block \(block) would outlive its parent \(parent)"
            }
        }
        for block in 0..<blockCount where users[block] == 0 && !seen[block] {
            return "block \(block) has leaked"
        }
        return nil
    }
}
