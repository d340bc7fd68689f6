// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway

/// A small model is being asked, and its answer held until it has shown how sure it is.
struct CascadeTurn {
    /// Held answers above this go to the client as they are: nobody waits for so much.
    static let heldBytesMax = AnswerCollector.bytesMax

    let then: Int
    let policy: CascadePolicy
    /// When the other is asked whatever has come.
    let limit: MonotonicInstant
    /// The body as the client sent it.
    let body: [UInt8]
    var answer = AnswerCollector()
}
