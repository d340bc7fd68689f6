// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Remembers which members of a pool have seen which beginnings of prompts, so that a prompt goes
/// where its key-value cache is warm.
///
/// A radix tree over blocks of bytes, kept as a table: a node is the hash of all blocks up to it,
/// so a walk is one look-up per block, and a prompt's path needs no pointers. A collision of
/// hashes costs a warm cache, never a wrong answer. Bounded: the table has a fixed number of
/// nodes, and those not used lately go first (CLOCK). Choosing by the longest shared prefix unless
/// load forbids is what SGLang's cache-aware router does (Zheng and others, 2024).
///
/// A value; O(blocks) per prompt, at most `blocksMax`; nothing is allocated after `init`.
package struct PrefixIndex: Sendable {
    /// Members are bits of a word.
    package static let membersMax = 64

    private struct Node {
        var hash: UInt64 = 0
        var members: UInt64 = 0
        var isUsed = false
    }

    package let blockBytes: Int
    package let blocksMax: Int
    package let capacity: Int
    private var nodes: [Node]
    private var places: [UInt64: Int32]
    private var hand = 0
    package private(set) var count = 0

    package init(capacity: Int = 65_536, blockBytes: Int = 256, blocksMax: Int = 256) {
        self.capacity = min(max(capacity, 1), Int(Int32.max))
        self.blockBytes = max(blockBytes, 1)
        self.blocksMax = max(blocksMax, 1)
        nodes = Array(repeating: Node(), count: self.capacity)
        places = [:]
        places.reserveCapacity(self.capacity)
    }

    /// The longest beginning that any member has seen, in blocks, and a bit for each member that
    /// has.
    package mutating func match(
        _ prompt: Span<UInt8>, salt: UInt64
    ) -> (blocks: Int, members: UInt64) {
        var hash = salt
        var members = UInt64.max
        var blocks = 0
        while let next = nextHash(hash, prompt, block: blocks), let place = places[next] {
            let seen = nodes[Int(place)].members & members
            guard seen != 0 else { break }
            nodes[Int(place)].isUsed = true
            members = seen
            hash = next
            blocks += 1
        }
        return (blocks, blocks == 0 ? 0 : members)
    }

    /// Notes that a member has seen a prompt. `salt` tells models apart.
    package mutating func insert(_ prompt: Span<UInt8>, salt: UInt64, member: Int) {
        guard (0..<PrefixIndex.membersMax).contains(member) else { return }
        var hash = salt
        var block = 0
        while let next = nextHash(hash, prompt, block: block) {
            if let place = places[next] {
                nodes[Int(place)].members |= 1 << UInt64(member)
                nodes[Int(place)].isUsed = true
            } else {
                add(next, member)
            }
            hash = next
            block += 1
        }
    }

    /// Forgets all that a member has seen: it was restarted.
    package mutating func forget(member: Int) {
        guard (0..<PrefixIndex.membersMax).contains(member) else { return }
        for index in nodes.indices { nodes[index].members &= ~(1 << UInt64(member)) }
    }

    /// The hash up to and with a whole block; nil behind the last.
    private func nextHash(_ hash: UInt64, _ prompt: Span<UInt8>, block: Int) -> UInt64? {
        let end = (block + 1) * blockBytes
        guard block < blocksMax, end <= prompt.count else { return nil }
        return StableHash.hash(prompt.extracting((end - blockBytes)..<end), salt: hash)
    }

    private mutating func add(_ hash: UInt64, _ member: Int) {
        let place: Int
        if count < capacity {
            place = count
            count += 1
        } else {
            while nodes[hand].isUsed {
                nodes[hand].isUsed = false
                hand = (hand + 1) % capacity
            }
            place = hand
            hand = (hand + 1) % capacity
            places[nodes[place].hash] = nil
        }
        // New nodes must be asked for once before they outlive those that were.
        nodes[place] = Node(hash: hash, members: 1 << UInt64(member), isUsed: false)
        places[hash] = Int32(place)
    }
}

extension PoolState {
    /// The member to prefer for a prompt: of those that have seen most of it, the least loaded; nil
    /// when too little of it has been seen for that to matter.
    package func warmest(
        _ match: (blocks: Int, members: UInt64), at now: MonotonicInstant
    ) -> Int? {
        guard match.blocks > 0 else { return nil }
        var best: (member: Int, load: Double)?
        for member in 0..<min(members.count, PrefixIndex.membersMax)
        where match.members & (1 << UInt64(member)) != 0 && members[member].isUp {
            let load = load(member, at: now)
            if load < best?.load ?? .infinity { best = (member, load) }
        }
        return best?.member
    }
}
