// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import NIOCore
internal import NIOSSL

/// What stands between a socket and its calls: TLS where it is wanted, and one handler.
struct ConnectionPipeline: Sendable {
    let environment: ServerEnvironment
    let tls: NIOSSLContext?

    /// Bytes waiting for the socket at which responses are held back, and at which they go on.
    static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 64 << 10, high: 256 << 10)

    func configure(_ channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
        try pipeline.addHandler(
            GRPCConnection(environment, eventLoop: channel.eventLoop))
    }
}
