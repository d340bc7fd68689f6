// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// Who has which secret. Secrets are looked up by their SHA-256, compared in constant time, and
/// kept nowhere.
package struct AccessTable: Sendable {
    package struct Key: Sendable {
        package var name: String
        package var tenant: String?
        /// Numbers of the models that it may use; nil: all.
        package var models: Set<Int>?
        package var expires: Int64?
    }

    package enum Answer: Sendable, Hashable {
        /// The number of the key.
        case known(Int)
        case expired
        case unknown
    }

    package let requiresKey: Bool
    package let keys: [Key]
    private let owners: [Digest: Int]
    private let adminDigests: [Digest]

    package init(_ snapshot: RoutingSnapshot) {
        let access = snapshot.tables.access
        requiresKey = access.requiresKey
        adminDigests = access.adminDigests
        var owners: [Digest: Int] = [:]
        keys = access.keys.enumerated().map { index, key in
            for digest in key.digests { owners[digest] = index }
            let models = key.models.compactMap { snapshot.tables.modelIndex[$0.name] }
            return Key(
                name: key.name, tenant: key.tenant,
                models: key.models.isEmpty ? nil : Set(models), expires: key.expires)
        }
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

    package var hasAdmin: Bool { !adminDigests.isEmpty }

    package func isAdmin(_ secret: UnsafeRawBufferPointer) -> Bool {
        guard secret.count > 0, secret.count <= 4096 else { return false }
        let digest = unsafe Digest.sha256(secret)
        return adminDigests.contains { $0 == digest }
    }
}
