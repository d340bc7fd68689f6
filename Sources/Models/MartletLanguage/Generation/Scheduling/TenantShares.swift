// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How much of the model each tenant has had, so that those who had least go first.
///
/// Algorithm: virtual token counters (Sheng et al.: Fairness in Serving Large Language Models,
/// 2024). A tenant that comes back starts level with the least of those who wait, or with who went
/// last where nobody does: being away saves nothing up, and what was had while nobody else wanted
/// it is not held against anyone. The level that newcomers start from only rises.
///
/// Cost: `enter` looks at the names of those who wait; the rest takes constant time. Memory: a name
/// for each tenant that has requests, and for at most `tenantCountMax` others.
package struct TenantShares: Sendable {
    private struct Account {
        var charged: Double
        /// Requests that wait or run.
        var active = 0
    }

    private var accounts: [String: Account] = [:]
    /// Where newcomers start.
    private var level = 0.0
    /// Who was admitted last.
    private var last: String?
    /// Accounts with requests.
    private var activeCount = 0

    /// Generated tokens count more: each takes a pass of its own.
    package static let generatedWeight = 2.0
    package static let tenantCountMax = 4096

    package init() {}

    /// Enters a request that waits.
    /// - Parameter waiting: the tenants of those that wait already.
    package mutating func enter(_ tenant: String, waiting: some Sequence<String>) {
        var least: Double?
        for other in waiting { least = min(least ?? .infinity, share(of: other)) }
        if least == nil, let last { least = share(of: last) }
        level = max(level, least ?? 0)
        join(tenant)
        let charged = max(share(of: tenant), level)
        accounts[tenant]?.charged = charged
    }

    /// Enters a request that runs at once, as part of one that does.
    package mutating func join(_ tenant: String) {
        var account = accounts[tenant] ?? Account(charged: level)
        if account.active == 0 { activeCount += 1 }
        account.active += 1
        accounts[tenant] = account
    }

    /// Enters that a request of this tenant is the next to run.
    package mutating func admit(_ tenant: String) { last = tenant }

    package mutating func leave(_ tenant: String) {
        guard var account = accounts[tenant], account.active > 0 else { return }
        account.active -= 1
        accounts[tenant] = account
        guard account.active == 0 else { return }
        activeCount -= 1
        if activeCount == 0 {
            // Nobody is there to be compared with: whoever comes next begins level.
            level = max(level, accounts.values.lazy.map(\.charged).max() ?? 0)
            accounts = [:]
            last = nil
        } else if account.charged <= level {
            forget(tenant)
        } else if accounts.count - activeCount > TenantShares.tenantCountMax {
            forgetHalf()
        }
    }

    private mutating func forget(_ tenant: String) {
        accounts[tenant] = nil
        if last == tenant { last = nil }
    }

    /// Forgives the half of the absent that had least.
    private mutating func forgetHalf() {
        let absent = accounts.filter { $0.value.active == 0 }
            .sorted { ($0.value.charged, $0.key) < ($1.value.charged, $1.key) }
        for (tenant, _) in absent.prefix(absent.count / 2 + 1) { forget(tenant) }
    }

    package mutating func charge(_ tenant: String, _ cost: Double) {
        accounts[tenant]?.charged += cost
    }

    package func share(of tenant: String) -> Double { accounts[tenant]?.charged ?? level }

    /// Names that are kept.
    package var count: Int { accounts.count }
}
