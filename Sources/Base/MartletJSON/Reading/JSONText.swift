// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A string as it stands in the text, without its quotes: borrowed and already validated.
@safe public struct JSONText {
    /// The bytes between the quotes, escapes and all.
    public let raw: UnsafeRawBufferPointer
    public let hasEscapes: Bool

    init(raw: UnsafeRawBufferPointer, hasEscapes: Bool) {
        unsafe self.raw = raw
        self.hasEscapes = hasEscapes
    }

    /// The characters meant, escapes resolved.
    public var string: String {
        guard hasEscapes else { return unsafe String(decoding: raw, as: UTF8.self) }
        var bytes: [UInt8] = []
        appendUnescaped(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the UTF-8 of the characters meant.
    public func appendUnescaped(to bytes: inout [UInt8]) {
        guard hasEscapes else {
            unsafe bytes.append(contentsOf: raw)
            return
        }
        unsafe bytes.reserveCapacity(bytes.count + raw.count)
        let source = unsafe ByteSource(raw)
        var position = 0
        while position < source.count {
            let byte = source[position]
            if byte == UInt8(ascii: "\\") {
                position = appendEscape(source, at: position + 1, to: &bytes)
            } else {
                bytes.append(byte)
                position += 1
            }
        }
    }

    /// Decodes what follows a backslash; the scanner has checked its form.
    private func appendEscape(
        _ source: ByteSource, at start: Int, to bytes: inout [UInt8]
    ) -> Int {
        switch source[start] {
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            let (scalar, end) = decodeUnicodeEscape(source, at: start + 1)
            bytes.append(contentsOf: Array(String(Character(scalar)).utf8))
            return end
        default: bytes.append(source[start])
        }
        return start + 1
    }

    private func decodeUnicodeEscape(
        _ source: ByteSource, at start: Int
    ) -> (Unicode.Scalar, Int) {
        let first = hexadecimal(source, at: start) ?? 0xFFFD
        let end = start + 4
        if (0xD800..<0xDC00).contains(first), end + 6 <= source.count,
            source[end] == UInt8(ascii: "\\"), source[end + 1] == UInt8(ascii: "u"),
            let second = hexadecimal(source, at: end + 2), (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        {
            return (scalar, end + 6)
        }
        return (Unicode.Scalar(first) ?? "\u{FFFD}", end)
    }

    /// Whether the characters meant are `other`'s.
    public static func == (text: JSONText, other: StaticString) -> Bool {
        guard text.hasEscapes else {
            guard unsafe text.raw.count == other.utf8CodeUnitCount else { return false }
            for index in unsafe 0..<text.raw.count
            where unsafe text.raw[index] != other.utf8Start[index] { return false }
            return true
        }
        return text.string == other.description
    }
}

/// The value of four hexadecimal digits, or nil.
func hexadecimal(_ source: ByteSource, at start: Int) -> UInt32? {
    guard start + 4 <= source.count else { return nil }
    var value: UInt32 = 0
    for position in start..<start + 4 {
        let byte = source[position]
        let digit: UInt8
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
        default: return nil
        }
        value = value << 4 | UInt32(digit)
    }
    return value
}
