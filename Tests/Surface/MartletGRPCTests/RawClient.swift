// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGRPC
internal import MartletServing
internal import MartletWire
internal import NIOCore
internal import NIOPosix

/// What a server answered: the header blocks' fields and the bytes of the DATA frames.
struct RawAnswer: Sendable {
    var fields: [String: String] = [:]
    var data: [UInt8] = []
    /// The RST_STREAM code, or -1 when the connection was lost.
    var resetCode: Int?

    var code: Int? { fields["grpc-status"].flatMap(Int.init) }
}

/// A gRPC client of frames: it sends what a test says, right or wrong.
struct RawClient {
    let channel: any Channel
    private let connection: NIOLoopBound<RawConnection>

    /// - Parameter window: the SETTINGS_INITIAL_WINDOW_SIZE to begin with.
    init(port: Int, window: UInt32 = 65_535) async throws {
        // In the initialiser: what the server sends first must find the handler there.
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(RawConnection(window: window))
                }
            }
        channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        let connected = channel
        connection = try await channel.eventLoop.submit {
            NIOLoopBound(
                try connected.pipeline.syncOperations.handler(type: RawConnection.self),
                eventLoop: connected.eventLoop)
        }.get()
    }

    func close() async throws {
        try await channel.close()
    }

    /// Sends any bytes.
    func write(_ bytes: [UInt8]) {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    /// Opens a stream with a gRPC header block.
    func open(_ path: String, _ more: [(String, String)] = []) async throws -> RawStream {
        let connection = connection
        let channel = channel
        let fields =
            [
                (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "t"),
                ("content-type", "application/grpc"), ("te", "trailers"),
            ] + more
        return try await channel.eventLoop.submit {
            let (id, answer) = connection.value.open(fields, channel)
            return RawStream(channel: channel, connection: connection, id: id, answer: answer)
        }.get()
    }

    /// A whole unary call.
    func call(
        _ method: String, _ message: [UInt8] = [], _ more: [(String, String)] = []
    ) async throws -> RawAnswer {
        let stream = try await open("/inference.GRPCInferenceService/" + method, more)
        stream.send(RawStream.framed(message), endStream: true)
        return try await stream.answer.get()
    }
}

struct RawStream {
    let channel: any Channel
    fileprivate let connection: NIOLoopBound<RawConnection>
    let id: UInt32
    let answer: EventLoopFuture<RawAnswer>

    static func framed(_ message: [UInt8]) -> [UInt8] {
        let count = UInt32(message.count)
        return [0, UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255)]
            + [UInt8(count & 255)] + message
    }

    func send(_ bytes: [UInt8], endStream: Bool) {
        var frame: [UInt8] = []
        HTTP2FrameWriter.header(
            .data, flags: endStream ? HTTP2Flag.endStream : 0, stream: id, length: bytes.count,
            to: &frame)
        channel.writeAndFlush(ByteBuffer(bytes: frame + bytes), promise: nil)
    }

    func reset() {
        var frame: [UInt8] = []
        HTTP2FrameWriter.reset(stream: id, .cancel, to: &frame)
        channel.writeAndFlush(ByteBuffer(bytes: frame), promise: nil)
    }

    /// Makes room for what the server sends.
    func openWindow(by increment: Int) {
        var frame: [UInt8] = []
        HTTP2FrameWriter.windowUpdate(stream: id, increment: increment, to: &frame)
        channel.writeAndFlush(ByteBuffer(bytes: frame), promise: nil)
    }

    /// How many bytes of DATA have come.
    func receivedBytes() async throws -> Int {
        let (connection, id) = (connection, id)
        return try await channel.eventLoop.submit {
            connection.value.answers[id]?.answer.data.count ?? 0
        }.get()
    }
}

/// The client's end of a connection, on its event loop.
private final class RawConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    var answers: [UInt32: (answer: RawAnswer, promise: EventLoopPromise<RawAnswer>)] = [:]
    private let window: UInt32
    private var inbound = ByteBuffer()
    private var decoder = HPACKDecoder()
    private var encoder = HPACKEncoder(isHuffmanUsed: true)
    private var nextStream: UInt32 = 1

    init(window: UInt32) {
        self.window = window
    }

    func channelActive(context: ChannelHandlerContext) {
        var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        HTTP2FrameWriter.settings([(.initialWindowSize, window)], to: &bytes)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    func open(
        _ fields: [(String, String)], _ channel: any Channel
    ) -> (UInt32, EventLoopFuture<RawAnswer>) {
        let id = nextStream
        nextStream += 2
        var block: [UInt8] = []
        encoder.begin(&block)
        for (name, value) in fields { encoder.append(name, value, .remembered, to: &block) }
        var frame: [UInt8] = []
        HTTP2FrameWriter.headers(
            stream: id, block, endStream: false, frameBytesMax: 16_384, to: &frame)
        let promise = channel.eventLoop.makePromise(of: RawAnswer.self)
        answers[id] = (RawAnswer(), promise)
        channel.writeAndFlush(ByteBuffer(bytes: frame), promise: nil)
        return (id, promise.futureResult)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        inbound.writeBuffer(&bytes)
        while let header = unsafe inbound.withUnsafeReadableBytes({
            unsafe HTTP2FrameHeader($0)
        }), inbound.readableBytes >= 9 + header.length {
            inbound.moveReaderIndex(forwardBy: 9)
            guard let payload = inbound.readBytes(length: header.length) else { return }
            take(header, payload, context)
        }
    }

    private func take(
        _ header: HTTP2FrameHeader, _ payload: [UInt8], _ context: ChannelHandlerContext
    ) {
        switch HTTP2FrameType(rawValue: header.type) {
        case .data: answers[header.stream]?.answer.data += payload
        case .headers:
            var fields = HTTP2Fields()
            _ = try? unsafe payload.withUnsafeBytes {
                try unsafe decoder.decode($0, into: &fields, listBytesMax: 1 << 20)
            }
            for index in 0..<fields.count {
                answers[header.stream]?.answer.fields[fields.name(index)] = fields.value(index)
            }
        case .rstStream:
            answers[header.stream]?.answer.resetCode = Int(payload[3])
            return end(header.stream)
        case .settings where header.flags & HTTP2Flag.ack == 0:
            var ack: [UInt8] = []
            HTTP2FrameWriter.settingsAck(to: &ack)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: ack)), promise: nil)
            return
        case .ping where header.flags & HTTP2Flag.ack == 0:
            var ack: [UInt8] = []
            HTTP2FrameWriter.ping(
                payload.reduce(0) { $0 << 8 | UInt64($1) }, isAck: true, to: &ack)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: ack)), promise: nil)
            return
        default: return
        }
        if header.flags & HTTP2Flag.endStream != 0 { end(header.stream) }
    }

    private func end(_ stream: UInt32) {
        guard let (answer, promise) = answers.removeValue(forKey: stream) else { return }
        promise.succeed(answer)
    }

    func channelInactive(context: ChannelHandlerContext) {
        for stream in answers.keys {
            answers[stream]?.answer.resetCode = -1
            end(stream)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
