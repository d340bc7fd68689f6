// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// SentencePiece's unigram model: the split of a word whose tokens' log-probabilities sum highest.
struct Unigram: Sendable {
    let vocabulary: Vocabulary
    let unknownID: Int32?
    let fallsBackToBytes: Bool
    private let scores: [Double]
    private let unknownScore: Double
    private let trie: TokenTrie
    private let fallbackIDs: [Int32]

    /// How far below the least likely token an unknown character scores.
    private static let unknownPenalty = 10.0

    init(vocabulary: Vocabulary, scores: [Double], unknownID: Int32?, fallsBackToBytes: Bool) {
        self.vocabulary = vocabulary
        self.scores = scores
        self.unknownID = unknownID
        self.fallsBackToBytes = fallsBackToBytes
        unknownScore = (scores.min() ?? 0) - Unigram.unknownPenalty
        trie = TokenTrie(
            (0..<vocabulary.count).map { (Array(vocabulary.content(of: $0) ?? []), Int32($0)) })
        fallbackIDs = BytePairEncoding.fallbackTokens.map { vocabulary.id(of: $0) ?? -1 }
    }

    /// The best way to each position: its score, where its last token begins, and that token.
    struct Lattice: Sendable {
        var scores: [Double] = []
        var starts: [Int32] = []
        var ids: [Int32] = []
        var path: [Int32] = []
    }

    /// Appends the word's ids. Cost: the word's length times the longest token's.
    func tokenize(
        _ text: Span<UInt8>, _ piece: Piece, into ids: inout [Int32], lattice: inout Lattice
    ) {
        let count = piece.count
        guard count > 0 else { return }
        lattice.scores = Array(repeating: -.infinity, count: count + 1)
        lattice.starts = Array(repeating: -1, count: count + 1)
        lattice.ids = Array(repeating: -1, count: count + 1)
        lattice.scores[0] = 0
        var position = 0
        while position < count {
            let scalarEnd = min(
                count, UTF8Text.scalar(text, at: piece.start + position).next - piece.start)
            let base = lattice.scores[position]
            var node = TokenTrie.root
            var end = position
            var hasSingle = false
            while end < count, let child = trie.child(of: node, text[piece.start + end]) {
                node = child
                end += 1
                guard let id = trie.id(at: node) else { continue }
                if end == scalarEnd { hasSingle = true }
                improve(&lattice, end, base + scores[Int(id)], position, id)
            }
            if !hasSingle { improve(&lattice, scalarEnd, base + unknownScore, position, -1) }
            position = scalarEnd
        }
        appendPath(text, piece, &lattice, to: &ids)
    }

    @inline(__always)
    private func improve(
        _ lattice: inout Lattice, _ end: Int, _ score: Double, _ start: Int, _ id: Int32
    ) {
        if lattice.starts[end] >= 0, lattice.scores[end] >= score { return }
        lattice.scores[end] = score
        lattice.starts[end] = Int32(truncatingIfNeeded: start)
        lattice.ids[end] = id
    }

    private func appendPath(
        _ text: Span<UInt8>, _ piece: Piece, _ lattice: inout Lattice, to ids: inout [Int32]
    ) {
        lattice.path.removeAll(keepingCapacity: true)
        var end = piece.count
        while end > 0 {
            lattice.path.append(Int32(truncatingIfNeeded: end))
            end = Int(lattice.starts[end])
        }
        var start = 0
        var unknownStart: Int?
        for end in lattice.path.reversed() {
            let id = lattice.ids[Int(end)]
            // A run of unknown characters is one unknown token.
            let isUnknown = id < 0 || id == unknownID
            if isUnknown {
                if unknownStart == nil { unknownStart = start }
            } else {
                appendUnknown(text, piece, unknownStart, start, to: &ids)
                unknownStart = nil
                ids.append(id)
            }
            start = Int(end)
        }
        appendUnknown(text, piece, unknownStart, start, to: &ids)
    }

    private func appendUnknown(
        _ text: Span<UInt8>, _ piece: Piece, _ start: Int?, _ end: Int, to ids: inout [Int32]
    ) {
        guard let start else { return }
        if fallsBackToBytes {
            let range = piece.start + start..<piece.start + end
            var hasAll = true
            for index in range where fallbackIDs[Int(text[index])] < 0 { hasAll = false }
            if hasAll {
                for index in range { ids.append(fallbackIDs[Int(text[index])]) }
                return
            }
        }
        if let unknownID { ids.append(unknownID) }
    }
}
