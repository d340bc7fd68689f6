// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import NIOCore

/// One HTTP/2 connection, whichever side of it: feeds the machine what comes, sends what it makes
/// in bursts. What streams are is its heirs' business. Lives on one event loop.
class HTTP2Link: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes that may wait for a socket before streams are held back.
    static let waitingBytesMax = 256 << 10
    /// With more, the peer does not read what it asks for.
    private static let stuckBytesMax = 8 << 20
    private static let keptBytesMax = 64 << 10

    // Exclusivity: as in ClientConnection.
    @safe @exclusivity(unchecked) var http: HTTP2Connection
    @safe @exclusivity(unchecked) private(set) var context: ChannelHandlerContext?
    @safe @exclusivity(unchecked) private(set) var now: MonotonicInstant
    @safe @exclusivity(unchecked) private(set) var isClosed = false
    @safe @exclusivity(unchecked) private var outlet: Outlet?
    @safe @exclusivity(unchecked) private var inbound = ByteBuffer()
    @safe @exclusivity(unchecked) private var isInBurst = false
    @safe @exclusivity(unchecked) private var isFlushScheduled = false
    @safe @exclusivity(unchecked) private var closesWhenSent = false
    @safe @exclusivity(unchecked) private(set) var block: [UInt8] = []
    private let isEncrypted: Bool
    private let time = SystemTime()

    init(
        _ configuration: HTTP2Connection.Configuration, role: HTTP2Connection.Role,
        isEncrypted: Bool
    ) {
        http = HTTP2Connection(configuration, role: role)
        self.isEncrypted = isEncrypted
        now = time.now()
    }

    // MARK: For heirs

    /// Something came that is not DATA.
    func take(_ event: HTTP2Connection.Event) {}
    func take(data: UnsafeRawBufferPointer, of stream: HTTP2StreamRef, endStream: Bool) {}
    /// All that was read has been told of.
    func burstHasEnded() {}
    /// Nothing comes or goes any more. Called once.
    func linkHasEnded() {}
    /// The socket takes more: what was held back may go on.
    func socketHasRoom() {}

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func begin(_ context: ChannelHandlerContext) {
        guard outlet == nil else { return }
        outlet = Outlet(context.channel, isEncrypted: isEncrypted)
        flush()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { close() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close() }

    private func end() {
        guard !isClosed else { return }
        isClosed = true
        outlet = nil
        linkHasEnded()
    }

    func close() {
        let context = context
        end()
        context?.close(promise: nil)
    }

    /// Closes once everything has left.
    func closeAfterSending() {
        flush()
        guard !isClosed else { return }
        closesWhenSent = true
        if waitingBytes == 0 { close() }
    }

    // MARK: Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        receive(unwrapInboundIn(data))
    }

    func receive(_ bytes: ByteBuffer) {
        guard !isClosed, !closesWhenSent else { return }
        isInBurst = true
        now = time.now()
        var bytes = bytes
        if inbound.readableBytes == 0 {
            inbound = bytes
        } else {
            inbound.writeBuffer(&bytes)
        }
        bytes = ByteBuffer()
        while !isClosed, !closesWhenSent, step() {}
        if inbound.readableBytes == 0 || isClosed {
            inbound = ByteBuffer()
        } else {
            inbound.discardReadBytes()
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        endBurst()
        context.fireChannelReadComplete()
    }

    func endBurst() {
        isInBurst = false
        guard !isClosed else { return }
        burstHasEnded()
        flush()
    }

    /// One step of the machine; false when it needs more.
    private func step() -> Bool {
        var isData = false
        let outcome = unsafe inbound.withUnsafeReadableBytes {
            bytes -> Result<HTTP2Connection.Step, HTTP2Error> in
            do throws(HTTP2Error) {
                let step = try unsafe http.step(bytes, now: now)
                if case .data(let stream, let range, let endStream) = step.event {
                    isData = true
                    unsafe take(
                        data: UnsafeRawBufferPointer(rebasing: bytes[range]), of: stream,
                        endStream: endStream)
                }
                return .success(step)
            } catch { return .failure(error) }
        }
        switch outcome {
        case .failure(let error):
            http.fail(error)
            closeAfterSending()
            return false
        case .success(let step):
            inbound.moveReaderIndex(forwardBy: step.consumed)
            if step.event == .needMore { return false }
            if !isData { take(step.event) }
            return true
        }
    }

    // MARK: Sending

    /// Bytes that the kernel has not taken.
    var waitingBytes: Int { outlet?.waitingBytes ?? 0 }
    /// Whether streams may give more to the machine.
    var hasRoom: Bool { waitingBytes + http.output.count < HTTP2Link.waitingBytesMax }

    /// Sends a header block that `write` puts together.
    func sendBlock(
        on stream: HTTP2StreamRef, endStream: Bool,
        _ write: (inout HPACKEncoder, inout [UInt8]) -> Void
    ) {
        // A block that is made and not sent would leave the peer's table behind.
        guard http.room(stream) != nil else { return }
        makeBlock(write)
        http.sendHeaders(stream, block, endStream: endStream)
        outputAdded()
    }

    /// Puts a header block together in `block`, whose memory is used again.
    func makeBlock(_ write: (inout HPACKEncoder, inout [UInt8]) -> Void) {
        block.removeAll(keepingCapacity: block.capacity <= HTTP2Link.keptBytesMax)
        http.encoder.begin(&block)
        write(&http.encoder, &block)
    }

    /// The machine's output has grown: it leaves at the end of the burst, or soon.
    func outputAdded() {
        guard !isInBurst, !isFlushScheduled, let context, !isClosed else { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolated().execute { [self] in
            isFlushScheduled = false
            flush()
        }
    }

    func flush() {
        guard let context, !isClosed, !http.output.isEmpty else { return }
        let hadNoRoom = !hasRoom
        let mustWrite = unsafe http.output.withUnsafeBytes {
            unsafe outlet?.send($0, isActive: context.channel.isActive) ?? false
        }
        http.clearOutput(keepingCapacity: http.output.capacity <= HTTP2Link.keptBytesMax)
        if mustWrite { writePiece(context) }
        if waitingBytes > HTTP2Link.stuckBytesMax { return close() }
        // The socket took it all, and will not say so later.
        if hadNoRoom, waitingBytes == 0 { socketHasRoom() }
    }

    private func writePiece(_ context: ChannelHandlerContext) {
        guard let piece = outlet?.nextPiece() else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [self] in pieceHasLeft($0) }
        context.writeAndFlush(wrapOutboundOut(piece), promise: written)
    }

    private func pieceHasLeft(_ result: Result<Void, any Error>) {
        guard !isClosed else { return }
        guard case .success = result, let context else { return close() }
        outlet?.pieceHasLeft()
        if waitingBytes > 0 { writePiece(context) }
        if waitingBytes <= HTTP2Link.waitingBytesMax / 4 {
            socketHasRoom()
            flush()
        }
        if closesWhenSent, waitingBytes == 0 { close() }
    }
}

/// What is to be sent on one stream: bytes that wait for windows and the socket, and how it ends.
struct HTTP2Outflow {
    enum End {
        case open
        /// END_STREAM on the last DATA.
        case data
        /// These lines as a last header block.
        case trailers([UInt8])
    }

    private static let keptBytesMax = 8 << 10

    private(set) var waiting = ByteBuffer()
    var end = End.open
    private(set) var isOver = false

    var waitingBytes: Int { waiting.readableBytes }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        unsafe waiting.writeBytes(bytes)
    }

    mutating func reset() {
        if waiting.capacity > HTTP2Outflow.keptBytesMax {
            waiting = ByteBuffer()
        } else {
            waiting.clear()
        }
        end = .open
        isOver = false
    }

    /// Gives the machine what windows and the socket have room for.
    mutating func pump(_ stream: HTTP2StreamRef, _ link: HTTP2Link) {
        guard !isOver, var room = link.http.room(stream) else { return }
        let before = link.http.output.count
        while waiting.readableBytes > 0, link.hasRoom {
            let count = min(waiting.readableBytes, room)
            guard count > 0 else { break }
            var endsHere = false
            if case .data = end { endsHere = count == waiting.readableBytes }
            unsafe waiting.withUnsafeReadableBytes {
                unsafe link.http.sendData(
                    stream, UnsafeRawBufferPointer(rebasing: $0[..<count]), endStream: endsHere)
            }
            waiting.moveReaderIndex(forwardBy: count)
            if endsHere { isOver = true }
            room = link.http.room(stream) ?? 0
        }
        if waiting.readableBytes == 0 {
            waiting.clear()
            finish(stream, link)
        } else {
            waiting.discardReadBytes()
        }
        if link.http.output.count != before { link.outputAdded() }
    }

    private mutating func finish(_ stream: HTTP2StreamRef, _ link: HTTP2Link) {
        guard !isOver else { return }
        switch end {
        case .open: return
        case .data:
            let nothing = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
            unsafe link.http.sendData(stream, nothing, endStream: true)
        case .trailers(let lines):
            link.sendBlock(on: stream, endStream: true) { encoder, block in
                unsafe lines.withUnsafeBytes { unsafe encoder.append(lines: $0, to: &block) }
            }
        }
        isOver = true
    }
}
