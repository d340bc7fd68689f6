// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletWire
internal import NIOCore

/// One client's connection: feeds the HTTP/2 machine, hands its events to the calls, writes what
/// they answer in bursts, and keeps the clock. Lives on one event loop.
final class GRPCConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A header block that may come again, understood.
    struct KnownHead {
        var head: GRPCRequestHead
        var method: GRPCMethod
    }

    let environment: ServerEnvironment
    let eventLoop: any EventLoop
    let inbox: CompletionInbox
    var http: HTTP2Connection
    var blocks = ResponseBlocks()
    var context: ChannelHandlerContext?
    /// The calls, by the slots of their streams.
    var streams: [GRPCStream?] = []
    /// When the burst at hand was read.
    var now: MonotonicInstant
    /// The beginning of a frame whose rest has not come.
    private var inbound = ByteBuffer()
    private var knownHeads: [KnownHead?]
    /// Unary calls whose message did not come with their head.
    private var incomplete: [GRPCStream] = []
    var isStopping = false
    var isClosing = false

    // Output (GRPCConnection+Output).
    var isInBurst = false
    var isFlushScheduled = false
    var isFlushing = false
    var hasUnflushed = false
    var isChannelWritable = true
    var outbound = ByteBuffer()
    var sendQueue: [GRPCStream] = []
    var unblocked: [GRPCStream] = []
    var stuckReplies = 0

    // Time (GRPCConnection+Time).
    var timer: Scheduled<Void>?
    var timerDue = MonotonicInstant(nanoseconds: .max)
    let began: MonotonicInstant
    var lastRead: MonotonicInstant
    var lastCallEnded: MonotonicInstant
    var pingSent: MonotonicInstant?
    var drainBegan: MonotonicInstant?

    init(_ environment: ServerEnvironment, eventLoop: any EventLoop) {
        self.environment = environment
        self.eventLoop = eventLoop
        inbox = CompletionInbox(eventLoop)
        var configuration = HTTP2Connection.Configuration()
        configuration.maxConcurrentStreams = environment.limits.streamsPerConnection
        configuration.headerListBytesMax = environment.limits.headerBytes
        http = HTTP2Connection(configuration)
        knownHeads = [KnownHead?](repeating: nil, count: HTTP2Connection.cachedHeadCount)
        now = environment.time.now()
        began = now
        lastRead = now
        lastCallEnded = now
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { flush() }
        setTimer()
    }

    func channelActive(context: ChannelHandlerContext) {
        flush()
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    /// The connection is gone, and with it all calls.
    private func end() {
        isClosing = true
        timer?.cancel()
        timer = nil
        let status = GRPCStatus(.cancelled, "the client closed the stream")
        for stream in streams { stream?.end(with: status) }
        streams = []
        sendQueue = []
        unblocked = []
        incomplete = []
    }

    func close() {
        isClosing = true
        context?.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        environment.logger.debug("gRPC connection failed", metadata: ["error": "\(error)"])
        close()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent, !isStopping {
            isStopping = true
            // The streaming calls would go on for as long as the client likes.
            for stream in streams { stream?.sink?.stop() }
            beginDrain()
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        isInBurst = true
        now = environment.time.now()
        lastRead = now
        pingSent = nil
        var bytes = unwrapInboundIn(data)
        if inbound.readableBytes > 0 {
            inbound.writeBuffer(&bytes)
            bytes = inbound
        }
        inbound = ByteBuffer()
        process(&bytes)
        // A slice of the old buffer may live as long as its request: the rest gets its own.
        if bytes.readableBytes > 0, !isClosing { inbound = ByteBuffer(buffer: bytes) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isInBurst = false
        limitBodies()
        flush()
        context.fireChannelReadComplete()
    }

    /// Takes frames apart until there is none that is whole.
    private func process(_ bytes: inout ByteBuffer) {
        while !isClosing {
            let outcome = unsafe bytes.withUnsafeReadableBytes {
                buffer -> Result<HTTP2Connection.Step, HTTP2Error> in
                do throws(HTTP2Error) {
                    return .success(try unsafe http.step(buffer, now: now))
                } catch { return .failure(error) }
            }
            switch outcome {
            case .failure(let error): return fail(error)
            case .success(let step):
                switch step.event {
                case .needMore: return
                case .data(let stream, let range, let endStream):
                    let data = bytes.getSlice(
                        at: bytes.readerIndex + range.lowerBound, length: range.count)
                    bytes.moveReaderIndex(forwardBy: step.consumed)
                    receive(data ?? ByteBuffer(), on: stream, endStream: endStream)
                default:
                    bytes.moveReaderIndex(forwardBy: step.consumed)
                    take(step.event)
                }
            }
        }
    }

    private func take(_ event: HTTP2Connection.Event) {
        switch event {
        case .request(let stream, let head, let endStream):
            begin(stream, head, endStream: endStream)
        case .reset(let stream, _):
            remove(stream)?.end(with: GRPCStatus(.cancelled, "the client closed the stream"))
            closeIfDrained()
        case .windowOpened(let stream): windowOpened(stream)
        case .pingAcknowledged(GRPCConnection.drainPing): finishDrain()
        default: break
        }
    }

    private func fail(_ error: HTTP2Error) {
        environment.logger.debug("gRPC connection failed", metadata: ["error": "\(error)"])
        http.fail(error)
        flush()
        closeAfterOutput()
    }

    // MARK: Calls

    private func begin(
        _ ref: HTTP2StreamRef, _ place: HTTP2Connection.Head, endStream: Bool
    ) {
        let known: KnownHead
        do throws(GRPCRequestHead.Refusal) {
            known = try self.known(place)
        } catch {
            let block = blocks.refusal(error, &http.encoder)
            http.sendHeaders(ref, block, endStream: true)
            http.reset(ref, .noError)
            return
        }
        let stream = GRPCStream(self, ref, environment.limits.messageBytes)
        while streams.count <= ref.slot { streams.append(nil) }
        streams[ref.slot] = stream
        stream.begin(known.head, known.method, endStream: endStream)
        if !endStream, known.method.kind == .unary { incomplete.append(stream) }
    }

    /// What a header block means: looked up when it has come before.
    private func known(
        _ place: HTTP2Connection.Head
    ) throws(GRPCRequestHead.Refusal) -> KnownHead {
        if case .repeated(let number) = place, let known = knownHeads[number] { return known }
        let head = try GRPCRequestHead(http.fields)
        guard let method = environment.service.method(at: head.path) else {
            throw .status(GRPCStatus(.unimplemented, "unknown method '\(head.path.prefix(256))'"))
        }
        let known = KnownHead(head: head, method: method)
        if case .new(let number?) = place { knownHeads[number] = known }
        return known
    }

    private func receive(_ data: ByteBuffer, on ref: HTTP2StreamRef, endStream: Bool) {
        guard ref.slot < streams.count, let stream = streams[ref.slot], stream.ref == ref else {
            return
        }
        stream.receive(data, endStream: endStream)
        if stream.isReading {
            http.credit(ref, data.readableBytes)
        } else {
            stream.heldCredit += data.readableBytes
        }
    }

    /// Forgets a stream that is over.
    @discardableResult
    func remove(_ ref: HTTP2StreamRef) -> GRPCStream? {
        guard ref.slot < streams.count, let stream = streams[ref.slot], stream.ref == ref else {
            return nil
        }
        streams[ref.slot] = nil
        return stream
    }

    /// Gives the calls whose message is still on its way a limited time for it.
    private func limitBodies() {
        guard !incomplete.isEmpty else { return }
        for stream in incomplete where stream.isAwaitingBody {
            let due = now.advanced(by: environment.limits.bodyTime)
            stream.bodyDeadline = due
            setTimer(due)
        }
        incomplete.removeAll(keepingCapacity: true)
    }
}
