// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import NIOCore

/// Puts flag and length before a message.
package enum MessageFraming {
    /// Messages shorter than this are not worth compressing.
    private static let compressedBytesMin = 1_024

    /// Fills in the prefix of `message`, which begins with `GRPCCall.messagePrefix`, compressed
    /// with `coding` where that makes it shorter.
    package static func seal(_ message: ByteBuffer, coding: MessageCoding) -> ByteBuffer {
        var sealed = message
        if coding != .identity, message.readableBytes >= compressedBytesMin,
            let body = message.getSlice(
                at: message.readerIndex + 5, length: message.readableBytes - 5),
            let shorter = coding.compress(body), shorter.readableBytes < body.readableBytes
        {
            sealed = ByteBuffer()
            sealed.reserveCapacity(shorter.readableBytes + 5)
            sealed.writeInteger(UInt8(1))
            sealed.writeInteger(UInt32(shorter.readableBytes))
            sealed.writeImmutableBuffer(shorter)
            return sealed
        }
        sealed.setInteger(UInt8(0), at: sealed.readerIndex)
        sealed.setInteger(
            UInt32(clamping: sealed.readableBytes - 5), at: sealed.readerIndex + 1)
        return sealed
    }
}
