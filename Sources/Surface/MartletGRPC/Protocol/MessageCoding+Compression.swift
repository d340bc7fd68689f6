// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletWire
package import NIOCore

extension MessageCoding {
    private var contentCoding: ContentCoding {
        switch self {
        case .identity: .identity
        case .gzip: .gzip
        case .deflate: .deflate
        }
    }

    /// The message that `message` is the compressed form of.
    /// - Throws: `GRPCStatus` when it is corrupt or larger than `bytesMax`.
    package func decompress(
        _ message: ByteBuffer, bytesMax: Int
    ) throws(GRPCStatus) -> ByteBuffer {
        guard self != .identity else { return message }
        var plain: [UInt8] = []
        do {
            var inflater = try Inflater(contentCoding, outputBytesMax: bytesMax)
            try unsafe message.withUnsafeReadableBytes { bytes in
                try unsafe inflater.inflate(bytes, appendingTo: &plain)
            }
            try inflater.finish()
        } catch let error as WireError where error.code == .limitExceeded {
            throw GRPCStatus(
                .resourceExhausted,
                "a compressed message is larger than the limit of \(bytesMax) bytes")
        } catch {
            throw GRPCStatus(.internal, "a message is no \(rawValue) data: \(error)")
        }
        return ByteBuffer(bytes: plain)
    }

    /// The compressed form of a message; nil where there is none.
    package func compress(_ message: ByteBuffer) -> ByteBuffer? {
        guard self != .identity else { return nil }
        var packed: [UInt8] = []
        packed.reserveCapacity(message.readableBytes / 2)
        do {
            var deflater = try Deflater(contentCoding)
            try unsafe message.withUnsafeReadableBytes { bytes in
                try unsafe deflater.deflate(bytes, isLast: true, appendingTo: &packed)
            }
        } catch {
            return nil
        }
        return ByteBuffer(bytes: packed)
    }
}
