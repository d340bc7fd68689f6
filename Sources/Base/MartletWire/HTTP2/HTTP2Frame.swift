// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The frame types of RFC 9113 §6. Others are ignored.
package enum HTTP2FrameType: UInt8, Sendable {
    case data = 0
    case headers = 1
    case priority = 2
    case rstStream = 3
    case settings = 4
    case pushPromise = 5
    case ping = 6
    case goAway = 7
    case windowUpdate = 8
    case continuation = 9
}

package enum HTTP2Flag {
    package static let endStream: UInt8 = 0x1
    package static let ack: UInt8 = 0x1
    package static let endHeaders: UInt8 = 0x4
    package static let padded: UInt8 = 0x8
    package static let priority: UInt8 = 0x20
}

/// The nine bytes before every frame's payload.
package struct HTTP2FrameHeader: Equatable, Sendable {
    package static let byteCount = 9

    package var length: Int
    package var type: UInt8
    package var flags: UInt8
    package var stream: UInt32

    /// - Precondition: `bytes` has nine bytes at `offset`.
    init(_ bytes: WireBytes, at offset: Int) {
        length =
            Int(bytes[offset]) << 16 | Int(bytes[offset + 1]) << 8 | Int(bytes[offset + 2])
        type = bytes[offset + 3]
        flags = bytes[offset + 4]
        stream = bytes.uint32(at: offset + 5) & 0x7FFF_FFFF
    }

    /// The header at the front of `bytes`; nil when fewer than nine bytes are there.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= HTTP2FrameHeader.byteCount else { return nil }
        self = unsafe HTTP2FrameHeader(WireBytes(bytes), at: 0)
    }

    @inline(__always)
    func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
}

extension WireBytes {
    @inline(__always)
    func uint32(at offset: Int) -> UInt32 {
        UInt32(self[offset]) << 24 | UInt32(self[offset + 1]) << 16
            | UInt32(self[offset + 2]) << 8 | UInt32(self[offset + 3])
    }

    @inline(__always)
    func uint16(at offset: Int) -> UInt16 {
        UInt16(self[offset]) << 8 | UInt16(self[offset + 1])
    }
}

/// Writes frames (RFC 9113 §4.1, §6) to the end of an array.
package enum HTTP2FrameWriter {
    package static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    /// A frame's header; `length` bytes of payload must follow.
    package static func header(
        _ type: HTTP2FrameType, flags: UInt8 = 0, stream: UInt32, length: Int,
        to output: inout [UInt8]
    ) {
        assert(length < 1 << 24)
        var front =
            (UInt64(truncatingIfNeeded: length) << 40 | UInt64(type.rawValue) << 32
            | UInt64(flags) << 24 | UInt64(stream >> 8)).bigEndian
        unsafe withUnsafeBytes(of: &front) { unsafe output.append(contentsOf: $0) }
        output.append(UInt8(truncatingIfNeeded: stream))
    }

    package static func settings(
        _ values: [(id: HTTP2Settings.ID, value: UInt32)], to output: inout [UInt8]
    ) {
        header(.settings, stream: 0, length: 6 * values.count, to: &output)
        for (id, value) in values {
            output.append(UInt8(id.rawValue >> 8))
            output.append(UInt8(truncatingIfNeeded: id.rawValue))
            append(value, to: &output)
        }
    }

    package static func settingsAck(to output: inout [UInt8]) {
        header(.settings, flags: HTTP2Flag.ack, stream: 0, length: 0, to: &output)
    }

    package static func ping(_ payload: UInt64, isAck: Bool, to output: inout [UInt8]) {
        header(.ping, flags: isAck ? HTTP2Flag.ack : 0, stream: 0, length: 8, to: &output)
        append(UInt32(truncatingIfNeeded: payload >> 32), to: &output)
        append(UInt32(truncatingIfNeeded: payload), to: &output)
    }

    package static func reset(
        stream: UInt32, _ code: HTTP2ErrorCode, to output: inout [UInt8]
    ) {
        header(.rstStream, stream: stream, length: 4, to: &output)
        append(code.rawValue, to: &output)
    }

    package static func windowUpdate(
        stream: UInt32, increment: Int, to output: inout [UInt8]
    ) {
        header(.windowUpdate, stream: stream, length: 4, to: &output)
        append(UInt32(clamping: increment), to: &output)
    }

    package static func goAway(
        lastStream: UInt32, _ code: HTTP2ErrorCode, _ message: String, to output: inout [UInt8]
    ) {
        let text = Array(message.utf8.prefix(256))
        header(.goAway, stream: 0, length: 8 + text.count, to: &output)
        append(lastStream, to: &output)
        append(code.rawValue, to: &output)
        output.append(contentsOf: text)
    }

    /// A header block as HEADERS, and CONTINUATION where it is longer than a frame may be.
    package static func headers(
        stream: UInt32, _ block: [UInt8], endStream: Bool, frameBytesMax: Int,
        to output: inout [UInt8]
    ) {
        let end = endStream ? HTTP2Flag.endStream : 0
        if block.count <= frameBytesMax {
            header(
                .headers, flags: HTTP2Flag.endHeaders | end, stream: stream,
                length: block.count, to: &output)
            output.append(contentsOf: block)
            return
        }
        var start = 0
        while start < block.count {
            let count = min(frameBytesMax, block.count - start)
            let isLast = start + count == block.count
            let flags = (isLast ? HTTP2Flag.endHeaders : 0) | (start == 0 ? end : 0)
            header(
                start == 0 ? .headers : .continuation, flags: flags, stream: stream,
                length: count, to: &output)
            output.append(contentsOf: block[start..<start + count])
            start += count
        }
    }

    private static func append(_ value: UInt32, to output: inout [UInt8]) {
        var bigEndian = value.bigEndian
        unsafe withUnsafeBytes(of: &bigEndian) { unsafe output.append(contentsOf: $0) }
    }
}
