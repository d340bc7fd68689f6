// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import NIOCore

/// An HTTP/1.1 connection to an upstream.
final class PlainUpstreamConnection: UpstreamConnection, ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let pool: UpstreamConnections
    @safe @exclusivity(unchecked) private(set) var idleSince = MonotonicInstant(nanoseconds: 0)
    @safe @exclusivity(unchecked) private var parser: HTTPResponseParser
    @safe @exclusivity(unchecked) private var context: ChannelHandlerContext?
    @safe @exclusivity(unchecked) private var outlet: Outlet?
    @safe @exclusivity(unchecked) private var inbound = ByteBuffer()
    @safe @exclusivity(unchecked) private var hasHead = false
    @safe @exclusivity(unchecked) private var isProcessing = false
    @safe @exclusivity(unchecked) private var isRequestSent = false
    /// Reading stands still while the client is behind.
    @safe @exclusivity(unchecked) private var isHeld = false
    /// Bytes that have come and wait their turn.
    @safe @exclusivity(unchecked) private var unread = 0
    /// The socket's own end of a channel without TLS.
    @safe @exclusivity(unchecked) private var core: (any ChannelCore)?
    /// The channel takes writes.
    @safe @exclusivity(unchecked) private var isActive = false
    @safe @exclusivity(unchecked) private var isClosed = false

    init(_ pool: UpstreamConnections) {
        self.pool = pool
        var limits = HTTPLimits()
        limits.headerBytesMax = 64 << 10
        limits.bodyBytesMax = Int.max
        parser = HTTPResponseParser(limits: limits)
        super.init(pool.identity)
    }

    var isOpen: Bool { !isClosed && context != nil }
    var isIdle: Bool { user == nil }
    override var waitingBytes: Int { outlet?.waitingBytes ?? 0 }

    // MARK: Requests

    override func begin(_ user: any UpstreamUser, method: HTTPMethod) {
        super.begin(user, method: method)
        hasHead = false
        isRequestSent = false
        parser.begin(answering: method)
    }

    override func send(_ bytes: UnsafeRawBufferPointer) {
        guard let context, !isClosed else { return }
        let mustWrite = unsafe outlet?.send(bytes, isActive: isActive) ?? false
        if mustWrite { writePiece(context) }
    }

    override func endRequest() { isRequestSent = true }

    /// The upstream hears of it by the connection's end.
    override func cancel() {
        super.cancel()
        close()
    }

    override func giveBack() { pool.giveBack(self) }

    override func hold(_ isHeld: Bool) {
        guard self.isHeld != isHeld else { return }
        self.isHeld = isHeld
        guard !isHeld else { return letRead(false) }
        process()
        if !self.isHeld { letRead(true) }
    }

    private func letRead(_ reads: Bool) {
        try? context?.channel.syncOptions?.setOption(.autoRead, value: reads)
    }

    func close() {
        isClosed = true
        pool.forget(self)
        context?.close(promise: nil)
    }

    private func writePiece(_ context: ChannelHandlerContext) {
        guard let piece = outlet?.nextPiece() else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [self] result in
            guard case .success = result else { return close() }
            outlet?.pieceHasLeft()
            guard let context = self.context else { return }
            if outlet?.waitingBytes ?? 0 > 0 {
                writePiece(context)
            } else {
                user?.upstreamDrained(self)
            }
        }
        context.writeAndFlush(wrapOutboundOut(piece), promise: written)
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isActive = context.channel.isActive
        outlet = Outlet(context.channel, isEncrypted: pool.identity.isEncrypted)
        if !pool.identity.isEncrypted { core = context.channel._channelCore }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        isClosed = true
        self.context = nil
        outlet = nil
        core = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        isActive = true
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if unread == 0 {
            inbound = unwrapInboundIn(data)
        } else {
            var buffer = unwrapInboundIn(data)
            inbound.writeBuffer(&buffer)
        }
        unread = inbound.readableBytes
        process()
    }

    /// Nobody behind listens for it. As the client's.
    func channelReadComplete(context: ChannelHandlerContext) {
        if !isHeld, !isClosed { core?.read0() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosed = true
        isActive = false
        pool.forget(self)
        isHeld = false
        process()
        if user != nil {
            do throws(WireError) {
                if try parser.finish() {
                    finish()
                } else {
                    fail(.noAnswer)
                }
            } catch {
                fail(hasHead ? .broken(error.message) : .noAnswer)
            }
            user?.upstreamPaused(self)
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        isClosed = true
        pool.forget(self)
        if let failure = UpstreamTLSContexts.failure(error, with: identity) {
            fail(failure)
        } else {
            fail(hasHead ? .broken("\(error)") : .noAnswer)
        }
        context.close(promise: nil)
    }

    // MARK: Answers

    private func process() {
        guard !isProcessing else { return }
        isProcessing = true
        // The channel uses its buffer again when nobody else holds it.
        var buffer = ByteBuffer()
        swap(&buffer, &inbound)
        let consumed = unsafe buffer.withUnsafeReadableBytes { unsafe takeApart($0) }
        isProcessing = false
        if unread > 0 {
            buffer.moveReaderIndex(forwardBy: consumed)
            buffer.discardReadBytes()
            inbound = buffer
        }
        user?.upstreamPaused(self)
    }

    /// - Returns: how many bytes of the front are done with.
    private func takeApart(_ bytes: UnsafeRawBufferPointer) -> Int {
        var place = 0
        while !isHeld {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[place...])
            let step: HTTPResponseParser.Step
            do throws(WireError) {
                // An idle connection has nothing to say: such bytes are refused.
                step = try unsafe parser.step(rest)
            } catch {
                fail(.broken(error.message))
                unread = 0
                close()
                return bytes.count
            }
            place += step.consumed
            unread = bytes.count - place
            switch step.event {
            case .needMore: return place
            case .interim: break
            case .body(let range):
                unsafe user?.upstreamSent(
                    body: UnsafeRawBufferPointer(rebasing: rest[range]), self)
            case .head:
                hasHead = true
                let head = parser.lendHead()
                user?.upstreamAnswered(head, self)
                parser.takeBack(head)
            case .end:
                finish()
                return place
            }
            // Whoever asked may have given up in between.
            if isClosed, user == nil { return place }
        }
        return place
    }

    private func finish() {
        let isReusable =
            parser.head.keepsAlive && isRequestSent && waitingBytes == 0 && !isClosed
            && unread == 0
        let user = user
        self.user = nil
        served += 1
        if isReusable {
            idleSince = pool.now()
            pool.giveBack(self)
        } else {
            close()
        }
        user?.upstreamFinished(self)
    }
}
