// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How tokens become text again.
indirect enum Decoder: Sendable {
    case wordPiece(prefix: [UInt8], cleansUp: Bool)
    case byteLevel
    case metaspace(replacement: [UInt8], dropsFirst: Bool)
    case suffix([UInt8])
    case byteFallback
    case fuse
    case strip(content: [UInt8], start: Int, stop: Int)
    case replace(TextPattern, with: [UInt8])
    case sequence([Decoder])

    /// The tokens' texts after this step, to be joined by the caller. Cost: linear.
    func apply(_ tokens: [[UInt8]]) -> [[UInt8]] {
        switch self {
        case .wordPiece(let prefix, let cleansUp):
            return tokens.enumerated().map { index, token in
                var text = token
                if index > 0 {
                    text =
                        token.starts(with: prefix)
                        ? Array(token.dropFirst(prefix.count)) : [0x20] + token
                }
                return cleansUp ? Decoder.cleanedUp(text) : text
            }
        case .byteLevel, .fuse: return [tokens.flatMap(\.self)]
        case .metaspace(let replacement, let dropsFirst):
            return tokens.enumerated().map { index, token in
                let mark: [UInt8] = index == 0 && dropsFirst ? [] : [0x20]
                return Decoder.replacing(.literal(replacement), with: mark, in: token)
            }
        case .suffix(let suffix):
            return tokens.enumerated().map { index, token in
                let mark: [UInt8] = index + 1 == tokens.count ? [] : [0x20]
                return Decoder.replacing(.literal(suffix), with: mark, in: token)
            }
        case .byteFallback: return Decoder.joiningBytes(tokens)
        case .strip(let content, let start, let stop):
            return tokens.map { Decoder.stripped($0, of: content, start: start, stop: stop) }
        case .replace(let pattern, let replacement):
            return tokens.map { Decoder.replacing(pattern, with: replacement, in: $0) }
        case .sequence(let parts):
            return parts.reduce(tokens) { $1.apply($0) }
        }
    }

    /// Joins what English writes together.
    private static func cleanedUp(_ text: [UInt8]) -> [UInt8] {
        let rules: [(String, String)] = [
            (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
            (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
        ]
        guard text.contains(0x20) else { return text }
        return rules.reduce(text) { text, rule in
            replacing(.literal(Array(rule.0.utf8)), with: Array(rule.1.utf8), in: text)
        }
    }

    private static func replacing(
        _ pattern: TextPattern, with replacement: [UInt8], in text: [UInt8]
    ) -> [UInt8] {
        var scratch = Normalizer.Scratch()
        var result = text
        Normalizer.replace(pattern, with: replacement).apply(to: &result, scratch: &scratch)
        return result
    }

    private static func stripped(
        _ text: [UInt8], of content: [UInt8], start: Int, stop: Int
    ) -> [UInt8] {
        guard !content.isEmpty else { return text }
        var result = text[...]
        for _ in 0..<start {
            guard result.starts(with: content) else { break }
            result = result.dropFirst(content.count)
        }
        for _ in 0..<stop {
            guard result.count >= content.count,
                result.suffix(content.count).elementsEqual(content)
            else { break }
            result = result.dropLast(content.count)
        }
        return Array(result)
    }

    /// Joins `<0xNN>` tokens; bytes that are no UTF-8 become U+FFFD each.
    private static func joiningBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var pending: [UInt8] = []
        func flush() {
            guard !pending.isEmpty else { return }
            if let text = String(validating: pending, as: UTF8.self) {
                result.append(Array(text.utf8))
            } else {
                for _ in pending { result.append([0xEF, 0xBF, 0xBD]) }
            }
            pending = []
        }
        for token in tokens {
            if let byte = byte(token) {
                pending.append(byte)
            } else {
                flush()
                result.append(token)
            }
        }
        flush()
        return result
    }

    static func byte(_ token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">")
        else { return nil }
        return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
    }
}
