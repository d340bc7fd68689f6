// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Keys to members so that a member that goes takes only its own keys with it.
///
/// Source: Karger and others, Consistent Hashing and Random Trees (1997); walked on past members
/// that have more than their share as in Mirrokni, Thorup and Zadimoghaddam, Consistent Hashing
/// with Bounded Loads (2018). O(log points) plus the members passed by.
package struct HashRing: Sendable {
    private static let pointsPerMember = 128
    private static let pointsMax = 65_536

    private let points: [UInt64]
    private let owners: [Int32]

    /// A member of twice the weight owns about twice the keys.
    package init(weights: [Int]) {
        guard !weights.isEmpty else {
            points = []
            owners = []
            return
        }
        let mean = Double(weights.reduce(0.0) { $0 + Double($1) }) / Double(weights.count)
        let per = Double(
            min(HashRing.pointsPerMember, max(HashRing.pointsMax / weights.count, 1)))
        var all: [(point: UInt64, owner: Int32)] = []
        for (member, weight) in weights.enumerated() {
            let share = Double(weight) / max(mean, 1)
            let count = max(1, Int((per * min(share, 64)).rounded()))
            for copy in 0..<count {
                // Numbered by member and copy, so that the ring is the same in every gateway.
                let point = StableHash.mixed(
                    UInt64(member) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(copy) &+ 1)
                all.append((point, Int32(truncatingIfNeeded: member)))
            }
        }
        all.sort { ($0.point, $0.owner) < ($1.point, $1.owner) }
        points = all.map(\.point)
        owners = all.map(\.owner)
    }

    /// The first member from the key's place on that is wanted; nil when none is.
    package func first(_ key: UInt64, where isWanted: (Int) -> Bool) -> Int? {
        guard !points.isEmpty else { return nil }
        var low = 0
        var high = points.count
        while low < high {
            let middle = (low + high) / 2
            if points[middle] < key { low = middle + 1 } else { high = middle }
        }
        for offset in 0..<points.count {
            let owner = Int(owners[(low + offset) % points.count])
            if isWanted(owner) { return owner }
        }
        return nil
    }
}
