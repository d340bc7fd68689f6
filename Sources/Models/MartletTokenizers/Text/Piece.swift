// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A part of a working text, in bytes.
struct Piece: Sendable, Hashable {
    var start: Int
    var end: Int

    var range: Range<Int> { start..<end }
    var count: Int { end - start }
    var isEmpty: Bool { end <= start }
}
