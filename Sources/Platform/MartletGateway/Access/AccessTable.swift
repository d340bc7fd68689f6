// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
package import MartletResilience

/// Who has which secret. Secrets are looked up by their SHA-256, compared in constant time, and
/// kept nowhere.
package struct AccessTable: Sendable {
    package struct Key: Sendable {
        package var name: String
        package var tenant: String?
        /// Numbers of the models that it may use; nil: all.
        package var models: Set<Int>?
        package var expires: Int64?
        package var budget: BudgetPolicy?
        package var priority: RequestPriority?
        package var priorityMax: RequestPriority?
    }

    package enum Answer: Sendable, Hashable {
        /// The number of the key.
        case known(Int)
        case expired
        case unknown
    }

    package let requiresKey: Bool
    package struct Issuer: Sendable {
        package var verifier: TokenVerifier
        /// The number of the key that its tokens count as.
        package var key: Int
        package var source: AccessConfiguration.TokenIssuer.Source
        package var refresh: Duration
    }

    /// Those of the file, then one for each issuer of tokens.
    package let keys: [Key]
    package let issuers: [Issuer]
    package let modelIndex: [String: Int]
    /// Tenants that there are; empty: any.
    package let tenants: Set<String>
    package let tenantPriorities: [String: RequestPriority]
    package let tenantBudgets: [String: BudgetPolicy]
    package let hasBudgets: Bool
    private let certificateOwners: [String: Int]
    private let owners: [Digest: Int]
    private let adminDigests: [Digest]

    package init(_ snapshot: RoutingSnapshot) {
        let access = snapshot.tables.access
        requiresKey = access.requiresKey
        adminDigests = access.adminDigests
        var owners: [Digest: Int] = [:]
        var certificates: [String: Int] = [:]
        for (index, key) in access.keys.enumerated() {
            for name in key.certificates { certificates[name] = index }
        }
        certificateOwners = certificates
        modelIndex = snapshot.tables.modelIndex
        tenants = Set(access.tenants.map(\.name))
        tenantPriorities = access.tenantPriorities
        tenantBudgets = access.tenantBudgets
        hasBudgets =
            !access.tenantBudgets.isEmpty || access.keys.contains { $0.budget != nil }
        issuers = access.issuers.enumerated().map { index, issuer in
            Issuer(
                verifier: TokenVerifier(issuer.policy), key: access.keys.count + index,
                source: issuer.source, refresh: issuer.refresh)
        }
        let known = access.keys.enumerated().map { index, key in
            for digest in key.digests { owners[digest] = index }
            let models = key.models.compactMap { snapshot.tables.modelIndex[$0.name] }
            return Key(
                name: key.name, tenant: key.tenant,
                models: key.models.isEmpty ? nil : Set(models), expires: key.expires,
                budget: key.budget, priority: key.priority, priorityMax: key.priorityMax)
        }
        keys = known + access.issuers.map { Key(name: "jwt/\($0.name)") }
        self.owners = owners
    }

    /// - Parameter realSeconds: now, since the epoch.
    package func look(_ secret: UnsafeRawBufferPointer, realSeconds: Int64) -> Answer {
        guard secret.count > 0, secret.count <= 4096,
            let index = owners[unsafe Digest.sha256(secret)]
        else { return .unknown }
        if let expires = keys[index].expires, expires <= realSeconds { return .expired }
        return .known(index)
    }

    /// The key that one of a client certificate's names stands for.
    package func look(certificate names: [String]) -> Int? {
        for name in names {
            if let key = certificateOwners[name] { return key }
        }
        return nil
    }

    package var hasAdmin: Bool { !adminDigests.isEmpty }

    package func isAdmin(_ secret: UnsafeRawBufferPointer) -> Bool {
        guard secret.count > 0, secret.count <= 4096 else { return false }
        let digest = unsafe Digest.sha256(secret)
        return adminDigests.contains { $0 == digest }
    }
}
