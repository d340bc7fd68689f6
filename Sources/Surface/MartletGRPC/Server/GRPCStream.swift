// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletWire
internal import NIOCore
internal import Tracing

/// One call on its stream; what frames mean is the machine's to decide. Lives on the connection's
/// event loop.
final class GRPCStream {
    /// Bytes of responses that the client has not made room for, above which a call is told to
    /// hold back, and below which to go on.
    private static let highWaterBytes = 256 << 10
    static let lowWaterBytes = 64 << 10

    let ref: HTTP2StreamRef
    private let connection: GRPCConnection
    private var machine: GRPCStreamMachine
    private var call: GRPCCall?
    private var method: GRPCMethod?
    private(set) var sink: (any GRPCMessageSink)?
    private var span: (any Span)?
    private(set) var isReading = true
    /// Received bytes that the client gets no credit for while nobody reads.
    var heldCredit = 0
    /// Whether `deliver` is at work, which a sink's calls must not enter again.
    private var isDelivering = false
    private var chargedBytes = 0
    var bodyDeadline: MonotonicInstant?
    private var deadline: MonotonicInstant?

    /// How the call ends: with a block after its messages, or with that alone.
    private struct Ending {
        var status: GRPCStatus
        var isAlone: Bool
    }

    /// Messages waiting for room, and what ends the stream after them. Its block is encoded when it
    /// is sent: the client's table follows the order of the blocks.
    private var pending: CircularBuffer<ByteBuffer>?
    private(set) var pendingBytes = 0
    private var ending: Ending?
    var isQueued = false
    var isBlocked = false

    init(_ connection: GRPCConnection, _ ref: HTTP2StreamRef, _ messageBytesMax: Int) {
        self.connection = connection
        self.ref = ref
        machine = GRPCStreamMachine(messageBytesMax: messageBytesMax)
    }

    private var environment: ServerEnvironment { connection.environment }

    // MARK: The request

    func begin(_ head: GRPCRequestHead, _ method: GRPCMethod, endStream: Bool) {
        machine.receive(head: head, kind: method.kind, endStream: endStream)
        self.method = method
        let call = makeCall(head, method)
        self.call = call
        if let deadline = call.deadline {
            self.deadline = deadline
            connection.setTimer(deadline)
        }
        if case .streaming(let start) = method.body {
            sink = start(call)
            if connection.isStopping { sink?.stop() }
        }
        if endStream { deliver() }
    }

    private func makeCall(_ head: GRPCRequestHead, _ method: GRPCMethod) -> GRPCCall {
        var context = environment.tracing.context(of: head.metadata)
        if let span = environment.tracing.startSpan(method.name, in: context) {
            context = span.context
            self.span = span
        }
        var logger = environment.logger
        if let id = head.requestID { logger[metadataKey: "request_id"] = "\(id)" }
        return GRPCCall(
            head: head, received: connection.now, context: context, logger: logger, stream: self,
            inbox: connection.inbox, eventLoop: connection.eventLoop)
    }

    /// Takes the payload of a DATA frame.
    func receive(_ data: ByteBuffer, endStream: Bool) {
        machine.receive(data: data, endStream: endStream)
        deliver()
        chargeBuffered()
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
                    bodyDeadline = nil
                    answer(call, message)
                case .streaming: sink?.receive(message)
                }
            }
        }
    }

    // MARK: Bounds

    /// Whether a unary call's message is still to come.
    var isAwaitingBody: Bool {
        machine.isReceiving && !machine.isFinished && method?.kind == .unary
    }

    var nextDeadline: MonotonicInstant? {
        guard let deadline, let bodyDeadline else { return deadline ?? bodyDeadline }
        return min(deadline, bodyDeadline)
    }

    /// Ends the call when one of its times has come.
    func expire(_ now: MonotonicInstant) {
        if let deadline, now >= deadline {
            // First the status: what is cancelled answers at once, and would say so instead.
            let cancellation = call?.cancellation
            finish(GRPCStatus(.deadlineExceeded, "the deadline of the call has passed"))
            cancellation?.cancel()
        } else if let bodyDeadline, now >= bodyDeadline {
            self.bodyDeadline = nil
            guard isAwaitingBody else { return }
            let limit = environment.limits.bodyTime
            finish(GRPCStatus(.deadlineExceeded, "the request did not come within \(limit)"))
        }
    }

    /// Keeps count of the bytes of unfinished messages, over all streams.
    private func chargeBuffered() {
        let bytes = machine.isFinished ? 0 : machine.bufferedBytes
        guard bytes != chargedBytes else { return }
        if environment.budget.change(from: chargedBytes, to: bytes) {
            chargedBytes = bytes
        } else {
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

    var isWritable: Bool { connection.isChannelWritable && !isBlocked && call != nil }
    var isFinished: Bool { machine.isFinished }

    func setReading(_ isReading: Bool) {
        guard self.isReading != isReading else { return }
        self.isReading = isReading
        guard isReading else { return }
        deliver()
        if self.isReading, heldCredit > 0 {
            connection.http.credit(ref, heldCredit)
            heldCredit = 0
            connection.outputAdded()
        }
    }

    func send(_ message: ByteBuffer) {
        guard let call else { return }
        switch machine.respond() {
        case .nothing: return
        case .headAndMessage:
            let block = connection.blocks.head(for: call.head, &connection.http.encoder)
            connection.http.sendHeaders(ref, block, endStream: false)
        case .message: break
        }
        let framed = MessageFraming.seal(
            message, coding: call.head.acceptsOwnCoding ? call.head.coding : .identity)
        if !hasPending, framed.readableBytes <= GRPCConnection.copiedBytesMax,
            connection.isChannelWritable, framed.readableBytes <= connection.http.capacity(ref)
        {
            unsafe framed.withUnsafeReadableBytes { unsafe connection.http.sendData(ref, $0) }
        } else {
            if pending == nil { pending = CircularBuffer(initialCapacity: 4) }
            pending?.append(framed)
            pendingBytes += framed.readableBytes
            if pendingBytes > GRPCStream.highWaterBytes { isBlocked = true }
            connection.enqueue(self)
        }
        connection.outputAdded()
    }

    func finish(_ status: GRPCStatus) {
        guard call != nil else { return }
        switch machine.finish() {
        case .nothing: return
        case .trailers: ending = Ending(status: status, isAlone: false)
        case .trailersOnly: ending = Ending(status: status, isAlone: true)
        }
        record(status)
        sendTrailersIfDue()
        connection.outputAdded()
    }

    // MARK: Output

    var hasPending: Bool { pendingBytes > 0 || ending != nil }

    /// The next bytes to be sent, out of the front of the messages.
    func takePending(upTo countMax: Int) -> ByteBuffer? {
        guard countMax > 0, pendingBytes > 0, var first = pending?.popFirst() else { return nil }
        let count = min(countMax, first.readableBytes)
        let taken = first.readSlice(length: count)
        if first.readableBytes > 0 { pending?.prepend(first) }
        pendingBytes -= count
        return taken
    }

    /// Ends the stream once all messages have left.
    func sendTrailersIfDue() {
        guard pendingBytes == 0, let ending else { return }
        self.ending = nil
        let block =
            ending.isAlone
            ? connection.blocks.trailersOnly(
                ending.status, requestID: call?.head.requestID, &connection.http.encoder)
            : connection.blocks.trailers(ending.status, &connection.http.encoder)
        connection.http.sendHeaders(ref, block, endStream: true)
        // A client that is still sending is told to stop.
        connection.http.reset(ref, .noError)
        connection.remove(ref)
        forget()
    }

    // MARK: The end

    /// The stream is gone: whatever is still being computed for it is of no use.
    func end(with status: GRPCStatus) {
        if machine.finish() != .nothing {
            call?.cancellation.cancel()
            record(status)
        }
        forget()
    }

    private func forget() {
        releaseCharge()
        deadline = nil
        bodyDeadline = nil
        pending = nil
        pendingBytes = 0
        ending = nil
        call = nil
        sink = nil
    }

    private func record(_ status: GRPCStatus) {
        releaseCharge()
        deadline = nil
        bodyDeadline = nil
        guard let call, let method else { return }
        let ended = environment.time.now()
        connection.lastCallEnded = ended
        let duration = call.received.duration(to: ended)
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
