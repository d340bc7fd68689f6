// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Appends a message's head to bytes. Values cannot break out of their line: control characters
/// become spaces.
public struct HTTPHeadWriter: Sendable {
    public private(set) var bytes: [UInt8]

    /// A response's head, begun with its status line.
    public init(status: Int, reusing bytes: [UInt8] = []) {
        self.bytes = bytes
        self.bytes.removeAll(keepingCapacity: true)
        append("HTTP/1.1 ")
        append(decimal: status)
        append(" ")
        append(HTTPStatus.reason(status))
        append("\r\n")
    }

    /// A request's head, begun with its line. `target` must be a valid request target.
    public init(method: HTTPMethod, target: String, reusing bytes: [UInt8] = []) {
        self.bytes = bytes
        self.bytes.removeAll(keepingCapacity: true)
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
        for byte in value { bytes.append(ByteClass.isFieldValue(byte) ? byte : 0x20) }
        append("\r\n")
    }

    public mutating func field(_ name: StaticString, _ value: String) {
        append(name)
        append(": ")
        for byte in value.utf8 { bytes.append(ByteClass.isFieldValue(byte) ? byte : 0x20) }
        append("\r\n")
    }

    public mutating func field(_ name: String, _ value: String) {
        for byte in name.utf8 { bytes.append(ByteClass.isToken(byte) ? byte : 0x5F) }
        append(": ")
        for byte in value.utf8 { bytes.append(ByteClass.isFieldValue(byte) ? byte : 0x20) }
        append("\r\n")
    }

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

    private mutating func append(decimal value: Int) {
        if value >= 100, value < 1000 {
            bytes.append(UInt8(ascii: "0") + UInt8(value / 100))
            bytes.append(UInt8(ascii: "0") + UInt8(value / 10 % 10))
            bytes.append(UInt8(ascii: "0") + UInt8(value % 10))
        } else {
            bytes.append(contentsOf: String(value).utf8)
        }
    }
}
