// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A text as a model reads it: token ids and the segment that each belongs to.
public struct Encoding: Sendable, Hashable {
    public var ids: [Int32]
    /// 0 for the first text and 1 for the second, as the tokenizer's template says; as many as ids.
    public var typeIDs: [UInt8]
    /// Whether tokens were cut off to respect a maximum length.
    public var isTruncated: Bool

    public init(ids: [Int32], typeIDs: [UInt8], isTruncated: Bool = false) {
        self.ids = ids
        self.typeIDs = typeIDs
        self.isTruncated = isTruncated
    }

    public var count: Int { ids.count }
}
