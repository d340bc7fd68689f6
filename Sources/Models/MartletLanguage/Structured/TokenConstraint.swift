// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What an answer must look like, and how far it has come.
package protocol TokenConstraint: Sendable {
    /// The tokens that may come next, with the ends of text where the answer may end.
    func allowed() -> TokenMask
    mutating func accept(_ token: Int32)
    /// Nothing but an end may follow.
    var isComplete: Bool { get }
}
