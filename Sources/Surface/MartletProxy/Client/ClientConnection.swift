// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire
internal import NIOCore

/// Where a client's connection is to be found, for whoever may call when it is gone. A weak
/// reference would make every other one to the connection slow.
final class ClientHandle {
    fileprivate(set) unowned(unsafe) var client: ClientConnection?
}

/// One client's connection: takes requests apart, has them admitted, routed and asked, and relays
/// the answers. Lives on one event loop, as the upstream's connection that it uses does: nothing
/// is handed from thread to thread.
final class ClientConnection: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What the connection waits for, and with it how long.
    enum Due { case idle, head, body, attempt, stall, write, linger }

    // Exclusivity is not checked while it runs: all of it is touched on one event loop, and no
    // access lasts while another part of the connection is called. The checks cost a fifth of a
    // request's instructions; Conformance/gateway passes with them.
    let shared: ProxyShared
    let loop: ProxyLoop
    let handle = ClientHandle()
    @safe @exclusivity(unchecked) var parser: HTTPRequestParser
    @safe @exclusivity(unchecked) var exchange = Exchange()
    @safe @exclusivity(unchecked) var holds: RequestHolds?
    /// At the limits of a model that stands in.
    @safe @exclusivity(unchecked) var fallbackHolds: RequestHolds?
    @safe @exclusivity(unchecked) var asking: StateQuestion?
    @safe @exclusivity(unchecked) var placeTicket: PriorityBulkhead.Ticket?
    @safe @exclusivity(unchecked) var caching: CacheUse?
    @safe @exclusivity(unchecked) var context: ChannelHandlerContext?
    @safe @exclusivity(unchecked) var outlet: Outlet?
    /// What has come and could not be taken apart yet.
    @safe @exclusivity(unchecked) private var inbound = ByteBuffer()
    /// Bytes that have come and wait their turn, while they are taken apart as well.
    @safe @exclusivity(unchecked) var unread = 0
    /// The socket's own end of a channel without TLS.
    @safe @exclusivity(unchecked) private var core: (any ChannelCore)?
    /// The channel takes writes.
    @safe @exclusivity(unchecked) var isActive = false
    /// The X-Forwarded-For value: who is at the other end.
    var address: [UInt8] = []
    var isEncrypted: Bool { shared.listen.certificate != nil }
    /// Where requests come from and answers go when that is no connection of its own but a stream
    /// of an HTTP/2 one.
    private(set) var stream: HTTP2ClientStream?
    /// Whether it is open which version of HTTP the connection speaks.
    @safe @exclusivity(unchecked) private var isUnheard = true
    /// The secret that was looked up last, with what it was: clients keep to one.
    @safe @exclusivity(unchecked) var knownSecret: [UInt8] = []
    @safe @exclusivity(unchecked) var knownKey: Int?
    @safe @exclusivity(unchecked) var knownIn: UInt64?
    var badSecrets = 0
    @safe @exclusivity(unchecked) var knownToken: TokenIdentity?
    /// The names in the client's certificate, once looked at.
    @safe @exclusivity(unchecked) var certificateNames: [String]?
    /// The path that was asked for last, as a string.
    @safe @exclusivity(unchecked) var knownPathBytes: [UInt8] = []
    @safe @exclusivity(unchecked) var knownPath = ""
    /// What it means to gRPC, once asked.
    @safe @exclusivity(unchecked) var knownMethod: GRPCMethodKind?
    /// Whether the path is one that upstreams are asked by.
    @safe @exclusivity(unchecked) var pathKind = UpstreamPath.Kind.other
    /// The path is none that is looked at any further here.
    @safe @exclusivity(unchecked) var isPathPlain = true
    /// The path asks what there is.
    @safe @exclusivity(unchecked) var isPathListing = false
    /// The model that was named last, as it stood in the body, and what that means.
    @safe @exclusivity(unchecked) var knownModelText: [UInt8] = []
    @safe @exclusivity(unchecked) var knownModel: String?
    @safe @exclusivity(unchecked) var knownModelNumber: Int?
    @safe @exclusivity(unchecked) var knownModelIn: UInt64?
    /// A request's head has been read and its answer has not been finished.
    @safe @exclusivity(unchecked) var isInRequest = false
    /// The upstream is behind with the request's body.
    @safe @exclusivity(unchecked) var isBodyHeld = false
    /// The upstream's reading stands still, because the client is behind.
    @safe @exclusivity(unchecked) var holdsUpstream = false
    /// Nothing more is read; closes when what waits has left.
    @safe @exclusivity(unchecked) var isClosing = false
    var lingers = false
    @safe @exclusivity(unchecked) var isRequestChunked = false
    @safe @exclusivity(unchecked) private(set) var isClosed = false
    @safe @exclusivity(unchecked) private var isProcessing = false
    @safe @exclusivity(unchecked) private var isReadHeld = false
    private var inputHasEnded = false
    @safe @exclusivity(unchecked) private var due: (kind: Due, at: MonotonicInstant)?
    @safe @exclusivity(unchecked) private var timer: Scheduled<Void>?
    @safe @exclusivity(unchecked) private var timerRings = MonotonicInstant(nanoseconds: .max)

    /// An answer's bytes that may wait for a client before its upstream is held.
    static let waitingBytesMax = 256 << 10
    private static let pipelineBytesMax = 64 << 10

    init(shared: ProxyShared, loop: ProxyLoop) {
        self.shared = shared
        self.loop = loop
        var limits = HTTPLimits()
        limits.bodyBytesMax = shared.listen.bodyBytesMax
        parser = HTTPRequestParser(limits: limits)
        unsafe handle.client = self
    }

    deinit { unsafe handle.client = nil }

    /// Carries the requests of a stream of an HTTP/2 connection.
    convenience init(shared: ProxyShared, loop: ProxyLoop, stream: HTTP2ClientStream) {
        self.init(shared: shared, loop: loop)
        self.stream = stream
        address = stream.link.address
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finishConnection()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        isActive = false
        finishConnection()
        context.fireChannelInactive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard outlet == nil else { return }
        isActive = true
        outlet = Outlet(context.channel, isEncrypted: isEncrypted)
        if !isEncrypted { core = context.channel._channelCore }
        address = Array((context.channel.remoteAddress?.ipAddress ?? "unknown").utf8)
        loop.add(self)
        wait(.idle, shared.waits.idle)
    }

    /// The channel has gone to another handler.
    func leaveChannel() {
        isClosed = true
        isClosing = true
        timer?.cancel()
        timer = nil
        due = nil
        loop.remove(self)
        outlet = nil
        core = nil
    }

    private func finishConnection() {
        guard !isClosed else { return }
        isClosed = true
        isClosing = true
        timer?.cancel()
        timer = nil
        due = nil
        loop.remove(self)
        if isInRequest { clientHasGone() }
        outlet = nil
        core = nil
        shared.release()
    }

    /// Takes no further request: closes at once when idle, after the answer otherwise.
    func drain() {
        if !isInRequest, parser.isBetweenRequests { abort() }
    }

    func abort() {
        if let stream { return stream.abandon(self) }
        context?.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    // MARK: Reading

    private var isReading: Bool {
        guard !isClosing else { return false }
        return isInRequest ? !exchange.isBodyComplete && !isBodyHeld : true
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isClosing { return }
        if unread == 0 {
            inbound = unwrapInboundIn(data)
        } else {
            var buffer = unwrapInboundIn(data)
            inbound.writeBuffer(&buffer)
        }
        unread = inbound.readableBytes
        if isUnheard {
            guard let isHTTP2 = ClientConnection.speaksHTTP2(inbound) else {
                return wait(.head, shared.waits.header)
            }
            isUnheard = false
            if isHTTP2 {
                let bytes = inbound
                inbound = ByteBuffer()
                return handOver(context, bytes)
            }
        }
        process()
        if unread > ClientConnection.pipelineBytesMax, !isReading, !isClosing {
            setReadHeld(true)
        }
    }

    /// Nobody behind listens for it. Asks for more right at the socket: through the pipeline that
    /// takes a fifth of the channel's time.
    func channelReadComplete(context: ChannelHandlerContext) {
        if !isReadHeld { core?.read0() }
    }

    /// Lets the channel read no more for now, or again.
    private func setReadHeld(_ isHeld: Bool) {
        guard isReadHeld != isHeld else { return }
        isReadHeld = isHeld
        try? context?.channel.syncOptions?.setOption(.autoRead, value: !isHeld)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { abort() }
        context.fireUserInboundEventTriggered(event)
    }

    /// Takes apart what has come, as far as that may be done now.
    func process() {
        if let stream { return stream.resumeBody() }
        guard !isProcessing else { return }
        isProcessing = true
        // The channel uses its buffer again when nobody else holds it.
        var buffer = ByteBuffer()
        swap(&buffer, &inbound)
        let consumed = unsafe buffer.withUnsafeReadableBytes { unsafe takeApart($0) }
        isProcessing = false
        if isClosing {
            unread = 0
        } else if unread > 0 {
            buffer.moveReaderIndex(forwardBy: consumed)
            buffer.discardReadBytes()
            inbound = buffer
        }
        if isReadHeld, isReading { setReadHeld(false) }
    }

    /// - Returns: how many bytes of the front are done with.
    private func takeApart(_ bytes: UnsafeRawBufferPointer) -> Int {
        var place = 0
        while isReading {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[place...])
            let step: HTTPRequestParser.Step
            do throws(WireError) {
                step = try unsafe parser.step(rest)
            } catch {
                refuse(error)
                return place
            }
            place += step.consumed
            unread = bytes.count - place
            switch step.event {
            case .needMore:
                guard step.consumed > 0, unread > 0 else {
                    settleReading()
                    return place
                }
            case .head: beginRequest()
            case .body(let range):
                unsafe take(body: UnsafeRawBufferPointer(rebasing: rest[range]))
                bodyHasGrown()
            case .end:
                exchange.isBodyComplete = true
                bodyIsComplete()
            }
        }
        return place
    }

    /// Waits for more bytes: sets the clock for what is missing.
    private func settleReading() {
        if isInRequest {
            if exchange.stage == .collecting { wait(.body, shared.waits.body) }
        } else if parser.isBetweenRequests, unread == 0 {
            if due?.kind != .idle { wait(.idle, shared.waits.idle) }
        } else if due?.kind != .head {
            wait(.head, shared.waits.header)
        }
    }

    /// Goes on with the next request once an answer has been handed over.
    func resumeReading() {
        isInRequest = false
        guard !isClosing else { return }
        if shared.isDraining, unread == 0 { return abort() }
        if outlet?.waitingBytes ?? 0 > 0 {
            wait(.write, shared.waits.write)
        } else {
            wait(.idle, shared.waits.idle)
        }
        if isReadHeld { setReadHeld(false) }
        if unread > 0 { process() }
    }

    // MARK: Time

    /// Waits so long for something. The timer is moved only when it would ring too late.
    func wait(_ kind: Due, _ nanoseconds: Int64) {
        let now = shared.time.now().nanoseconds
        let (sum, overflow) = now.addingReportingOverflow(nanoseconds)
        wait(kind, until: MonotonicInstant(nanoseconds: overflow ? .max : sum))
    }

    func wait(_ kind: Due, until instant: MonotonicInstant) {
        due = (kind, instant)
        guard instant < timerRings else { return }
        timer?.cancel()
        schedule(at: instant)
    }

    func waitForNothing() { due = nil }

    private func schedule(at instant: MonotonicInstant) {
        timerRings = instant
        timer = loop.eventLoop.assumeIsolated().scheduleTask(
            deadline: .uptimeNanoseconds(UInt64(max(instant.nanoseconds, 0)))
        ) { [handle] in unsafe handle.client?.timerRang() }
    }

    private func timerRang() {
        timer = nil
        timerRings = MonotonicInstant(nanoseconds: .max)
        guard let due else { return }
        if due.at > shared.time.now() { return schedule(at: due.at) }
        self.due = nil
        switch due.kind {
        case .idle, .linger, .write: abort()
        case .head:
            refuse(WireError(.limitExceeded, status: 408, "the request took too long to arrive"))
        case .body: bodyIsLate()
        case .attempt: attemptIsLate()
        case .stall: answerHasStalled()
        }
    }
}
