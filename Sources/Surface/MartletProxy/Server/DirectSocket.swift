// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import NIOCore

/// The descriptor below a plaintext channel: sends past the channel's buffers and its pipeline.
///
/// Used on the channel's event loop, while the channel is active and has no write of its own
/// waiting. Errors are left for the channel to find.
struct DirectSocket {
    private let descriptor: CInt

    /// nil for channels that are no sockets.
    init?(_ channel: any Channel) {
        let found = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
        guard let found else { return nil }
        descriptor = found
    }

    /// How many bytes the socket has taken.
    func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        unsafe max(Glibc.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL)), 0)
    }
}
