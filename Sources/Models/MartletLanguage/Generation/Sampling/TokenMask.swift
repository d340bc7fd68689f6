// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Tokens that may come next, a bit each.
package struct TokenMask: Sendable, Hashable {
    package private(set) var words: [UInt64]

    package init(tokenCount: Int) {
        words = Array(repeating: 0, count: (tokenCount + 63) / 64)
    }

    package func contains(_ token: Int) -> Bool {
        token >= 0 && token >> 6 < words.count && words[token >> 6] >> UInt64(token & 63) & 1 == 1
    }

    package mutating func insert(_ token: Int) {
        words[token >> 6] |= 1 << UInt64(token & 63)
    }

    package mutating func remove(_ token: Int) {
        words[token >> 6] &= ~(1 << UInt64(token & 63))
    }

    package mutating func formUnion(_ other: TokenMask) {
        for index in words.indices where index < other.words.count {
            words[index] |= other.words[index]
        }
    }

    /// Takes what is not in it out of the running.
    func forbidOthers(_ logits: inout [Float]) {
        for first in stride(from: 0, to: logits.count, by: 64) {
            let word = first >> 6 < words.count ? words[first >> 6] : 0
            if word == .max { continue }
            for index in first..<min(first + 64, logits.count)
            where word >> UInt64(index & 63) & 1 == 0 {
                logits[index] = -.infinity
            }
        }
    }

    package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
    package var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }
}
