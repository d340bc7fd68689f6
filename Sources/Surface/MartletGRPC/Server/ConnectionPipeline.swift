// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import NIOCore
internal import NIOHTTP2
internal import NIOSSL

/// What stands between a socket and its streams.
struct ConnectionPipeline: Sendable {
    let environment: StreamEnvironment
    let tls: NIOSSLContext?

    func configure(_ channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let limits = environment.limits
        if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
        try pipeline.addHandler(FlushCoalescer())
        let management = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: channel.eventLoop,
            configuration: .init(
                maxIdleTime: amount(limits.idleTime), maxAge: nil,
                maxGraceTime: amount(limits.drainTime),
                keepalive: .init(
                    pingInterval: amount(limits.keepAliveInterval),
                    ackTimeout: amount(limits.keepAliveTimeout))))
        let environment = environment
        let connection = NIOLoopBound(
            ConnectionHandler(
                prefaceTime: amount(limits.prefaceTime), logger: environment.logger),
            eventLoop: channel.eventLoop)
        _ = try pipeline.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: connectionConfiguration,
            streamConfiguration: streamConfiguration,
            streamDelegate: management.http2StreamDelegate
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(
                    StreamHandler(environment, connection: connection.value))
            }
        }
        try pipeline.addHandler(management)
        try pipeline.addHandler(connection.value)
    }

    private func amount(_ duration: Duration) -> TimeAmount {
        .nanoseconds(duration.nanosecondsSaturating)
    }

    /// Flow-control windows: what a client may send ahead of being read.
    private static let streamWindowBytes = 1 << 20
    private static let connectionWindowBytes = 4 << 20

    private var connectionConfiguration: NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.initialSettings = [
            HTTP2Setting(
                parameter: .maxConcurrentStreams, value: environment.limits.streamsPerConnection),
            HTTP2Setting(parameter: .maxHeaderListSize, value: environment.limits.headerBytes),
            HTTP2Setting(
                parameter: .initialWindowSize, value: ConnectionPipeline.streamWindowBytes),
        ]
        configuration.targetWindowSize = ConnectionPipeline.connectionWindowBytes
        // gRPC clients measure bandwidth with a PING per round trip, far above the default of 200
        // in 30 seconds; 1,000 a second is still a bound on a flood.
        configuration.controlFrameRateLimit.maximumCount = 1_000
        configuration.controlFrameRateLimit.windowLength = .seconds(1)
        configuration.maximumBufferedControlFrames = 1_000
        return configuration
    }

    private var streamConfiguration: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.targetWindowSize = ConnectionPipeline.streamWindowBytes
        configuration.outboundBufferSizeHighWatermark = 256 << 10
        configuration.outboundBufferSizeLowWatermark = 64 << 10
        // Cancelled calls are resets: a client may give up 100 a second, not 100,000.
        configuration.streamResetFrameRateLimit.maximumCount = 1_000
        configuration.streamResetFrameRateLimit.windowLength = .seconds(10)
        return configuration
    }
}
