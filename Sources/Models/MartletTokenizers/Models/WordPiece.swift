// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// BERT's model: the longest token first, then the longest continuation, to the word's end.
struct WordPiece: Sendable {
    let vocabulary: Vocabulary
    /// Tokens that continue a word, without their prefix.
    private let continuations: TokenIndex
    let unknownID: Int32
    let wordScalarsMax: Int

    init(
        vocabulary: Vocabulary, continuingPrefix: [UInt8], unknownID: Int32, wordScalarsMax: Int
    ) {
        self.vocabulary = vocabulary
        self.unknownID = unknownID
        self.wordScalarsMax = wordScalarsMax
        var continuing: [(content: [UInt8], id: Int32)] = []
        for id in 0..<vocabulary.count {
            guard let content = vocabulary.content(of: id), content.starts(with: continuingPrefix),
                content.count > continuingPrefix.count
            else { continue }
            continuing.append((Array(content.dropFirst(continuingPrefix.count)), Int32(id)))
        }
        continuations = TokenIndex(continuing)
    }

    /// Appends the word's ids; one unknown id when it is too long or a part of it is unknown.
    func tokenize(_ text: Span<UInt8>, _ piece: Piece, into ids: inout [Int32]) {
        let scalars = UTF8Text.scalarCount(text, piece.range, limit: wordScalarsMax)
        guard scalars <= wordScalarsMax else { return ids.append(unknownID) }
        let first = ids.count
        var start = piece.start
        while start < piece.end {
            let index = start == piece.start ? vocabulary.index : continuations
            guard let (id, end) = longest(index, text, start, piece.end) else {
                ids.removeLast(ids.count - first)
                return ids.append(unknownID)
            }
            ids.append(id)
            start = end
        }
    }

    /// The longest token at `start`, found by a hash of every prefix made in one pass.
    private func longest(
        _ index: TokenIndex, _ text: Span<UInt8>, _ start: Int, _ limit: Int
    ) -> (id: Int32, end: Int)? {
        let end = min(limit, start + index.tokenBytesMax)
        // Prefixes are tried in stretches of 64 bytes, the longest stretch first.
        var stretch = start + (end - start - 1) / 64 * 64
        while stretch >= start {
            if let found = longest(index, text, start, from: stretch, to: min(end, stretch + 64)) {
                return found
            }
            stretch -= 64
        }
        return nil
    }

    private func longest(
        _ index: TokenIndex, _ text: Span<UInt8>, _ start: Int, from: Int, to end: Int
    ) -> (id: Int32, end: Int)? {
        var hash = TokenIndex.emptyHash
        for position in start..<from { hash = TokenIndex.extend(hash, text[position]) }
        var hashes = InlineArray<64, UInt64>(repeating: 0)
        for position in from..<end {
            hash = TokenIndex.extend(hash, text[position])
            hashes[position - from] = hash
        }
        var position = end
        while position > from {
            let isBoundary = position == text.count || text[position] & 0xC0 != 0x80
            if isBoundary,
                let id = index.id(
                    of: text, Piece(start: start, end: position), hash: hashes[position - from - 1])
            {
                return (id, position)
            }
            position -= 1
        }
        return nil
    }
}
