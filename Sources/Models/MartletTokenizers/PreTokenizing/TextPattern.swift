// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a `Split` or `Replace` looks for.
enum TextPattern: Sendable {
    case literal([UInt8])
    /// One scalar of a class, or with `repeats` a run of them.
    case scalars(ScalarClass, repeats: Bool)
    /// A run of at least two spaces (` {2,}`).
    case spaces
    case words(WordPattern)

    /// A stretch of text that matches, or one between matches.
    struct Match: Sendable {
        var piece: Piece
        var isMatch: Bool
    }

    /// The pattern that this regular expression stands for; nil when it is none that Martlet knows.
    init?(regex: String) {
        switch regex {
        case #"\s+"#, #"[\s]+"#, #"(\s)+"#: self = .scalars(.whitespace, repeats: true)
        case #"\s"#: self = .scalars(.whitespace, repeats: false)
        case #"\p{N}"#, #"\d"#: self = .scalars(.number, repeats: false)
        case #"\p{N}+"#, #"\d+"#: self = .scalars(.number, repeats: true)
        case #"\p{P}"#: self = .scalars(.punctuation, repeats: false)
        case " {2,}": self = .spaces
        default:
            guard let words = WordPattern(regex: regex) else { return nil }
            self = .words(words)
        }
    }

    /// Replaces `matches` by stretches that cover `piece` in order. Cost: linear.
    func findMatches(in text: Span<UInt8>, _ piece: Piece, into matches: inout [Match]) {
        matches.removeAll(keepingCapacity: true)
        var index = piece.start
        var gap = piece.start
        while index < piece.end {
            guard let end = matchEnd(in: text, at: index, limit: piece.end) else {
                index = UTF8Text.scalar(text, at: index).next
                continue
            }
            if gap < index {
                matches.append(Match(piece: Piece(start: gap, end: index), isMatch: false))
            }
            matches.append(Match(piece: Piece(start: index, end: end), isMatch: true))
            index = end
            gap = end
        }
        if gap < piece.end {
            matches.append(Match(piece: Piece(start: gap, end: piece.end), isMatch: false))
        }
    }

    /// Where a match that begins at `index` ends; nil when none does.
    private func matchEnd(in text: Span<UInt8>, at index: Int, limit: Int) -> Int? {
        switch self {
        case .literal(let literal):
            guard limit - index >= literal.count else { return nil }
            for offset in 0..<literal.count where text[index + offset] != literal[offset] {
                return nil
            }
            return index + literal.count
        case .scalars(let wanted, let repeats):
            var end = index
            while end < limit {
                let (scalar, next) = UTF8Text.scalar(text, at: end)
                guard !ScalarClass.of(scalar).isDisjoint(with: wanted) else { break }
                end = next
                if !repeats { break }
            }
            return end == index ? nil : end
        case .spaces:
            var end = index
            while end < limit, text[end] == 0x20 { end += 1 }
            return end - index >= 2 ? end : nil
        case .words(let words):
            return words.matchEnd(in: text, at: index, limit: limit)
        }
    }
}
