// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A token that is found in the text before anything else happens to it.
struct AddedToken: Sendable {
    var id: Int32
    var content: [UInt8]
    /// The content as it is found and decoded: normalised where `isNormalized`.
    var form: [UInt8]
    var isSpecial: Bool
    /// Only where no word character stands beside it.
    var isSingleWord: Bool
    /// Takes the whitespace before it along.
    var stripsLeft: Bool
    var stripsRight: Bool
    /// Found in the normalised text, not in the raw one.
    var isNormalized: Bool
}

/// A tokenizer's added tokens, and the search for them.
struct AddedTokens: Sendable {
    let tokens: [AddedToken]
    private var places: [Int32: Int] = [:]
    private let raw: TokenTrie
    private let normalized: TokenTrie
    /// The bytes with which a raw or normalised token may begin.
    private var rawStarts = [Bool](repeating: false, count: 256)
    private var normalizedStarts = [Bool](repeating: false, count: 256)
    let hasRaw: Bool
    let hasNormalized: Bool

    init(_ tokens: [AddedToken], normalizer: Normalizer?) {
        var scratch = Normalizer.Scratch()
        var tokens = tokens
        for index in tokens.indices where tokens[index].isNormalized {
            normalizer?.apply(to: &tokens[index].form, scratch: &scratch)
        }
        self.tokens = tokens
        for (place, token) in tokens.enumerated() { places[token.id] = place }
        let rawTokens = tokens.filter { !$0.isNormalized && !$0.form.isEmpty }
        let normalizedTokens = tokens.filter { $0.isNormalized && !$0.form.isEmpty }
        raw = TokenTrie(rawTokens.map { ($0.form, $0.id) })
        normalized = TokenTrie(normalizedTokens.map { ($0.form, $0.id) })
        hasRaw = !rawTokens.isEmpty
        hasNormalized = !normalizedTokens.isEmpty
        for token in rawTokens { rawStarts[Int(token.form[0])] = true }
        for token in normalizedTokens { normalizedStarts[Int(token.form[0])] = true }
    }

    func token(_ id: Int32) -> AddedToken? { places[id].map { tokens[$0] } }

    /// A stretch of text, and the token that it is, if it is one.
    struct Segment: Sendable {
        var piece: Piece
        var id: Int32?
    }

    /// Splits `text` at the longest added tokens from the left. Cost: the text's length times the
    /// longest added token's at worst, in practice one look at each byte.
    func split(_ text: Span<UInt8>, isNormalized: Bool, into segments: inout [Segment]) {
        segments.removeAll(keepingCapacity: true)
        let trie = isNormalized ? normalized : raw
        let starts = isNormalized ? normalizedStarts : rawStarts
        var done = 0
        var index = 0
        while index < text.count {
            guard starts[Int(text[index])], let found = AddedTokens.longest(trie, text, index)
            else {
                index += 1
                continue
            }
            let match = Piece(start: index, end: found.end)
            index = found.end
            guard let token = token(found.id),
                !token.isSingleWord || AddedTokens.standsAlone(match, in: text)
            else { continue }
            let grown = AddedTokens.grow(match, token, in: text, notBefore: done)
            if done < grown.start {
                segments.append(Segment(piece: Piece(start: done, end: grown.start), id: nil))
            }
            segments.append(Segment(piece: grown, id: token.id))
            done = grown.end
        }
        if done < text.count {
            segments.append(Segment(piece: Piece(start: done, end: text.count), id: nil))
        }
    }

    private static func longest(
        _ trie: TokenTrie, _ text: Span<UInt8>, _ start: Int
    ) -> (id: Int32, end: Int)? {
        var node = TokenTrie.root
        var best: (id: Int32, end: Int)?
        var index = start
        while index < text.count, let child = trie.child(of: node, text[index]) {
            node = child
            index += 1
            if let id = trie.id(at: node) { best = (id, index) }
        }
        return best
    }

    private static func standsAlone(_ match: Piece, in text: Span<UInt8>) -> Bool {
        if match.start > 0 {
            let (scalar, _) = UTF8Text.scalar(text, before: match.start, notBefore: 0)
            if ScalarClass.of(scalar).contains(.word) { return false }
        }
        if match.end < text.count {
            let (scalar, _) = UTF8Text.scalar(text, at: match.end)
            if ScalarClass.of(scalar).contains(.word) { return false }
        }
        return true
    }

    private static func grow(
        _ match: Piece, _ token: AddedToken, in text: Span<UInt8>, notBefore: Int
    ) -> Piece {
        var grown = match
        while token.stripsLeft, grown.start > notBefore {
            let (scalar, begin) = UTF8Text.scalar(text, before: grown.start, notBefore: notBefore)
            guard ScalarClass.of(scalar).contains(.whitespace) else { break }
            grown.start = begin
        }
        while token.stripsRight, grown.end < text.count {
            let (scalar, next) = UTF8Text.scalar(text, at: grown.end)
            guard ScalarClass.of(scalar).contains(.whitespace) else { break }
            grown.end = next
        }
        return grown
    }
}
