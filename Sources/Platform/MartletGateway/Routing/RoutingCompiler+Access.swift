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
        var certificates: [String: String] = [:]
        for key in access.keys {
            for name in key.certificates {
                if let other = certificates.updateValue(key.name, forKey: name) {
                    problems.add(
                        "keys '\(other)' and '\(key.name)' have the same certificate",
                        at: key.position)
                }
            }
            if !key.certificates.isEmpty, configuration.listen.clientAuthorities == nil {
                problems.add(
                    "key '\(key.name)' goes by a client certificate, and listen has no client_ca",
                    at: key.position)
            }
        }
        var issuers: Set<String> = []
        for issuer in access.issuers where !issuers.insert(issuer.policy.issuer).inserted {
            problems.add(
                "two jwt sections are for the issuer '\(issuer.policy.issuer)'",
                at: issuer.position)
        }
        for digest in access.adminDigests where owners[digest] != nil {
            warnings.append("the admin API's secret is also a client's")
        }
    }
}
