// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Turns tokens into text as they come, never half a character: bytes that may still become one
/// wait for the next token. Holds back three bytes at most.
public struct StreamingDetokenizer: Sendable {
    private let tokenizer: Tokenizer
    private let skipsSpecialTokens: Bool
    private var isFirst: Bool
    private var pending: [UInt8] = []

    /// - Parameter continuesText: text stands before the first token, whose leading space is then
    ///   part of the text.
    public init(
        _ tokenizer: Tokenizer, skipsSpecialTokens: Bool = true, continuesText: Bool = false
    ) {
        self.tokenizer = tokenizer
        self.skipsSpecialTokens = skipsSpecialTokens
        isFirst = !continuesText
    }

    /// Takes a token and returns the text that is now certain. Ids that the vocabulary does not
    /// have add nothing.
    public mutating func append(_ token: Int32) -> String {
        pending += bytes(of: token)
        let count = pending.count - StreamingDetokenizer.incompleteTail(pending)
        guard count > 0 else { return "" }
        defer { pending.removeFirst(count) }
        return String(decoding: pending[..<count], as: UTF8.self)
    }

    /// What is left, with U+FFFD for bytes that never became a character.
    public mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    private mutating func bytes(of token: Int32) -> [UInt8] {
        guard
            let bytes = tokenizer.streamedBytes(
                of: token, isFirst: isFirst, skipsSpecialTokens: skipsSpecialTokens)
        else { return [] }
        isFirst = false
        return bytes
    }

    /// Bytes at the end that a character's further bytes may follow.
    static func incompleteTail(_ bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let byte = bytes[bytes.count - length]
            if byte & 0xC0 == 0x80 { continue }
            let needed =
                switch byte {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            return needed > length ? length : 0
        }
        return 0
    }
}

extension Tokenizer {
    /// The bytes that a token adds to a text; nil for one that adds none.
    package func streamedBytes(
        of token: Int32, isFirst: Bool, skipsSpecialTokens: Bool
    ) -> [UInt8]? {
        if skipsSpecialTokens, isSpecial(token) { return nil }
        guard let content = contentBytes(of: Int(token)) else { return nil }
        if let decoder { return decoder.bytes(of: content, isFirst: isFirst) }
        guard preTokenizer?.isByteLevel != true else { return content }
        return isFirst ? content : [0x20] + content
    }

    /// Whether the token stands for itself and not for text (end of turn and the like).
    package func isSpecial(_ token: Int32) -> Bool { added.token(token)?.isSpecial ?? false }
}
