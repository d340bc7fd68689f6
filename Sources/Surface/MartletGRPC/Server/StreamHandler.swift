// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2
internal import Tracing

/// What all streams of a server share.
struct StreamEnvironment: Sendable {
    let service: any GRPCService
    let limits: GRPCServer.Limits
    let time: any TimeSource
    let logger: Logger
    let budget: MessageBudget
    let tracing: StreamTracing
}

/// Moves frames between one HTTP/2 stream and its call; all decisions are the machine's.
final class StreamHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private let environment: StreamEnvironment
    private let connection: ConnectionHandler
    private var machine: GRPCStreamMachine
    private var context: ChannelHandlerContext?
    private var call: GRPCCall?
    private var method: GRPCMethod?
    private var sink: (any GRPCMessageSink)?
    private var span: (any Span)?
    private var deadlineTimer: Scheduled<Void>?
    private var bodyTimer: Scheduled<Void>?
    private var isReading = true
    private var hasHeldRead = false
    /// Whether `deliver` is at work, which a sink's calls must not enter again.
    private var isDelivering = false
    private var chargedBytes = 0

    init(_ environment: StreamEnvironment, connection: ConnectionHandler) {
        self.environment = environment
        self.connection = connection
        machine = GRPCStreamMachine(messageBytesMax: environment.limits.messageBytes)
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(with: GRPCStatus(.cancelled, "the client closed the stream"))
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(with: GRPCStatus(.cancelled, "the client closed the stream"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(with: GRPCStatus(.cancelled, "the stream failed: \(error)"))
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let frame):
            if machine.hasHead {
                if frame.endStream { machine.receiveEnd() }
            } else {
                begin(frame.headers, endStream: frame.endStream, context: context)
            }
            deliver()
        case .data(let frame):
            guard case .byteBuffer(let bytes) = frame.data else { return }
            machine.receive(data: bytes, endStream: frame.endStream)
            deliver()
            chargeBuffered()
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        armBodyTimer(context)
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if isReading {
            context.read()
        } else {
            hasHeldRead = true
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { sink?.becameWritable() }
        context.fireChannelWritabilityChanged()
    }

    // MARK: The request

    private func begin(_ headers: HPACKHeaders, endStream: Bool, context: ChannelHandlerContext) {
        let head: GRPCRequestHead
        do throws(GRPCRequestHead.Refusal) {
            head = try GRPCRequestHead(headers)
        } catch {
            return refuse(error)
        }
        guard let method = environment.service.method(at: head.path) else {
            return refuse(
                .status(GRPCStatus(.unimplemented, "unknown method '\(head.path.prefix(256))'")))
        }
        machine.receive(head: head, kind: method.kind, endStream: endStream)
        self.method = method
        let call = makeCall(head, method, context)
        self.call = call
        if let deadline = call.deadline {
            let left = call.received.duration(to: deadline).nanosecondsSaturating
            let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
            deadlineTimer = context.eventLoop.scheduleTask(in: .nanoseconds(left)) {
                handler.value.expire()
            }
        }
        if case .streaming(let start) = method.body {
            sink = start(call)
            connection.streamBegan(self)
        }
    }

    private func makeCall(
        _ head: GRPCRequestHead, _ method: GRPCMethod, _ context: ChannelHandlerContext
    ) -> GRPCCall {
        var serviceContext = environment.tracing.context(of: head.metadata)
        if let span = environment.tracing.startSpan(method.name, in: serviceContext) {
            serviceContext = span.context
            self.span = span
        }
        var logger = environment.logger
        if let id = head.requestID { logger[metadataKey: "request_id"] = "\(id)" }
        return GRPCCall(
            head: head, received: environment.time.now(), context: serviceContext,
            logger: logger, handler: self, eventLoop: context.eventLoop)
    }

    private func refuse(_ refusal: GRPCRequestHead.Refusal) {
        guard let context, machine.finish() != .nothing else { return }
        var headers: HPACKHeaders
        switch refusal {
        case .http(let status):
            headers = [":status": status]
        case .status(let status):
            headers = ResponseHeaders.trailersOnly(status, requestID: nil)
            headers.add(name: "grpc-accept-encoding", value: MessageCoding.supported)
        }
        context.write(
            wrapOutboundOut(.headers(.init(headers: headers, endStream: true))), promise: nil)
        closeInbound(context)
    }

    /// Hands on what the machine has made of the frames so far.
    private func deliver() {
        guard !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        while isReading, let call, let method {
            switch machine.next() {
            case .needsMore: return
            case .failure(let status):
                finish(status)
                return
            case .endOfMessages:
                sink?.receiveEnd()
            case .message(let message):
                switch method.body {
                case .unary(let answer):
                    bodyTimer?.cancel()
                    bodyTimer = nil
                    answer(call, message)
                case .streaming: sink?.receive(message)
                }
            }
        }
    }

    // MARK: Bounds

    private func expire() {
        // First the status: what is cancelled answers at once, and would say so instead.
        let cancellation = call?.cancellation
        finish(GRPCStatus(.deadlineExceeded, "the deadline of the call has passed"))
        cancellation?.cancel()
    }

    /// A unary request whose message is not there in one burst gets a limited time for the rest.
    private func armBodyTimer(_ context: ChannelHandlerContext) {
        guard bodyTimer == nil, machine.isReceiving, let method, method.kind == .unary,
            !machine.isFinished
        else { return }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let limit = environment.limits.bodyTime
        bodyTimer = context.eventLoop.scheduleTask(
            in: .nanoseconds(limit.nanosecondsSaturating)
        ) {
            guard handler.value.machine.isReceiving else { return }
            handler.value.finish(
                GRPCStatus(.deadlineExceeded, "the request did not come within \(limit)"))
        }
    }

    /// Keeps count of the bytes of unfinished messages, over all streams.
    private func chargeBuffered() {
        let bytes = machine.isFinished ? 0 : machine.bufferedBytes
        guard bytes != chargedBytes else { return }
        let isWithin = environment.budget.change(from: chargedBytes, to: bytes)
        chargedBytes = bytes
        if !isWithin {
            finish(
                GRPCStatus(
                    .resourceExhausted,
                    "the server holds too many bytes of unfinished messages, try again later"))
        }
    }

    private func releaseCharge() {
        guard chargedBytes > 0 else { return }
        _ = environment.budget.change(from: chargedBytes, to: 0)
        chargedBytes = 0
    }

    // MARK: The call's side

    var isWritable: Bool { context?.channel.isWritable ?? false }
    var isFinished: Bool { machine.isFinished }

    func setReading(_ isReading: Bool) {
        guard self.isReading != isReading else { return }
        self.isReading = isReading
        guard isReading else { return }
        deliver()
        if self.isReading, hasHeldRead {
            hasHeldRead = false
            context?.read()
        }
    }

    /// The server is stopping.
    func stop() {
        sink?.stop()
    }

    func send(_ message: ByteBuffer) {
        guard let context, let call else { return }
        switch machine.respond() {
        case .nothing: return
        case .headAndMessage:
            let headers = ResponseHeaders.head(for: call.head)
            context.write(wrapOutboundOut(.headers(.init(headers: headers))), promise: nil)
        case .message: break
        }
        let framed = MessageFraming.seal(
            message, coding: call.head.acceptsOwnCoding ? call.head.coding : .identity)
        context.write(wrapOutboundOut(.data(.init(data: .byteBuffer(framed)))), promise: nil)
        if sink != nil { context.flush() }
    }

    func finish(_ status: GRPCStatus) {
        guard let context else { return }
        let headers: HPACKHeaders
        switch machine.finish() {
        case .nothing: return
        case .trailers: headers = ResponseHeaders.trailers(status)
        case .trailersOnly:
            headers = ResponseHeaders.trailersOnly(status, requestID: call?.head.requestID)
        }
        context.write(
            wrapOutboundOut(.headers(.init(headers: headers, endStream: true))), promise: nil)
        record(status)
        closeInbound(context)
    }

    /// Flushes the end of the answer and, when the client is still sending, tells it to stop.
    private func closeInbound(_ context: ChannelHandlerContext) {
        let isReceiving = machine.isReceiving && machine.hasHead
        if isReceiving {
            context.write(wrapOutboundOut(.rstStream(.noError)), promise: nil)
        }
        context.flush()
        if !isReading { setReading(true) }
    }

    /// The stream is gone: whatever is still being computed for it is of no use.
    private func end(with status: GRPCStatus) {
        if machine.finish() != .nothing {
            call?.cancellation.cancel()
            record(status)
        }
        releaseCharge()
        deadlineTimer?.cancel()
        bodyTimer?.cancel()
        if sink != nil { connection.streamEnded(self) }
        context = nil
        call = nil
        sink = nil
    }

    private func record(_ status: GRPCStatus) {
        releaseCharge()
        deadlineTimer?.cancel()
        bodyTimer?.cancel()
        guard let call, let method else { return }
        let duration = call.received.duration(to: environment.time.now())
        method.instruments.record(status.code, after: duration)
        if let span { StreamTracing.end(span, with: status) }
        let level: Logger.Level = status.code == .internal ? .error : .debug
        call.logger.log(
            level: level, "gRPC call ended",
            metadata: [
                "method": "\(method.name)", "code": "\(status.code)",
                "message": "\(status.message)", "duration": "\(duration)",
            ])
    }
}
