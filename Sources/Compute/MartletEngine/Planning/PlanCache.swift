// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a kept plan costs.
package protocol PlanFootprint {
    var byteCount: Int { get }
    var arenaByteCount: Int { get }
}

/// Plans by input shapes, the least recently used dropped first. A dropped plan lives on in the
/// contexts that run it.
package struct PlanCache<Kept: PlanFootprint> {
    let countMax: Int
    let byteCountMax: Int
    /// The largest arena of any plan so far.
    package private(set) var arenaByteCountMax = 0
    /// The least recently used first.
    private var plans: [Kept] = []
    private var byteCount = 0

    package init(countMax: Int, byteCountMax: Int) {
        self.countMax = countMax
        self.byteCountMax = byteCountMax
    }

    package var count: Int { plans.count }

    /// The plan that fits, which becomes the most recently used.
    package mutating func find(_ fits: (Kept) -> Bool) -> Kept? {
        guard let index = plans.lastIndex(where: fits) else { return nil }
        if index != plans.count - 1 { plans.append(plans.remove(at: index)) }
        return plans.last
    }

    package mutating func insert(_ plan: Kept) {
        plans.append(plan)
        byteCount += plan.byteCount
        arenaByteCountMax = max(arenaByteCountMax, plan.arenaByteCount)
        while plans.count > 1, plans.count > countMax || byteCount > byteCountMax {
            byteCount -= plans.removeFirst().byteCount
        }
    }
}

extension Plan: PlanFootprint {}
