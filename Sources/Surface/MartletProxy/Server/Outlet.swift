// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import NIOCore

/// Bytes to one peer, in order: straight to the socket while it takes them; the rest waits and
/// follows through the channel, which says when there is room again.
///
/// Whoever writes looks at `waitingBytes` and stops its source above a bound: the outlet itself
/// refuses nothing.
struct Outlet {
    /// What is handed to the channel at a time.
    private static let pieceBytesMax = 64 << 10

    private let socket: DirectSocket?
    private var waiting = ByteBuffer()
    private var inChannel = 0

    init(_ channel: any Channel, isEncrypted: Bool) {
        socket = isEncrypted ? nil : DirectSocket(channel)
    }

    /// Bytes that the kernel has not taken.
    var waitingBytes: Int { waiting.readableBytes + inChannel }

    /// Sends what can be sent now and keeps the rest.
    /// - Returns: whether the channel must be asked to send (`nextPiece`).
    mutating func send(_ bytes: UnsafeRawBufferPointer, isActive: Bool) -> Bool {
        guard bytes.count > 0 else { return false }
        var taken = 0
        if waitingBytes == 0, isActive, let socket { taken = unsafe socket.send(bytes) }
        guard taken < bytes.count else { return false }
        unsafe waiting.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[taken...]))
        return inChannel == 0
    }

    /// The next bytes for the channel; nil when none wait.
    mutating func nextPiece() -> ByteBuffer? {
        let count = min(waiting.readableBytes, Outlet.pieceBytesMax)
        guard count > 0, let piece = waiting.readSlice(length: count) else { return nil }
        inChannel = count
        if waiting.readableBytes == 0 {
            waiting = ByteBuffer()
        } else {
            waiting.discardReadBytes()
        }
        return piece
    }

    /// The channel has sent the piece.
    mutating func pieceHasLeft() { inChannel = 0 }
}
