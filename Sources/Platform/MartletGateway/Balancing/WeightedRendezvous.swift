// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Keys to members by their names, so that a member that goes takes only its own keys with it, one
/// that comes takes only what it is to have, and the order they are written in says nothing.
///
/// Each member has a number for each key, scaled by its weight; the highest wins. A member of twice
/// the weight has twice the keys, whoever else is there. Members that are not wanted are passed
/// over for the next highest, as in Mirrokni, Thorup and Zadimoghaddam, Consistent Hashing with
/// Bounded Loads (2018).
///
/// Source: Thaler and Ravishankar, Using Name-Based Mappings to Increase Hit Rates (1998); the
/// weights as in Schindelhauer and Schomaker, Weighted Distributed Hash Tables (2005). The same in
/// every gateway and every process. O(members), no allocation.
package struct WeightedRendezvous: Sendable {
    private let seeds: [UInt64]
    private let weights: [Double]

    /// Equal names are told apart by how often they have come.
    package init(names: [String], weights: [Int]) {
        var seen: [String: UInt64] = [:]
        seeds = names.map { name in
            let copy = seen[name, default: 0]
            seen[name] = copy + 1
            return StableHash.hash(name, salt: StableHash.mixed(copy &+ 0x6D61_7274))
        }
        self.weights = weights.map { Double(max($0, 1)) }
    }

    /// The member that the key belongs to among those that are wanted; nil when none is.
    package func first(_ key: UInt64, where isWanted: (Int) -> Bool) -> Int? {
        var best: Int?
        var most = -Double.infinity
        for member in seeds.indices where isWanted(member) {
            let bits = StableHash.mixed(seeds[member] ^ key)
            // 53 bits, never 0 and never 1.
            let even = (Double(bits >> 11) + 0.5) * 0x1p-53
            let score = weights[member] / -log(even)
            if score > most { (best, most) = (member, score) }
        }
        return best
    }
}
