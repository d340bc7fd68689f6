// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// An upstream that answers each request with what its script says, and remembers the requests.
final class ScriptedUpstream: Sendable {
    enum Reply: Sendable {
        /// Bytes of an answer; the connection stays open.
        case bytes(String)
        /// Bytes of an answer (or none), and the connection ends.
        case bytesThenClose(String)
        /// The one, and a moment later the other; then the connection ends.
        case twoPieces(String, String)
        /// Nothing at all.
        case silence
    }

    private struct State {
        var script: [Reply]
        var requests: [String] = []
        var closings: [ContinuousClock.Instant] = []
    }

    private let state: Mutex<State>
    private let listener: any Channel
    let port: Int

    /// The last reply of the script is given for ever.
    static func start(_ script: [Reply]) async throws -> ScriptedUpstream {
        let box = Mutex<ScriptedUpstream?>(nil)
        let holder = Holder(box)
        let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(UpstreamHandler(holder))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let upstream = ScriptedUpstream(script, listener)
        holder.box.withLock { $0 = upstream }
        return upstream
    }

    private init(_ script: [Reply], _ listener: any Channel) {
        state = Mutex(State(script: script))
        self.listener = listener
        port = listener.localAddress?.port ?? 0
    }

    var requests: [String] { state.withLock { $0.requests } }
    var closedConnections: Int { state.withLock { $0.closings.count } }
    /// When connections ended, read on the event loop that saw it.
    var closings: [ContinuousClock.Instant] { state.withLock { $0.closings } }

    func stop() async { try? await listener.close() }

    fileprivate func next(_ request: String) -> Reply {
        state.withLock { state in
            state.requests.append(request)
            return state.script.count > 1 ? state.script.removeFirst() : state.script[0]
        }
    }

    fileprivate func hasClosed() { state.withLock { $0.closings.append(.now) } }

    fileprivate final class Holder: Sendable {
        let box: Mutex<ScriptedUpstream?>
        init(_ box: consuming Mutex<ScriptedUpstream?>) { self.box = box }
    }

    private final class UpstreamHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let holder: Holder
        private var text = ""

        init(_ holder: Holder) { self.holder = holder }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            guard let end = text.firstRange(of: "\r\n\r\n") else { return }
            let length =
                text[..<end.lowerBound].split(separator: "\r\n")
                .first { $0.lowercased().hasPrefix("content-length:") }
                .flatMap { Int($0.split(separator: ":")[1].drop { $0 == " " }) } ?? 0
            guard text[end.upperBound...].utf8.count >= length,
                let upstream = holder.box.withLock({ $0 })
            else { return }
            let request = text
            text = ""
            switch upstream.next(request) {
            case .bytes(let reply):
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: reply)), promise: nil)
            case .bytesThenClose(let reply):
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: reply)), promise: nil)
                context.close(promise: nil)
            case .twoPieces(let first, let second):
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: first)), promise: nil)
                let channel = context.channel
                channel.eventLoop.scheduleTask(in: .milliseconds(50)) {
                    channel.writeAndFlush(ByteBuffer(string: second), promise: nil)
                    channel.close(promise: nil)
                }
            case .silence: break
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            holder.box.withLock { $0 }?.hasClosed()
        }
    }
}

/// A connection to the gateway that sends text and collects what comes back.
final class TestClient: Sendable {
    private struct State {
        var text = ""
        var isClosed = false
    }

    private let channel: any Channel

    static func connect(port: Int) async throws -> TestClient {
        let collector = Collector()
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(collector))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return TestClient(channel, collector)
    }

    private let collector: Collector

    private init(_ channel: any Channel, _ collector: Collector) {
        self.channel = channel
        self.collector = collector
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text))
    }

    /// A POST with a JSON body.
    func post(_ path: String, _ body: String, headers: String = "") async throws {
        try await send(
            "POST \(path) HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\(headers)\r\n\(body)")
    }

    func close() async { try? await channel.close() }

    /// Closes; when that was, read on the event loop that does it.
    func closeNow() async throws -> ContinuousClock.Instant {
        let channel = channel
        return try await channel.eventLoop.submit {
            let now = ContinuousClock.Instant.now
            channel.close(promise: nil)
            return now
        }.get()
    }

    /// Everything received, once it contains `mark` or the connection has ended.
    func receive(until mark: String) async throws -> String {
        for _ in 0..<1_000 {
            let (text, isClosed) = collector.state.withLock { ($0.text, $0.isClosed) }
            if text.contains(mark) || isClosed { return text }
            try await Task.sleep(for: .milliseconds(5))
        }
        return collector.state.withLock { $0.text }
    }

    func isClosed() async throws -> Bool {
        for _ in 0..<1_000 {
            if collector.state.withLock({ $0.isClosed }) { return true }
            try await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    func forget() { collector.state.withLock { $0.text = "" } }

    private final class Collector: Sendable {
        let state = Mutex(State())
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let collector: Collector

        init(_ collector: Collector) { self.collector = collector }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data))
            collector.state.withLock { $0.text += text }
        }

        func channelInactive(context: ChannelHandlerContext) {
            collector.state.withLock { $0.isClosed = true }
        }
    }
}
