// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What is known of the tokens that may come next.
package enum MaskState: Sendable {
    case ready(TokenMask)
    /// A `MaskQueue` is at work on it and will say so.
    case pending
    /// The format takes more work than a request may cause.
    case failed(LanguageError)
}

/// What an answer must look like, and how far it has come.
package protocol TokenConstraint: Sendable {
    /// The tokens that may come next, with the ends of text where the answer may end. Begins to
    /// find them where nobody has.
    /// - Parameter queue: who finds them; nil to do it here and now.
    mutating func mask(_ queue: MaskQueue?) -> MaskState
    mutating func accept(_ token: Int32)
    /// Nothing but an end may follow.
    var isComplete: Bool { get }
}
