// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Appends a message's head to bytes. Values cannot break out of their line: control characters
/// become spaces.
public struct HTTPHeadWriter: Sendable {
    public private(set) var bytes: [UInt8]

    /// A response's head, begun with its status line, behind what `bytes` holds.
    public init(status: Int, appendingTo bytes: consuming [UInt8] = []) {
        self.bytes = consume bytes
        if status == 200 {
            append("HTTP/1.1 200 OK\r\n")
        } else {
            append("HTTP/1.1 ")
            append(decimal: status)
            append(" ")
            append(HTTPStatus.reason(status))
            append("\r\n")
        }
    }

    /// A request's head, begun with its line, behind what `bytes` holds. `target` must be a valid
    /// request target.
    public init(method: HTTPMethod, target: String, appendingTo bytes: consuming [UInt8] = []) {
        self.bytes = consume bytes
        self.bytes.append(contentsOf: method.rawValue.utf8)
        append(" ")
        for byte in target.utf8 { self.bytes.append(ByteClass.isTarget(byte) ? byte : 0x5F) }
        append(" HTTP/1.1\r\n")
    }

    public mutating func field(_ name: StaticString, _ value: StaticString) {
        append(name)
        append(": ")
        append(value)
        append("\r\n")
    }

    public mutating func field(_ name: StaticString, _ value: Int) {
        append(name)
        append(": ")
        append(decimal: value)
        append("\r\n")
    }

    public mutating func field(_ name: StaticString, bytes value: [UInt8]) {
        append(name)
        append(": ")
        append(value: value)
        append("\r\n")
    }

    public mutating func field(_ name: StaticString, _ value: String) {
        append(name)
        append(": ")
        append(value: value)
        append("\r\n")
    }

    public mutating func field(_ name: String, _ value: String) {
        for byte in name.utf8 { bytes.append(ByteClass.isToken(byte) ? byte : 0x5F) }
        append(": ")
        append(value: value)
        append("\r\n")
    }

    /// A field with sixteen hexadecimal digits.
    public mutating func field(_ name: StaticString, hexadecimal value: UInt64) {
        append(name)
        append(": ")
        let digits: StaticString = "0123456789abcdef"
        for place in 0..<16 {
            let digit = Int(truncatingIfNeeded: value >> UInt64(60 - 4 * place)) & 15
            bytes.append(unsafe digits.utf8Start[digit])
        }
        append("\r\n")
    }

    /// Whole lines that the caller knows to be well formed, line ends included.
    public mutating func lines(_ lines: [UInt8]) { bytes.append(contentsOf: lines) }

    /// Lends the bytes to whoever appends whole lines; `giveBytes` must follow.
    package mutating func takeBytes() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &bytes)
        return taken
    }

    package mutating func giveBytes(_ bytes: consuming [UInt8]) { self.bytes = bytes }

    /// Ends the head and hands the bytes over.
    public consuming func finish() -> [UInt8] {
        append("\r\n")
        return bytes
    }

    /// What goes before a chunk's data: its size. A CRLF goes after it.
    public static func chunkHead(byteCount: Int) -> [UInt8] {
        Array((String(byteCount, radix: 16) + "\r\n").utf8)
    }

    /// The end of a chunked body without trailers.
    public static var lastChunk: [UInt8] { Array("0\r\n\r\n".utf8) }

    private mutating func append(_ text: StaticString) {
        unsafe bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func append(value: String) {
        let start = bytes.count
        bytes.append(contentsOf: value.utf8)
        clean(from: start)
    }

    private mutating func append(value: [UInt8]) {
        let start = bytes.count
        bytes.append(contentsOf: value)
        clean(from: start)
    }

    private mutating func clean(from start: Int) {
        for place in start..<bytes.count where !ByteClass.isFieldValue(bytes[place]) {
            bytes[place] = 0x20
        }
    }

    private mutating func append(decimal value: Int) {
        if value >= 0, value < 1000 {
            if value >= 100 { bytes.append(UInt8(ascii: "0") + UInt8(value / 100)) }
            if value >= 10 { bytes.append(UInt8(ascii: "0") + UInt8(value / 10 % 10)) }
            bytes.append(UInt8(ascii: "0") + UInt8(value % 10))
        } else {
            bytes.append(contentsOf: String(value).utf8)
        }
    }
}
