// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What is done to a text before it is split into words.
indirect enum Normalizer: Sendable {
    case bert(BertNormalizer)
    case form(NormalizationForm)
    case lowercase
    case strip(left: Bool, right: Bool)
    case stripAccents
    case replace(TextPattern, with: [UInt8])
    case prepend([UInt8])
    case sequence([Normalizer])

    /// Buffers that are kept from one text to the next.
    struct Scratch: Sendable {
        var bytes: [UInt8] = []
        var scalars: [UInt32] = []
        var moreScalars: [UInt32] = []
        var matches: [TextPattern.Match] = []
    }

    /// Normalises `text` in place. Cost: linear in the text, for any text.
    func apply(to text: inout [UInt8], scratch: inout Scratch) {
        switch self {
        case .bert(let bert): bert.apply(to: &text, scratch: &scratch)
        case .form(let form):
            Normalizer.mapScalars(&text, &scratch) { scalars, more in
                UnicodeNormalizer.normalize(&scalars, form: form, scratch: &more)
            }
        case .lowercase:
            Normalizer.mapScalars(&text, &scratch) { scalars, more in
                more.removeAll(keepingCapacity: true)
                for scalar in scalars { Lowercase.append(scalar, to: &more) }
                swap(&scalars, &more)
            }
        case .stripAccents:
            Normalizer.mapScalars(&text, &scratch) { scalars, _ in
                scalars.removeAll { ScalarClass.of($0).contains(.mark) }
            }
        case .strip(let left, let right):
            Normalizer.strip(&text, left: left, right: right)
        case .replace(let pattern, let replacement):
            Normalizer.replace(&text, pattern, with: replacement, &scratch)
        case .prepend(let prefix):
            if !text.isEmpty { text.insert(contentsOf: prefix, at: 0) }
        case .sequence(let parts):
            for part in parts { part.apply(to: &text, scratch: &scratch) }
        }
    }

    private static func mapScalars(
        _ text: inout [UInt8], _ scratch: inout Scratch,
        _ body: (inout [UInt32], inout [UInt32]) -> Void
    ) {
        scratch.scalars.removeAll(keepingCapacity: true)
        UTF8Text.appendScalars(of: text.span, to: &scratch.scalars)
        body(&scratch.scalars, &scratch.moreScalars)
        text.removeAll(keepingCapacity: true)
        for scalar in scratch.scalars { UTF8Text.append(scalar, to: &text) }
    }

    private static func strip(_ text: inout [UInt8], left: Bool, right: Bool) {
        let kept = strippedPiece(text.span, left: left, right: right)
        text.removeLast(text.count - kept.end)
        text.removeFirst(kept.start)
    }

    private static func strippedPiece(_ span: Span<UInt8>, left: Bool, right: Bool) -> Piece {
        var start = 0
        var end = span.count
        while left, start < end {
            let (scalar, next) = UTF8Text.scalar(span, at: start)
            guard ScalarClass.of(scalar).contains(.whitespace) else { break }
            start = next
        }
        while right, end > start {
            let (scalar, begin) = UTF8Text.scalar(span, before: end, notBefore: start)
            guard ScalarClass.of(scalar).contains(.whitespace) else { break }
            end = begin
        }
        return Piece(start: start, end: end)
    }

    private static func replace(
        _ text: inout [UInt8], _ pattern: TextPattern, with replacement: [UInt8],
        _ scratch: inout Scratch
    ) {
        pattern.findMatches(
            in: text.span, Piece(start: 0, end: text.count), into: &scratch.matches)
        guard scratch.matches.contains(where: \.isMatch) else { return }
        scratch.bytes.removeAll(keepingCapacity: true)
        for match in scratch.matches {
            if match.isMatch {
                scratch.bytes.append(contentsOf: replacement)
            } else {
                scratch.bytes.append(contentsOf: text[match.piece.range])
            }
        }
        swap(&text, &scratch.bytes)
    }
}
