// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGRPC
internal import MartletServing
internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2
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
    private let multiplexer: NIOHTTP2Handler.StreamMultiplexer

    init(port: Int) async throws {
        // In the initialiser: what the server sends first must find the handler there.
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    _ = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
                        mode: .client, connectionConfiguration: .init(),
                        streamConfiguration: .init()
                    ) { $0.eventLoop.makeSucceededVoidFuture() }
                }
            }
        channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        let connected = channel
        multiplexer = try await channel.eventLoop.submit {
            try connected.pipeline.syncOperations.handler(type: NIOHTTP2Handler.self)
                .syncMultiplexer()
        }.get()
    }

    func close() async throws {
        try await channel.close()
    }

    /// Opens a stream with a gRPC header block.
    func open(_ path: String, _ more: [(String, String)] = []) async throws -> RawStream {
        let promise = channel.eventLoop.makePromise(of: RawAnswer.self)
        let stream = try await multiplexer.createStreamChannel { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(AnswerCollector(promise))
            }
        }.get()
        let headers = HPACKHeaders(
            [
                (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "t"),
                ("content-type", "application/grpc"), ("te", "trailers"),
            ] + more)
        stream.writeAndFlush(
            HTTP2Frame.FramePayload.headers(.init(headers: headers)), promise: nil)
        return RawStream(channel: stream, answer: promise.futureResult)
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
    let answer: EventLoopFuture<RawAnswer>

    static func framed(_ message: [UInt8]) -> [UInt8] {
        let count = UInt32(message.count)
        return [0, UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255)]
            + [UInt8(count & 255)] + message
    }

    func send(_ bytes: [UInt8], endStream: Bool) {
        channel.writeAndFlush(
            HTTP2Frame.FramePayload.data(
                .init(data: .byteBuffer(ByteBuffer(bytes: bytes)), endStream: endStream)),
            promise: nil)
    }

    func reset() {
        channel.writeAndFlush(HTTP2Frame.FramePayload.rstStream(.cancel), promise: nil)
    }
}

private final class AnswerCollector: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload

    private var answer = RawAnswer()
    private let promise: EventLoopPromise<RawAnswer>

    init(_ promise: EventLoopPromise<RawAnswer>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let frame):
            for (name, value, _) in frame.headers { answer.fields[name] = value }
            if frame.endStream { promise.succeed(answer) }
        case .data(let frame):
            if case .byteBuffer(let bytes) = frame.data {
                answer.data += Array(bytes.readableBytesView)
            }
        case .rstStream(let code):
            answer.resetCode = code.networkCode
            promise.succeed(answer)
        default: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        answer.resetCode = answer.resetCode ?? -1
        promise.succeed(answer)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
