// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension PBTextScanner {
    /// A number as written: decimal, octal (leading 0), hexadecimal (0x), or with a fraction, an
    /// exponent or an "f" behind it.
    mutating func number(isNegative: Bool) throws(FormatError) -> PBTextValue {
        var digits: [UInt8] = []
        var isWhole = true
        while let byte = peek() {
            let isExponentSign =
                (byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"))
                && (digits.last ?? 0) | 0x20 == UInt8(ascii: "e") && !Self.isHexadecimal(digits)
            guard Self.isNamePart(byte) || isExponentSign else { break }
            guard digits.count < 400 else {
                throw failure(.limitExceeded, "the number is too long")
            }
            digits.append(byte)
            advance()
        }
        if !Self.isHexadecimal(digits) {
            isWhole = digits.allSatisfy(Self.isDigit)
        }
        if isWhole {
            guard let magnitude = Self.wholeNumber(digits) else {
                throw failure(.malformed, "'\(Self.text(digits))' is no 64-bit number")
            }
            return .integer(isNegative: isNegative, magnitude: magnitude)
        }
        if let last = digits.last, last | 0x20 == UInt8(ascii: "f") { digits.removeLast() }
        // Double's own parser also takes words and hexadecimal fractions: only plain forms pass.
        let isPlain = digits.allSatisfy { byte in
            Self.isDigit(byte) || byte | 0x20 == UInt8(ascii: "e")
                || [UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: "-")].contains(byte)
        }
        guard isPlain, let number = Double(Self.text(digits)) else {
            throw failure(.malformed, "'\(Self.text(digits))' is no number")
        }
        return .float(isNegative ? -number : number)
    }

    /// Strings written next to each other, joined, escapes resolved.
    mutating func string() throws(FormatError) -> PBTextValue {
        var content: [UInt8] = []
        while let quote = peek(), quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            advance()
            try quoted(until: quote, into: &content)
            try skipSpace()
        }
        return .string(content)
    }

    private mutating func quoted(
        until quote: UInt8, into content: inout [UInt8]
    ) throws(FormatError) {
        while let byte = peek() {
            switch byte {
            case quote:
                advance()
                return
            case UInt8(ascii: "\n"): throw failure(.malformed, "a string ends with its line")
            case UInt8(ascii: "\\"):
                advance()
                try escape(into: &content)
            default:
                content.append(byte)
                advance()
            }
        }
        throw failure(.truncated, "a string is not closed")
    }

    private mutating func escape(into content: inout [UInt8]) throws(FormatError) {
        guard let byte = peek() else { throw failure(.truncated, "a string is not closed") }
        if let plain = Self.plainEscapes[byte] {
            content.append(plain)
            return advance()
        }
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            let value = digits(base: 8, countMax: 3)
            guard let value, value < 256 else { throw failure(.malformed, "a bad octal escape") }
            content.append(UInt8(truncatingIfNeeded: value))
        case UInt8(ascii: "x"), UInt8(ascii: "X"):
            advance()
            guard let value = digits(base: 16, countMax: 2) else {
                throw failure(.malformed, "a bad hexadecimal escape")
            }
            content.append(UInt8(truncatingIfNeeded: value))
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            advance()
            try unicode(digitCount: byte == UInt8(ascii: "u") ? 4 : 8, into: &content)
        default: throw failure(.malformed, "an unknown escape in a string")
        }
    }

    private mutating func unicode(
        digitCount: Int, into content: inout [UInt8]
    ) throws(FormatError) {
        let start = position
        guard let value = digits(base: 16, countMax: digitCount), position - start == digitCount,
            let scalar = UnicodeScalar(value)
        else { throw failure(.malformed, "a bad Unicode escape") }
        content.append(contentsOf: String(Character(scalar)).utf8)
    }

    /// Up to so many digits; nil when there is none.
    private mutating func digits(base: UInt32, countMax: Int) -> UInt32? {
        var value: UInt32 = 0
        var count = 0
        while count < countMax, let byte = peek(), let digit = Self.digit(byte), digit < base {
            value = value &* base &+ digit
            count += 1
            advance()
        }
        return count == 0 ? nil : value
    }

    private static let plainEscapes: [UInt8: UInt8] = [
        UInt8(ascii: "a"): 7, UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10,
        UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9, UInt8(ascii: "v"): 11,
        UInt8(ascii: "?"): UInt8(ascii: "?"), UInt8(ascii: "\\"): UInt8(ascii: "\\"),
        UInt8(ascii: "'"): UInt8(ascii: "'"), UInt8(ascii: "\""): UInt8(ascii: "\""),
    ]

    private static func digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    private static func isHexadecimal(_ digits: [UInt8]) -> Bool {
        digits.count >= 2 && digits[0] == UInt8(ascii: "0") && digits[1] | 0x20 == UInt8(ascii: "x")
    }

    private static func wholeNumber(_ digits: [UInt8]) -> UInt64? {
        if isHexadecimal(digits) { return UInt64(text(digits.dropFirst(2)), radix: 16) }
        if digits.count > 1, digits[0] == UInt8(ascii: "0") {
            return UInt64(text(digits.dropFirst()), radix: 8)
        }
        return UInt64(text(digits), radix: 10)
    }

    private static func text(_ digits: some Collection<UInt8>) -> String {
        String(decoding: digits, as: UTF8.self)
    }
}
