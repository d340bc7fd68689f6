// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Walks protobuf text byte by byte, keeping count of lines, and reads names, numbers and strings.
struct PBTextScanner {
    private let bytes: [UInt8]
    private(set) var position = 0
    private(set) var line = 1
    private var lineStart = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var column: Int { position - lineStart + 1 }

    func peek() -> UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    mutating func advance() {
        if bytes[position] == UInt8(ascii: "\n") {
            line += 1
            lineStart = position + 1
        }
        position += 1
    }

    /// Consumes this byte if it is the next one.
    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        advance()
        return true
    }

    /// Passes over blanks and comments.
    mutating func skipSpace() throws(FormatError) {
        while let byte = peek() {
            switch byte {
            case 0x20, 0x09...0x0D: advance()
            case UInt8(ascii: "#"):
                while let next = peek(), next != UInt8(ascii: "\n") { advance() }
            default: return
            }
        }
    }

    func failure(_ code: FormatError.Code, _ message: String) -> FormatError {
        FormatError(
            format: .pbtext, code: code, message: "line \(line), column \(column): \(message)",
            offset: position)
    }

    /// A field's name; an extension's name keeps its brackets.
    mutating func fieldName() throws(FormatError) -> String {
        let start = position
        if take(UInt8(ascii: "[")) {
            while let byte = peek(), Self.isNamePart(byte) || byte == UInt8(ascii: "/") {
                advance()
            }
            guard take(UInt8(ascii: "]")), position - start > 2 else {
                throw failure(.malformed, "expected an extension's name and ']'")
            }
        } else {
            guard let first = peek(), Self.isNameStart(first) else {
                throw failure(.malformed, "expected a field's name\(found)")
            }
            while let byte = peek(), Self.isNamePart(byte), byte != UInt8(ascii: ".") { advance() }
        }
        return text(from: start)
    }

    /// A string, a number or a word.
    mutating func scalar() throws(FormatError) -> PBTextValue {
        guard let byte = peek() else { throw failure(.truncated, "expected a value") }
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { return try string() }
        let isNegative = take(UInt8(ascii: "-"))
        if isNegative { try skipSpace() }
        guard let first = peek() else { throw failure(.truncated, "expected a value") }
        if Self.isNameStart(first) { return try word(isNegative: isNegative) }
        guard Self.isDigit(first) || first == UInt8(ascii: ".") else {
            throw failure(.malformed, "expected a value\(found)")
        }
        return try number(isNegative: isNegative)
    }

    private mutating func word(isNegative: Bool) throws(FormatError) -> PBTextValue {
        let start = position
        while let byte = peek(), Self.isNamePart(byte), byte != UInt8(ascii: ".") { advance() }
        let word = text(from: start)
        guard isNegative else { return .word(word) }
        guard ["inf", "infinity", "nan"].contains(word.lowercased()) else {
            throw failure(.malformed, "'-\(word)' is no value")
        }
        return .word("-" + word)
    }

    /// What stands here, for an error's text.
    private var found: String {
        guard let byte = peek() else { return ", got the text's end" }
        let isPrintable = byte > 0x20 && byte < 0x7F
        return isPrintable
            ? ", got '\(Character(UnicodeScalar(byte)))'"
            : ", got the byte \(byte)"
    }

    private func text(from start: Int) -> String {
        String(decoding: bytes[start..<position], as: UTF8.self)
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    static func isNameStart(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return (lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z"))
            || byte == UInt8(ascii: "_")
    }

    static func isNamePart(_ byte: UInt8) -> Bool {
        isNameStart(byte) || isDigit(byte) || byte == UInt8(ascii: ".")
    }
}
