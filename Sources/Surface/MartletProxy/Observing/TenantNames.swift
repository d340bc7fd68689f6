// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// The tenants that have accounts of their own. Tokens name whom they like: after so many, what
/// further ones use is counted together.
final class TenantNames: Sendable {
    static let other = "other"

    private let countMax: Int
    private let names = Mutex<Set<String>>([])

    init(countMax: Int = 10_000) { self.countMax = countMax }

    /// The name that a tenant's use is counted under.
    func counted(_ tenant: String) -> String {
        names.withLock { names in
            if names.contains(tenant) { return tenant }
            guard names.count < countMax else { return TenantNames.other }
            names.insert(tenant)
            return tenant
        }
    }
}
