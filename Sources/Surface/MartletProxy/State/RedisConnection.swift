// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

/// One connection to Redis: commands go out as they are asked for, replies come in their order.
/// Lives on one event loop.
final class RedisConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    /// A command's reply; nil: the connection ended first.
    typealias Completion = (RESPValue?) -> Void

    /// Replies that may be waited for at a time.
    static let pipelineMax = 4_096

    private struct Pending {
        var asked: MonotonicInstant
        var completion: Completion
    }

    private let time: SystemTime
    private let ended: (String) -> Void
    @safe @exclusivity(unchecked) private var context: ChannelHandlerContext?
    @safe @exclusivity(unchecked) private var reader = RESPReader()
    @safe @exclusivity(unchecked) private var pending = CircularBuffer<Pending>()
    @safe @exclusivity(unchecked) private var isFlushing = false
    @safe @exclusivity(unchecked) private(set) var isOpen = true
    @safe @exclusivity(unchecked) private var waitingBytes = 0

    /// - Parameter ended: called once, with the reason.
    init(time: SystemTime, ended: @escaping (String) -> Void) {
        self.time = time
        self.ended = ended
    }

    var pendingCount: Int { pending.count }
    /// Since when the oldest reply is owed.
    var oldest: MonotonicInstant? { pending.first?.asked }

    /// Asks; false when the connection is gone or owes too many replies.
    func send(_ parts: [[UInt8]], _ completion: @escaping Completion) -> Bool {
        guard isOpen, let context, pending.count < RedisConnection.pipelineMax else {
            return false
        }
        pending.append(Pending(asked: time.now(), completion: completion))
        var bytes: [UInt8] = []
        RESPCommand.append(parts, to: &bytes)
        context.write(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
        // What is asked for in one turn of the loop leaves in one write.
        if !isFlushing {
            isFlushing = true
            context.eventLoop.assumeIsolated().execute { [self] in
                isFlushing = false
                self.context?.flush()
            }
        }
        return true
    }

    func close(_ reason: String) {
        end(reason)
        context?.close(promise: nil)
    }

    private func end(_ reason: String) {
        guard isOpen else { return }
        isOpen = false
        let unanswered = pending
        pending.removeAll()
        for command in unanswered { command.completion(nil) }
        ended(reason)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        reader.feed(unwrapInboundIn(data).readableBytesView)
        do throws(RESPError) {
            while let reply = try reader.next() {
                guard let command = pending.popFirst() else {
                    throw RESPError(message: "a reply that nobody asked for")
                }
                command.completion(reply)
            }
        } catch {
            close("it does not speak its protocol: \(error.message)")
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end("the connection ended")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end("\(error)")
        context.close(promise: nil)
    }

    /// Connects; `completion` is called on the loop.
    static func connect(
        _ state: SharedStateAddress, on eventLoop: any EventLoop, time: SystemTime,
        ended: @escaping (String) -> Void,
        _ completion: @escaping (Result<RedisConnection, any Error>) -> Void
    ) {
        let connection = NIOLoopBound(
            RedisConnection(time: time, ended: ended), eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.nanoseconds(state.timeout.nanosecondsSaturating))
            .channelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = state.tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: state.serverName))
                    }
                    try channel.pipeline.syncOperations.addHandler(connection.value)
                }
            }
            .connect(host: state.host, port: state.port)
            .assumeIsolated()
            .whenComplete { result in
                completion(result.map { _ in connection.value })
            }
    }
}

/// Where Redis is.
struct SharedStateAddress: Sendable {
    var host: String
    var port: Int
    var timeout: Duration
    var tls: NIOSSLContext?

    /// For the certificate; nil when the host is an address.
    var serverName: String? {
        (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
    }
}
