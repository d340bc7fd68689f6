// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What turns one word into token ids.
enum TokenModel: Sendable {
    case wordPiece(WordPiece)
    case bytePairEncoding(BytePairEncoding)
    case unigram(Unigram)
    case wordLevel(WordLevel)

    /// Buffers that are kept from one word to the next.
    struct Scratch: Sendable {
        var symbols = SymbolList()
        var lattice = Unigram.Lattice()
        var cache = WordCache()
    }

    /// Appends the ids of the word at `piece`.
    @inline(__always)
    func tokenize(
        _ text: Span<UInt8>, _ piece: Piece, into ids: inout [Int32], scratch: inout Scratch
    ) {
        let hash = WordCache.hash(text, piece)
        if scratch.cache.append(text, piece, hash: hash, to: &ids) { return }
        let first = ids.count
        switch self {
        case .wordPiece(let model): model.tokenize(text, piece, into: &ids)
        case .bytePairEncoding(let model):
            model.tokenize(text, piece, into: &ids, symbols: &scratch.symbols)
        case .unigram(let model):
            model.tokenize(text, piece, into: &ids, lattice: &scratch.lattice)
        case .wordLevel(let model): model.tokenize(text, piece, into: &ids)
        }
        scratch.cache.insert(text, piece, hash: hash, ids: ids[first...])
    }
}

/// Whole words only.
struct WordLevel: Sendable {
    let vocabulary: Vocabulary
    let unknownID: Int32?

    func tokenize(_ text: Span<UInt8>, _ piece: Piece, into ids: inout [Int32]) {
        if let id = vocabulary.index.id(of: text, piece) ?? unknownID { ids.append(id) }
    }
}
