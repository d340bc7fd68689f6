// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension JSONScanner {
    public mutating func readString() throws(JSONError) -> String {
        try readText().string
    }

    /// The next value, a string, as it stands in the text.
    public mutating func readText() throws(JSONError) -> JSONText {
        skipWhitespace()
        guard position < source.count, source[position] == UInt8(ascii: "\"") else {
            throw mismatch("a string")
        }
        let open = position
        position += 1
        var hasEscapes = false
        while true {
            skipPlainText()
            guard position < source.count else {
                throw JSONError(.malformed, "a string does not end", offset: open)
            }
            let byte = source[position]
            if byte == UInt8(ascii: "\"") { break }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                try skipEscape()
            } else if byte < 0x20 {
                throw JSONError(
                    .malformed, "a control character in a string must be escaped",
                    offset: position)
            } else {
                try skipMultibyte()
            }
        }
        let range = open + 1..<position
        guard range.count <= limits.stringBytesMax else {
            throw JSONError(
                .limitExceeded,
                "a string of \(range.count) bytes; at most \(limits.stringBytesMax) are accepted",
                offset: open)
        }
        position += 1
        return unsafe JSONText(raw: source.slice(range), hasEscapes: hasEscapes)
    }

    /// Steps over printable ASCII that is neither a quote nor a backslash, eight bytes at a time.
    @inline(__always)
    private mutating func skipPlainText() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        while position + 8 <= source.count {
            let word = source.word(at: position)
            let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
            let backslashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
            // The lowest flagged byte is exact; borrows can only flag bytes above it.
            let special =
                (((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes)
                    | ((word &- ones &* 0x20) & ~word) | word) & tops
            if special != 0 {
                position += special.trailingZeroBitCount >> 3
                return
            }
            position += 8
        }
        while position < source.count {
            let byte = source[position]
            if byte < 0x20 || byte >= 0x80 || byte == UInt8(ascii: "\"")
                || byte == UInt8(ascii: "\\")
            {
                return
            }
            position += 1
        }
    }

    private mutating func skipEscape() throws(JSONError) {
        guard position + 1 < source.count else { throw unexpectedEnd("the rest of an escape") }
        switch source[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
        case UInt8(ascii: "u"): try skipUnicodeEscape()
        default:
            throw JSONError(.malformed, "an escape that JSON does not know", offset: position)
        }
    }

    private mutating func skipUnicodeEscape() throws(JSONError) {
        guard let first = hexadecimal(source, at: position + 2) else {
            throw JSONError(
                .malformed, "'\\u' must be followed by four hexadecimal digits", offset: position)
        }
        let end = position + 6
        guard (0xD800..<0xE000).contains(first) else {
            position = end
            return
        }
        if first < 0xDC00, end + 6 <= source.count, source[end] == UInt8(ascii: "\\"),
            source[end + 1] == UInt8(ascii: "u"), let second = hexadecimal(source, at: end + 2),
            (0xDC00..<0xE000).contains(second)
        {
            position = end + 6
            return
        }
        guard limits.loneSurrogates == .replace else {
            throw JSONError(
                .invalidText, "half of a surrogate pair names no character", offset: position)
        }
        position = end
    }

    /// Steps over one character of two to four bytes (RFC 3629: no overlong forms, no
    /// surrogates, nothing above U+10FFFF).
    private mutating func skipMultibyte() throws(JSONError) {
        let lead = source[position]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xE1...0xEC, 0xEE...0xEF: length = 3
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: length = 4
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: throw JSONError(.invalidText, "not UTF-8", offset: position)
        }
        guard position + length <= source.count, second.contains(source[position + 1]) else {
            throw JSONError(.invalidText, "not UTF-8", offset: position)
        }
        for next in position + 2..<max(position + length, position + 2)
        where source[next] & 0xC0 != 0x80 {
            throw JSONError(.invalidText, "not UTF-8", offset: position)
        }
        position += length
    }
}
