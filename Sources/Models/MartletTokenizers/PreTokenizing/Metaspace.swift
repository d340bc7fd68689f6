// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// SentencePiece's way: spaces become a visible character that words begin with.
struct Metaspace: Sendable {
    enum PrependScheme: String, Sendable {
        case always, never, first
    }

    let replacement: [UInt8]
    let scheme: PrependScheme
    let splits: Bool

    /// Replaces spaces in each piece, adds the leading one, and splits before each.
    func apply(to work: inout PreTokenizer.Work) {
        work.moreText.removeAll(keepingCapacity: true)
        work.morePieces.removeAll(keepingCapacity: true)
        let text = work.text
        for (index, piece) in work.pieces.enumerated() where !piece.isEmpty {
            let isFirst = index == 0 && work.isAtStart
            append(piece, of: text.span, isFirst: isFirst, &work.moreText, &work.morePieces)
        }
        swap(&work.text, &work.moreText)
        swap(&work.pieces, &work.morePieces)
    }

    private func append(
        _ piece: Piece, of text: Span<UInt8>, isFirst: Bool, _ result: inout [UInt8],
        _ pieces: inout [Piece]
    ) {
        var start = result.count
        var markEnd = start
        let startsWithMark = text[piece.start] == 0x20 || startsWithReplacement(text, piece)
        if !startsWithMark, scheme == .always || (scheme == .first && isFirst) {
            result.append(contentsOf: replacement)
            markEnd = result.count
        }
        var index = piece.start
        while index < piece.end {
            let isMark: Bool
            let markCount: Int
            if text[index] == 0x20 {
                (isMark, markCount) = (true, 1)
            } else {
                isMark = startsWithReplacement(text, Piece(start: index, end: piece.end))
                markCount = replacement.count
            }
            if isMark {
                if splits, result.count > start {
                    pieces.append(Piece(start: start, end: result.count))
                    start = result.count
                }
                result.append(contentsOf: replacement)
                markEnd = result.count
                index += markCount
            } else {
                result.append(text[index])
                index += 1
            }
        }
        if result.count > start || markEnd > start {
            pieces.append(Piece(start: start, end: result.count))
        }
    }

    private func startsWithReplacement(_ text: Span<UInt8>, _ piece: Piece) -> Bool {
        guard piece.count >= replacement.count else { return false }
        for offset in replacement.indices where text[piece.start + offset] != replacement[offset] {
            return false
        }
        return true
    }
}
