// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletWire
internal import NIOCore
internal import Tracing

/// One client's connection: feeds the parser, hands complete requests to the router, writes the
/// answers in order, and keeps the clock. Lives on one event loop.
final class HTTPConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    // Touched on one event loop only, which calls nothing twice at a time: the checks of exclusive
    // access would cost every request what a system call does.
    let shared: ServerShared
    let loopState: LoopState
    @safe @exclusivity(unchecked) var parser: HTTPRequestParser
    @safe @exclusivity(unchecked) var phase = ConnectionPhase.idle
    @safe @exclusivity(unchecked) var context: ChannelHandlerContext?
    /// Below a plaintext connection; nil behind TLS.
    @safe @exclusivity(unchecked) var socket: PlainSocket?
    /// Bytes received and not yet taken apart.
    @safe @exclusivity(unchecked) var inbound = HTTPConnection.nothing
    @safe @exclusivity(unchecked) var collector: BodyCollector?
    /// The share of the server's budget for the body being collected.
    @safe @exclusivity(unchecked) var heldBytes = 0
    /// What the head being read, or read last, means.
    @safe @exclusivity(unchecked) var routed: RoutedHead?
    /// What the handler of the last request with that head remembers.
    @safe @exclusivity(unchecked) var recollection: AnyObject?
    /// The request that a handler has.
    @safe @exclusivity(unchecked) var exchange: Exchange?
    /// That request's; used again for the next where nobody holds them.
    @safe @exclusivity(unchecked) var cancellation = Cancellation()
    @safe @exclusivity(unchecked) var responder: HTTPResponder?
    /// Counts requests, so that a late answer finds nobody.
    @safe @exclusivity(unchecked) var sequence: UInt64 = 0
    @safe @exclusivity(unchecked) var firstByte = MonotonicInstant(nanoseconds: 0)
    /// Answers that have not left yet.
    @safe @exclusivity(unchecked) var outgoing: Outgoing?
    /// An answer whose body is still being made.
    @safe @exclusivity(unchecked) var streaming: Streaming?
    /// Small answers to pipelined requests, put together while more of them are being taken apart.
    @safe @exclusivity(unchecked) var gathered: [UInt8] = []
    @safe @exclusivity(unchecked) private var deadline: NIODeadline?
    @safe @exclusivity(unchecked) private var timer: Scheduled<Void>?
    @safe @exclusivity(unchecked) private var timerFires = NIODeadline.distantFuture
    @safe @exclusivity(unchecked) private(set) var isProcessing = false
    /// The socket is known to have something to read.
    @safe @exclusivity(unchecked) private var isInRead = false
    @safe @exclusivity(unchecked) private var isReadHeld = false
    @safe @exclusivity(unchecked) private var inputHasEnded = false
    /// The last answer has been written; nothing more is read.
    @safe @exclusivity(unchecked) var isClosing = false

    private static let nothing = ByteBuffer()
    /// Bytes of a body that are received in one go before other connections have their turn.
    private static let receivedBytesMax = 4 << 20

    /// A request between its arrival and its answer.
    struct Exchange {
        var id: RequestID
        var method: HTTPMethod
        var target: String
        var keepsAlive: Bool
        var isOldVersion: Bool
        var received: MonotonicInstant
        var receivedBytes: Int
        var metrics: RouteMetrics
        var span: (any Span)?
    }

    init(shared: ServerShared, loopState: LoopState) {
        self.shared = shared
        self.loopState = loopState
        parser = HTTPRequestParser(limits: shared.configuration.limits)
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        begin()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    private func begin() {
        if shared.configuration.tls == nil, let context { socket = PlainSocket(context.channel) }
        loopState.add(self)
        enter(.idle)
    }

    private func finish() {
        if case .closed = phase { return }
        phase = .closed
        socket = nil
        outgoing = nil
        // It refers back to this connection.
        responder = nil
        streaming?.stream.close()
        streaming = nil
        timer?.cancel()
        timer = nil
        loopState.remove(self)
        collector = nil
        releaseBody()
        cancelExchange()
        shared.release()
    }

    /// The client is gone: nobody waits for the answer any more.
    private func cancelExchange() {
        guard let exchange else { return }
        self.exchange = nil
        sequence += 1
        shared.metrics.requestEnds()
        exchange.metrics.record(
            status: 499,
            nanoseconds: exchange.received.duration(to: shared.time.now()).nanosecondsSaturating)
        if let span = exchange.span { RequestTracing.end(span, status: 499) }
        cancellation.cancel()
    }

    /// Takes no further request: closes at once when idle, after the answer otherwise.
    func drain() {
        switch phase {
        case .idle, .lingering: abort()
        default: break
        }
    }

    func abort() {
        context?.close(promise: nil)
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if isClosing { return }
        if inbound.readableBytes == 0 {
            inbound = buffer
        } else {
            inbound.writeBuffer(&buffer)
        }
        buffer = HTTPConnection.nothing
        isInRead = true
        process()
        isInRead = false
    }

    func read(context: ChannelHandlerContext) {
        if !phase.isReading, inbound.readableBytes > shared.configuration.pipelineBytesMax,
            !isClosing
        {
            isReadHeld = true
        } else {
            context.read()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            inputHasEnded = true
            if phase.isReading { abort() }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        shared.logger.debug("connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    /// Takes apart what has come, as far as the phase allows.
    func process() {
        guard !isProcessing else { return }
        isProcessing = true
        takeApart()
        isProcessing = false
        if inbound.readableBytes == 0 {
            // The channel uses its buffer again when nobody else holds it.
            inbound = HTTPConnection.nothing
        } else {
            inbound.discardReadBytes()
        }
        sendGathered()
    }

    private func takeApart() {
        while phase.isReading {
            let before = inbound.readableBytes
            do throws(WireError) {
                switch try step() {
                case .needMore:
                    if inbound.readableBytes == before || inbound.readableBytes == 0 {
                        if receiveBody() { continue }
                        return settleReading()
                    }
                case .head: try beginBody()
                case .body: break
                case .end: dispatch()
                }
            } catch {
                return refuse(error)
            }
        }
    }

    /// One step of the parser; body bytes are copied to where the body is collected.
    private func step() throws(WireError) -> HTTPRequestParser.Event {
        if parser.isBetweenRequests, inbound.readableBytes > 0 { firstByte = shared.time.now() }
        let outcome = unsafe inbound.withUnsafeReadableBytes {
            bytes -> Result<HTTPRequestParser.Step, WireError> in
            do throws(WireError) {
                let step = try unsafe parser.step(bytes)
                if case .body(let range) = step.event {
                    let isHeld = unsafe collector?.append(
                        UnsafeRawBufferPointer(rebasing: bytes[range])
                    ) { holdBody($0) }
                    if isHeld == false { throw ServerShared.bodiesAreFull }
                }
                return .success(step)
            } catch { return .failure(error) }
        }
        let step = try outcome.get()
        inbound.moveReaderIndex(forwardBy: step.consumed)
        return step.event
    }

    /// Takes what has come of a body straight from the socket to where the body is collected.
    /// - Returns: false when nothing has.
    private func receiveBody() -> Bool {
        guard isInRead, let socket, let remaining = parser.bodyBytesToCome, remaining > 0,
            inbound.readableBytes == 0, let context, context.channel.isActive
        else { return false }
        var received = 0
        while received < min(remaining, HTTPConnection.receivedBytesMax) {
            let wanted = min(remaining, HTTPConnection.receivedBytesMax) - received
            guard let count = collector?.receive(from: socket, countMax: wanted), count > 0
            else { break }
            received += count
            if count < wanted { break }
        }
        parser.skipBody(received)
        return received == remaining
    }

    /// Waits for more bytes: sets the clock for what is missing.
    private func settleReading() {
        if inputHasEnded {
            abort()
            return
        }
        if parser.isBetweenRequests {
            if case .idle = phase { return }
            enter(.idle)
        } else if collector == nil {
            if case .head = phase { return }
            enter(.head)
        } else {
            if case .body = phase { return }
            enter(.body(byteCount: parser.head.contentLength ?? 0))
        }
    }

    /// Counts what is about to be taken for a body; false when all bodies together are too many.
    private func holdBody(_ byteCount: Int) -> Bool {
        guard shared.bodies.take(byteCount) else { return false }
        heldBytes += byteCount
        return true
    }

    /// The body has gone, or somebody else counts it.
    func releaseBody() {
        guard heldBytes > 0 else { return }
        shared.bodies.giveBack(heldBytes)
        heldBytes = 0
    }

    private func beginBody() throws(WireError) {
        if let length = parser.head.contentLength, length > ServerShared.uncountedBodyBytesMax,
            !holdBody(length)
        {
            throw ServerShared.bodiesAreFull
        }
        if routed == nil || !parser.repeatsHead {
            recollection = nil
            routed = RoutedHead(parser.head, shared.router)
        }
        collector = BodyCollector(
            length: parser.head.contentLength ?? 4096, alignedPlace: routed?.jsonByteCount ?? 0,
            memory: { [loopState] in loopState.bodies.take(byteCount: $0) })
        if parser.head.expectsContinue, inbound.readableBytes == 0 { sendContinue() }
    }

    /// Goes on reading after an answer has left.
    func resumeReading() {
        if shared.isDraining, inbound.readableBytes == 0, parser.isBetweenRequests {
            return abort()
        }
        enter(.idle)
        if isReadHeld {
            isReadHeld = false
            context?.read()
        }
        if inbound.readableBytes > 0 { process() }
        if inputHasEnded, phase.isReading { abort() }
    }

    // MARK: Time

    /// Changes the phase and its deadline. The timer is moved only when it would ring too late.
    func enter(_ new: ConnectionPhase) {
        phase = new
        guard let timeout = new.timeout(shared.configuration), let context else {
            deadline = nil
            return
        }
        let due = NIODeadline.now() + .nanoseconds(timeout.nanosecondsSaturating)
        deadline = due
        guard due < timerFires else { return }
        timer?.cancel()
        schedule(at: due, context.eventLoop)
    }

    private func schedule(at due: NIODeadline, _ loop: any EventLoop) {
        timerFires = due
        let bound = NIOLoopBound(self, eventLoop: loop)
        timer = loop.scheduleTask(deadline: due) { bound.value.timerRang() }
    }

    private func timerRang() {
        timer = nil
        timerFires = .distantFuture
        guard let deadline, let context else { return }
        if deadline > NIODeadline.now() {
            schedule(at: deadline, context.eventLoop)
            return
        }
        switch phase {
        case .head, .body:
            refuse(WireError(.limitExceeded, status: 408, "the request took too long to arrive"))
        default: abort()
        }
    }
}
