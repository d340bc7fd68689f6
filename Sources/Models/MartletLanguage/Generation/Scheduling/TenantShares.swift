// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How much of the model each tenant has had, so that those who had least go first.
///
/// Algorithm: virtual token counters (Sheng et al.: Fairness in Serving Large Language Models,
/// 2024). A tenant that comes back starts level with the least of those who are there: being away
/// saves nothing up.
struct TenantShares: Sendable {
    private var charged: [String: Double] = [:]
    private var active: [String: Int] = [:]

    /// Generated tokens count more: each takes a pass of its own.
    static let generatedWeight = 2.0
    private static let tenantCountMax = 4096

    mutating func enter(_ tenant: String) {
        if active[tenant, default: 0] == 0 {
            let least = active.keys.compactMap { charged[$0] }.min() ?? 0
            charged[tenant] = max(charged[tenant] ?? 0, least)
        }
        active[tenant, default: 0] += 1
    }

    mutating func leave(_ tenant: String) {
        guard let count = active[tenant] else { return }
        active[tenant] = count > 1 ? count - 1 : nil
        if count == 1, charged.count > TenantShares.tenantCountMax { charged[tenant] = nil }
    }

    mutating func charge(_ tenant: String, _ cost: Double) {
        charged[tenant, default: 0] += cost
    }

    func share(of tenant: String) -> Double { charged[tenant] ?? 0 }
}
