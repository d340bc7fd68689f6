// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import NIOCore

/// An HTTP/1.1 connection to an upstream.
final class PlainUpstreamConnection: UpstreamConnection, ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
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
    @safe @exclusivity(unchecked) private var isReadHeld = false
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
        let mustWrite = unsafe outlet?.send(bytes, isActive: context.channel.isActive) ?? false
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
        guard !isHeld else { return }
        process()
        if isReadHeld, !self.isHeld {
            isReadHeld = false
            context?.read()
        }
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
        outlet = Outlet(context.channel, isEncrypted: pool.identity.isEncrypted)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        isClosed = true
        self.context = nil
        outlet = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if inbound.readableBytes == 0 {
            inbound = buffer
        } else {
            inbound.writeBuffer(&buffer)
        }
        buffer = ByteBuffer()
        process()
    }

    func read(context: ChannelHandlerContext) {
        if isHeld {
            isReadHeld = true
        } else {
            context.read()
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosed = true
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
        fail(hasHead ? .broken("\(error)") : .noAnswer)
        context.close(promise: nil)
    }

    // MARK: Answers

    private func process() {
        guard !isProcessing else { return }
        isProcessing = true
        takeApart()
        isProcessing = false
        if inbound.readableBytes == 0 {
            inbound = ByteBuffer()
        } else {
            inbound.discardReadBytes()
        }
        user?.upstreamPaused(self)
    }

    private func takeApart() {
        while !isHeld {
            do throws(WireError) {
                switch try step() {
                case .needMore: return
                case .interim, .body: break
                case .head:
                    hasHead = true
                    user?.upstreamAnswered(parser.head, self)
                case .end:
                    finish()
                    return
                }
                // Whoever asked may have given up in between.
                if isClosed, user == nil { return }
            } catch {
                fail(hasHead ? .broken(error.message) : .broken(error.message))
                return close()
            }
        }
    }

    private func step() throws(WireError) -> HTTPResponseParser.Event {
        if parser.isIdle {
            // An idle connection has nothing to say.
            guard inbound.readableBytes > 0 else { return .needMore }
            throw WireError(.malformed, "bytes that answer no request")
        }
        let outcome = unsafe inbound.withUnsafeReadableBytes {
            bytes -> Result<HTTPResponseParser.Step, WireError> in
            do throws(WireError) {
                let step = try unsafe parser.step(bytes)
                if case .body(let range) = step.event {
                    unsafe user?.upstreamSent(
                        body: UnsafeRawBufferPointer(rebasing: bytes[range]), self)
                }
                return .success(step)
            } catch { return .failure(error) }
        }
        let step = try outcome.get()
        inbound.moveReaderIndex(forwardBy: step.consumed)
        return step.event
    }

    private func finish() {
        let isReusable =
            parser.head.keepsAlive && isRequestSent && waitingBytes == 0 && !isClosed
            && inbound.readableBytes == 0
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
