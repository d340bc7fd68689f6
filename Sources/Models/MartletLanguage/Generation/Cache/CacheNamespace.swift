// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Who may share cached keys and values: sequences of one tenant's salt under one adapter. Sharing
/// across tenants would let one learn by the time to the first token what another has asked.
package struct CacheNamespace: Hashable, Sendable {
    package var salt: String
    package var adapter: String

    package init(salt: String = "", adapter: String = "") {
        self.salt = salt
        self.adapter = adapter
    }
}

/// The blocks of one sequence, as a `BlockPool` hands them out; only the pool changes it.
package struct SequenceBlocks: Sendable {
    /// One id for each `blockLength` positions.
    package internal(set) var blocks: [Int32] = []
    /// Leading blocks that others may find and share: full, computed, never written again.
    package internal(set) var sharedCount = 0
    let root: Int32

    init(root: Int32) { self.root = root }
}
