// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import NIOCore
internal import NIOHTTP2

/// Watches over one connection: it must begin with HTTP/2's preface in time, and errors end it.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias InboundOut = HTTP2Frame

    private let prefaceTime: TimeAmount
    private let logger: Logger
    private var timer: Scheduled<Void>?
    /// The streaming calls, which would go on for as long as the client likes.
    private var streams: [ObjectIdentifier: StreamHandler] = [:]
    private var isStopping = false

    init(prefaceTime: TimeAmount, logger: Logger) {
        self.prefaceTime = prefaceTime
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: prefaceTime) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if let timer {
            timer.cancel()
            self.timer = nil
        }
        context.fireChannelRead(data)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            isStopping = true
            for stream in streams.values { stream.stop() }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func streamBegan(_ stream: StreamHandler) {
        streams[ObjectIdentifier(stream)] = stream
        if isStopping { stream.stop() }
    }

    func streamEnded(_ stream: StreamHandler) {
        streams[ObjectIdentifier(stream)] = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("gRPC connection failed", metadata: ["error": "\(error)"])
        // A single stream's error leaves the connection's other streams alone.
        if error is NIOHTTP2Errors.StreamError { return }
        context.close(promise: nil)
    }
}
