// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import NIOCore

/// Answers a connection that is one too many: 503, then closed. Behind TLS it only closes, which
/// spares the handshake.
final class RefusingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let isEncrypted: Bool

    init(isEncrypted: Bool) {
        self.isEncrypted = isEncrypted
    }

    func channelActive(context: ChannelHandlerContext) {
        guard !isEncrypted else {
            context.close(promise: nil)
            return
        }
        let buffer = ByteBuffer(
            string: "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                + "Connection: close\r\n\r\n")
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        context.close(promise: nil)
    }
}
