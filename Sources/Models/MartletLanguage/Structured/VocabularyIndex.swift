// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTokenizers

/// A vocabulary in the order of its tokens' bytes, so that one walk over it says which tokens an
/// automaton takes.
package final class VocabularyIndex: Sendable {
    let tokens: [Int32]
    /// The tokens' bytes, back to back, and where each begins.
    let bytes: [UInt8]
    let starts: [Int32]
    /// Bytes that a token shares with the one before it.
    let shared: [Int32]
    let vocabularySize: Int
    let endTokens: Set<Int32>

    package init(_ text: LanguageText) {
        let tokenizer = text.tokenizer
        vocabularySize = tokenizer.vocabularySize
        endTokens = text.endTokens
        var all: [(bytes: [UInt8], token: Int32)] = []
        for id in 0..<tokenizer.vocabularySize {
            let token = Int32(id)
            guard !tokenizer.isSpecial(token), !text.endTokens.contains(token) else { continue }
            let bytes = text.bytes(of: token)
            if !bytes.isEmpty { all.append((bytes, token)) }
        }
        all.sort { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        var joined: [UInt8] = []
        var starts: [Int32] = [0]
        var shared: [Int32] = []
        var before: [UInt8] = []
        for entry in all {
            let common = zip(before, entry.bytes).prefix { $0 == $1 }.count
            shared.append(Int32(common))
            joined += entry.bytes
            starts.append(Int32(joined.count))
            before = entry.bytes
        }
        tokens = all.map(\.token)
        bytes = joined
        self.starts = starts
        self.shared = shared
    }
}
