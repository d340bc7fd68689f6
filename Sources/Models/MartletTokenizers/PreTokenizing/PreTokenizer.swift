// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How a normalised text is split into the words that the model encodes one by one.
indirect enum PreTokenizer: Sendable {
    /// Whitespace away, each punctuation character alone.
    case bert
    /// `\w+|[^\w\s]+`
    case whitespace
    case whitespaceSplit
    case split(TextPattern, SplitBehavior, inverted: Bool)
    /// GPT-2's: the text's bytes as they are; the vocabulary's spelling is undone when it is read.
    case byteLevel(addsPrefixSpace: Bool, pattern: WordPattern?)
    case metaspace(Metaspace)
    case sequence([PreTokenizer])

    /// What becomes of the matches of a split.
    enum SplitBehavior: String, Sendable {
        case removed = "Removed"
        case isolated = "Isolated"
        case mergedWithPrevious = "MergedWithPrevious"
        case mergedWithNext = "MergedWithNext"
        case contiguous = "Contiguous"
    }

    /// A text, its pieces, and buffers kept from one text to the next.
    struct Work: Sendable {
        var text: [UInt8] = []
        var pieces: [Piece] = []
        var morePieces: [Piece] = []
        var moreText: [UInt8] = []
        var matches: [TextPattern.Match] = []
        /// Whether the text begins where the whole input does.
        var isAtStart = true
    }

    /// Splits `work.pieces` further. Cost: linear in the text, for any text.
    func apply(to work: inout Work) {
        switch self {
        case .bert: PreTokenizer.splitEach(&work, PreTokenizer.splitBert)
        case .whitespace: PreTokenizer.splitEach(&work, PreTokenizer.splitWords)
        case .whitespaceSplit: PreTokenizer.splitEach(&work, PreTokenizer.splitWhitespace)
        case .split(let pattern, let behavior, let inverted):
            PreTokenizer.split(&work, pattern, behavior, inverted)
        case .byteLevel(let addsPrefixSpace, let pattern):
            if addsPrefixSpace { PreTokenizer.addPrefixSpaces(&work) }
            guard let pattern else { return }
            PreTokenizer.splitEach(&work) { text, piece, pieces in
                var start = piece.start
                while start < piece.end {
                    let end = pattern.matchEnd(in: text, at: start, limit: piece.end)
                    pieces.append(Piece(start: start, end: end))
                    start = end
                }
            }
        case .metaspace(let metaspace): metaspace.apply(to: &work)
        case .sequence(let parts):
            for part in parts { part.apply(to: &work) }
        }
    }

    /// Whether the words are a byte-level vocabulary's.
    var isByteLevel: Bool {
        switch self {
        case .byteLevel: true
        case .sequence(let parts): parts.contains(where: \.isByteLevel)
        default: false
        }
    }

    private static func splitEach(
        _ work: inout Work, _ body: (Span<UInt8>, Piece, inout [Piece]) -> Void
    ) {
        work.morePieces.removeAll(keepingCapacity: true)
        let text = work.text
        for piece in work.pieces { body(text.span, piece, &work.morePieces) }
        swap(&work.pieces, &work.morePieces)
    }

    private static func splitBert(_ text: Span<UInt8>, _ piece: Piece, _ pieces: inout [Piece]) {
        var start = piece.start
        var index = start
        while index < piece.end {
            let (scalar, next) = UTF8Text.scalar(text, at: index)
            let kind = ScalarClass.of(scalar)
            if !kind.isDisjoint(with: [.whitespace, .punctuation]) {
                if start < index { pieces.append(Piece(start: start, end: index)) }
                if !kind.contains(.whitespace) { pieces.append(Piece(start: index, end: next)) }
                start = next
            }
            index = next
        }
        if start < index { pieces.append(Piece(start: start, end: index)) }
    }

    private static func splitWords(_ text: Span<UInt8>, _ piece: Piece, _ pieces: inout [Piece]) {
        var start = piece.start
        var startKind: ScalarClass = .whitespace
        var index = start
        while index < piece.end {
            let (scalar, next) = UTF8Text.scalar(text, at: index)
            let all = ScalarClass.of(scalar)
            let kind: ScalarClass =
                all.contains(.whitespace) ? .whitespace : all.contains(.word) ? .word : []
            if kind != startKind {
                if startKind != .whitespace { pieces.append(Piece(start: start, end: index)) }
                start = index
                startKind = kind
            }
            index = next
        }
        if startKind != .whitespace, start < index {
            pieces.append(Piece(start: start, end: index))
        }
    }

    private static func splitWhitespace(
        _ text: Span<UInt8>, _ piece: Piece, _ pieces: inout [Piece]
    ) {
        var start = piece.start
        var index = start
        while index < piece.end {
            let (scalar, next) = UTF8Text.scalar(text, at: index)
            if ScalarClass.of(scalar).contains(.whitespace) {
                if start < index { pieces.append(Piece(start: start, end: index)) }
                start = next
            }
            index = next
        }
        if start < index { pieces.append(Piece(start: start, end: index)) }
    }

    private static func split(
        _ work: inout Work, _ pattern: TextPattern, _ behavior: SplitBehavior, _ inverted: Bool
    ) {
        work.morePieces.removeAll(keepingCapacity: true)
        let text = work.text
        for piece in work.pieces {
            pattern.findMatches(in: text.span, piece, into: &work.matches)
            append(work.matches, behavior, inverted, to: &work.morePieces)
        }
        swap(&work.pieces, &work.morePieces)
    }

    private static func append(
        _ matches: [TextPattern.Match], _ behavior: SplitBehavior, _ inverted: Bool,
        to pieces: inout [Piece]
    ) {
        var previousIsMatch: Bool?
        let first = pieces.count
        for match in matches {
            let isMatch = match.isMatch != inverted
            defer { previousIsMatch = isMatch }
            switch behavior {
            case .removed:
                if !isMatch { pieces.append(match.piece) }
            case .isolated: pieces.append(match.piece)
            case .mergedWithPrevious:
                if isMatch, previousIsMatch == false, pieces.count > first {
                    pieces[pieces.count - 1].end = match.piece.end
                } else {
                    pieces.append(match.piece)
                }
            case .mergedWithNext:
                if !isMatch, previousIsMatch == true, pieces.count > first {
                    pieces[pieces.count - 1].end = match.piece.end
                } else {
                    pieces.append(match.piece)
                }
            case .contiguous:
                if isMatch == previousIsMatch, pieces.count > first {
                    pieces[pieces.count - 1].end = match.piece.end
                } else {
                    pieces.append(match.piece)
                }
            }
        }
    }

    private static func addPrefixSpaces(_ work: inout Work) {
        guard work.pieces.contains(where: { !$0.isEmpty && work.text[$0.start] != 0x20 })
        else { return }
        work.moreText.removeAll(keepingCapacity: true)
        for index in work.pieces.indices {
            let piece = work.pieces[index]
            let start = work.moreText.count
            if !piece.isEmpty, work.text[piece.start] != 0x20 { work.moreText.append(0x20) }
            work.moreText.append(contentsOf: work.text[piece.range])
            work.pieces[index] = Piece(start: start, end: work.moreText.count)
        }
        swap(&work.text, &work.moreText)
    }
}
