// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletWire
package import NIOCore

/// Cuts length-prefixed messages out of the DATA frames of one stream. A message that came in one
/// frame is a slice of that frame: no byte is copied.
///
/// Each message is a flag byte (1 = compressed), a big-endian 4-byte length and that many bytes.
package struct MessageAssembler: Sendable {
    private var buffer = ByteBuffer()
    /// Whether `buffer` holds the message that it begins with where `place` has put it.
    private var isPlaced = false
    private let bytesMax: Int
    private let coding: MessageCoding

    /// The most room made before any byte of a message has come: its length is the client's claim.
    private static let reservedBytesMax = 1 << 20

    /// - Parameter bytesMax: the most bytes one message may have, before and after decompression.
    package init(bytesMax: Int, coding: MessageCoding) {
        self.bytesMax = bytesMax
        self.coding = coding
    }

    /// Whether bytes of an unfinished message are held.
    package var isMidMessage: Bool { buffer.readableBytes > 0 }

    package var bufferedBytes: Int { buffer.readableBytes }

    package mutating func append(_ data: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = data
            isPlaced = false
        } else {
            buffer.writeImmutableBuffer(data)
        }
    }

    /// Makes room for the rest of a message that comes in several frames, and places it so that
    /// its end lies at a multiple of 16: a request's last tensor ends there, so that its elements
    /// lie where they can be read in place.
    private mutating func place(_ length: Int) {
        let missing = 5 + length - buffer.readableBytes
        let room = min(missing, MessageAssembler.reservedBytesMax)
        if isPlaced {
            if buffer.writableBytes == 0 { buffer.reserveCapacity(minimumWritableBytes: room) }
            return
        }
        let padding = (16 - (5 + length) % 16) % 16
        var own = ByteBuffer()
        own.reserveCapacity(padding + buffer.readableBytes + room)
        own.writeRepeatingByte(0, count: padding)
        own.moveReaderIndex(forwardBy: padding)
        own.writeImmutableBuffer(buffer)
        buffer = own
        isPlaced = true
    }

    /// The next whole message, decompressed; nil when more bytes are needed.
    /// - Throws: `GRPCStatus`: over-long, malformed or wrongly compressed.
    package mutating func next() throws(GRPCStatus) -> ByteBuffer? {
        let start = buffer.readerIndex
        guard let flag = buffer.getInteger(at: start, as: UInt8.self),
            let length = buffer.getInteger(at: start + 1, as: UInt32.self)
        else { return nil }
        guard flag <= 1 else {
            throw GRPCStatus(.internal, "message flag is \(flag), expected 0 or 1")
        }
        guard flag == 0 || coding != .identity else {
            throw GRPCStatus(.internal, "compressed message without a grpc-encoding")
        }
        guard Int(length) <= bytesMax else {
            throw GRPCStatus(
                .resourceExhausted,
                "message of \(length) bytes is larger than the limit of \(bytesMax) bytes")
        }
        guard buffer.readableBytes >= 5 + Int(length) else {
            place(Int(length))
            return nil
        }
        buffer.moveReaderIndex(forwardBy: 5)
        guard let message = buffer.readSlice(length: Int(length)) else { return nil }
        isPlaced = false
        if buffer.readableBytes == 0 { buffer = ByteBuffer() }
        guard flag == 1 else { return message }
        return try coding.decompress(message, bytesMax: bytesMax)
    }
}
