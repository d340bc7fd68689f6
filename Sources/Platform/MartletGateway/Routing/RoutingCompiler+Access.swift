// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

extension RoutingCompiler {
    /// Keys must open something, each for one name, and belong to tenants that are there.
    mutating func checkAccess() {
        let access = configuration.access
        var owners: [Digest: String] = [:]
        let tenants = Set(access.tenants.map(\.name))
        for key in access.keys {
            for digest in key.digests {
                if let other = owners.updateValue(key.name, forKey: digest), other != key.name {
                    problems.add(
                        "keys '\(other)' and '\(key.name)' have the same secret", at: key.position)
                }
            }
            if let tenant = key.tenant, !tenants.isEmpty, !tenants.contains(tenant) {
                problems.add(
                    "key '\(key.name)' belongs to the unknown tenant '\(tenant)'"
                        + ProblemList.hint(tenant, among: tenants),
                    at: key.position)
            }
            for reference in key.models { _ = model(reference, "key '\(key.name)'") }
        }
        for digest in access.adminDigests where owners[digest] != nil {
            warnings.append("the admin API's secret is also a client's")
        }
    }
}
