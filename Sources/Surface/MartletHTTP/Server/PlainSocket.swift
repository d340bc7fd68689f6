// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import NIOCore

/// The descriptor below a plaintext connection: moves bytes between the kernel and memory of our
/// choice, past the channel's buffers.
///
/// Used on the connection's event loop, while the channel is active and has no write of its own
/// waiting. Errors and the end of the stream are left for the channel to find.
struct PlainSocket {
    private let descriptor: CInt

    /// nil for channels that are no sockets.
    init?(_ channel: any Channel) {
        let found = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
        guard let found else { return nil }
        descriptor = found
    }

    /// How many bytes have come; 0 when there are none now.
    func receive(into memory: UnsafeMutableRawBufferPointer) -> Int {
        unsafe max(recv(descriptor, memory.baseAddress, memory.count, 0), 0)
    }

    /// How many bytes of the two pieces the socket has taken.
    func send(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Int {
        let flags = CInt(MSG_NOSIGNAL)
        guard second.count > 0 else {
            return unsafe max(Glibc.send(descriptor, first.baseAddress, first.count, flags), 0)
        }
        return unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { pieces in
            unsafe pieces[0] = unsafe iovec(
                iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress),
                iov_len: first.count)
            unsafe pieces[1] = unsafe iovec(
                iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress),
                iov_len: second.count)
            var message = unsafe msghdr()
            unsafe message.msg_iov = pieces.baseAddress
            unsafe message.msg_iovlen = 2
            return unsafe max(sendmsg(descriptor, &message, flags), 0)
        }
    }
}
