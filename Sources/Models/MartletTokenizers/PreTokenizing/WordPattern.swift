// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The regular expressions with which byte-level tokenizers find words, as scanners.
///
/// Each covers every character of a text. They are written out, not interpreted: a scanner is many
/// times faster than an engine and linear for any text.
enum WordPattern: Sendable {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    case gpt2
    /// The form of GPT-4 and Llama 3, with numbers of at most `digitsMax` digits.
    case gpt4(digitsMax: Int)

    init?(regex: String) {
        let gpt4Head = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"#
        let gpt4Tail = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        switch regex {
        case #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#:
            self = .gpt2
        case gpt4Head + gpt4Tail: self = .gpt4(digitsMax: 1)
        case gpt4Head + "{1,3}" + gpt4Tail: self = .gpt4(digitsMax: 3)
        case gpt4Head + "+" + gpt4Tail: self = .gpt4(digitsMax: Int.max)
        default: return nil
        }
    }

    func matchEnd(in text: Span<UInt8>, at index: Int, limit: Int) -> Int {
        switch self {
        case .gpt2: WordPattern.gpt2End(text, index, limit)
        case .gpt4(let digitsMax): WordPattern.gpt4End(text, index, limit, digitsMax)
        }
    }

    private static func gpt2End(_ text: Span<UInt8>, _ index: Int, _ limit: Int) -> Int {
        if let end = contractionEnd(text, index, limit, ignoresCase: false) { return end }
        var start = index
        if text[index] == 0x20, index + 1 < limit { start = index + 1 }
        let (scalar, next) = UTF8Text.scalar(text, at: start)
        let kind = ScalarClass.of(scalar)
        if kind.contains(.letter) { return runEnd(text, next, limit, of: .letter) }
        if kind.contains(.number) { return runEnd(text, next, limit, of: .number) }
        if !kind.contains(.whitespace) { return otherEnd(text, next, limit) }
        return whitespaceEnd(text, index, limit)
    }

    private static func gpt4End(
        _ text: Span<UInt8>, _ index: Int, _ limit: Int, _ digitsMax: Int
    ) -> Int {
        if let end = contractionEnd(text, index, limit, ignoresCase: true) { return end }
        let (scalar, next) = UTF8Text.scalar(text, at: index)
        let kind = ScalarClass.of(scalar)
        if kind.contains(.letter) { return runEnd(text, next, limit, of: .letter) }
        if !kind.contains(.number), scalar != 0x0A, scalar != 0x0D, next < limit {
            let (second, afterSecond) = UTF8Text.scalar(text, at: next)
            if ScalarClass.of(second).contains(.letter) {
                return runEnd(text, afterSecond, limit, of: .letter)
            }
        }
        if kind.contains(.number) {
            return runEnd(text, next, limit, of: .number, atMost: digitsMax - 1)
        }
        if let end = symbolsEnd(text, index, limit) { return end }
        if let end = lineEnd(text, index, limit) { return end }
        return whitespaceEnd(text, index, limit)
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`
    private static func contractionEnd(
        _ text: Span<UInt8>, _ index: Int, _ limit: Int, ignoresCase: Bool
    ) -> Int? {
        guard text[index] == 0x27, index + 1 < limit else { return nil }
        let fold: UInt8 = ignoresCase ? 0x20 : 0
        let first = text[index + 1] | fold
        switch first {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
            return index + 2
        default: break
        }
        // Without regard to case, the long s (U+017F) is an s too.
        if ignoresCase, index + 2 < limit, text[index + 1] == 0xC5, text[index + 2] == 0xBF {
            return index + 3
        }
        guard index + 2 < limit else { return nil }
        switch (first, text[index + 2] | fold) {
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return index + 3
        default: return nil
        }
    }

    private static func runEnd(
        _ text: Span<UInt8>, _ start: Int, _ limit: Int, of kind: ScalarClass,
        atMost countMax: Int = Int.max
    ) -> Int {
        var end = start
        var count = 0
        while end < limit, count < countMax {
            let (scalar, next) = UTF8Text.scalar(text, at: end)
            guard !ScalarClass.of(scalar).isDisjoint(with: kind) else { break }
            end = next
            count += 1
        }
        return end
    }

    /// `[^\s\p{L}\p{N}]*`
    private static func otherEnd(_ text: Span<UInt8>, _ start: Int, _ limit: Int) -> Int {
        var end = start
        while end < limit {
            let (scalar, next) = UTF8Text.scalar(text, at: end)
            guard ScalarClass.of(scalar).isDisjoint(with: [.whitespace, .letter, .number])
            else { break }
            end = next
        }
        return end
    }

    /// ` ?[^\s\p{L}\p{N}]+[\r\n]*`
    private static func symbolsEnd(_ text: Span<UInt8>, _ index: Int, _ limit: Int) -> Int? {
        let start = text[index] == 0x20 ? index + 1 : index
        var end = otherEnd(text, start, limit)
        guard end > start else { return nil }
        while end < limit, text[end] == 0x0A || text[end] == 0x0D { end += 1 }
        return end
    }

    /// `\s*[\r\n]+`: as far as the last line break of the run of whitespace.
    private static func lineEnd(_ text: Span<UInt8>, _ index: Int, _ limit: Int) -> Int? {
        let end = runEnd(text, index, limit, of: .whitespace)
        var last = end
        while last > index, text[last - 1] != 0x0A, text[last - 1] != 0x0D { last -= 1 }
        return last > index ? last : nil
    }

    /// `\s+(?!\S)|\s+`: a run of whitespace, but for its last character when a word follows.
    private static func whitespaceEnd(_ text: Span<UInt8>, _ index: Int, _ limit: Int) -> Int {
        let end = runEnd(text, index, limit, of: .whitespace)
        if end == limit || end <= index { return max(end, UTF8Text.scalar(text, at: index).next) }
        let (_, begin) = UTF8Text.scalar(text, before: end, notBefore: index)
        return begin > index ? begin : end
    }
}
