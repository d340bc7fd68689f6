// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// One token of source code.
struct CodeToken: Hashable {
    enum Kind: Hashable { case name, number, string, symbol, open, close, newline, indent, dedent }

    var kind: Kind
    var text: String
    /// From 1.
    var line: Int
    /// It is the first of its line.
    var startsLine = false
    var hasSpaceBefore = false
}

/// What both languages' tokenizers do alike. Bytes, not characters: source code's signs are ASCII,
/// and everything else belongs to names and strings.
struct CodeReader {
    static let bytesMax = 256 << 10
    static let tokensMax = 60_000
    /// Strings in expressions in strings.
    static let nestingMax = 16

    let bytes: [UInt8]
    var place = 0
    var line = 1
    var tokens: [CodeToken] = []
    var startsLine = true
    var hasSpace = false

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { place >= bytes.count }
    var byte: UInt8 { place < bytes.count ? bytes[place] : 0 }
    func peek(_ ahead: Int) -> UInt8 { place + ahead < bytes.count ? bytes[place + ahead] : 0 }

    func begins(_ text: StaticString) -> Bool {
        guard place + text.utf8CodeUnitCount <= bytes.count else { return false }
        for offset in 0..<text.utf8CodeUnitCount
        where unsafe bytes[place + offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// One step on; counts lines.
    mutating func step() {
        if byte == 0x0A { line += 1 }
        place += 1
    }

    mutating func add(_ kind: CodeToken.Kind, _ text: String) {
        tokens.append(
            CodeToken(
                kind: kind, text: text, line: line, startsLine: startsLine,
                hasSpaceBefore: hasSpace))
        startsLine = false
        hasSpace = false
    }

    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    static func isNameStart(_ byte: UInt8) -> Bool {
        (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
            || byte == UInt8(ascii: "_") || byte >= 0x80
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    static func isNamePart(_ byte: UInt8) -> Bool { isNameStart(byte) || isDigit(byte) }

    mutating func readName() {
        let start = place
        while !isAtEnd, CodeReader.isNamePart(byte) { place += 1 }
        add(.name, text(start..<place))
    }

    /// Digits, letters, points and signed exponents; `1_000` is `1000`.
    mutating func readNumber() {
        let start = place
        let isHexadecimal = begins("0x") || begins("0X")
        while !isAtEnd {
            if CodeReader.isNamePart(byte) {
                let isExponent = !isHexadecimal && (byte | 0x20) == UInt8(ascii: "e")
                place += 1
                if isExponent, byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"),
                    CodeReader.isDigit(peek(1))
                {
                    place += 1
                }
            } else if byte == UInt8(ascii: "."), CodeReader.isDigit(peek(1)) {
                place += 1
            } else {
                break
            }
        }
        add(.number, text(start..<place).filter { $0 != "_" }.lowercased())
    }
}
