// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import NIOCore

extension MessageCoding {
    /// The message that `message` is the compressed form of.
    /// - Throws: `GRPCStatus` when it is corrupt or larger than `bytesMax`.
    package func decompress(
        _ message: ByteBuffer, bytesMax: Int
    ) throws(GRPCStatus) -> ByteBuffer {
        guard self == .identity else {
            throw GRPCStatus(.unimplemented, "compressed messages are not supported")
        }
        return message
    }

    /// The compressed form of a message; nil where there is none.
    package func compress(_ message: ByteBuffer) -> ByteBuffer? {
        nil
    }
}
