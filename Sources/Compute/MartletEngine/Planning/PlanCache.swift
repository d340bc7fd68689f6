// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Plans by input shapes, the least recently used dropped first. A dropped plan lives on in the
/// contexts that run it.
struct PlanCache {
    let countMax: Int
    let byteCountMax: Int
    /// The largest arena of any plan so far.
    private(set) var arenaByteCountMax = 0
    /// The least recently used first.
    private var plans: [Plan] = []
    private var byteCount = 0

    init(countMax: Int, byteCountMax: Int) {
        self.countMax = countMax
        self.byteCountMax = byteCountMax
    }

    var count: Int { plans.count }

    /// The plan that fits, which becomes the most recently used.
    mutating func find(_ fits: (Plan) -> Bool) -> Plan? {
        guard let index = plans.lastIndex(where: fits) else { return nil }
        if index != plans.count - 1 { plans.append(plans.remove(at: index)) }
        return plans.last
    }

    mutating func insert(_ plan: Plan) {
        plans.append(plan)
        byteCount += plan.byteCount
        arenaByteCountMax = max(arenaByteCountMax, plan.arenaByteCount)
        while plans.count > 1, plans.count > countMax || byteCount > byteCountMax {
            byteCount -= plans.removeFirst().byteCount
        }
    }
}
