// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import NIOCore

/// Who has sent a request to an upstream and hears of its answer, on the same event loop.
protocol UpstreamUser: AnyObject {
    /// The answer's head. Called once.
    func upstreamAnswered(_ head: HTTPResponseHead, _ connection: UpstreamConnection)
    func upstreamSent(body: UnsafeRawBufferPointer, _ connection: UpstreamConnection)
    /// The answer is complete.
    func upstreamFinished(_ connection: UpstreamConnection)
    /// The answer will not come, or no more of it.
    func upstreamFailed(_ failure: UpstreamFailure, _ connection: UpstreamConnection)
    /// All that has come for now has been told of.
    func upstreamPaused(_ connection: UpstreamConnection)
    /// The upstream has taken everything that was written.
    func upstreamDrained(_ connection: UpstreamConnection)
}

/// How an upstream failed, before or in its answer.
enum UpstreamFailure: Error {
    case cannotConnect(String)
    /// Closed or reset before the answer's head.
    case noAnswer
    /// Ended inside the answer, or sent what is no HTTP.
    case broken(String)

    var message: String {
        switch self {
        case .cannotConnect(let reason): "cannot connect: \(reason)"
        case .noAnswer: "the connection ended before the answer"
        case .broken(let reason): reason
        }
    }
}

/// One connection to an upstream. Lives on one event loop; serves one request at a time.
final class UpstreamConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let pool: UpstreamConnections
    @safe @exclusivity(unchecked) private(set) var user: (any UpstreamUser)?
    /// Requests that it has answered.
    @safe @exclusivity(unchecked) private(set) var served = 0
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
    }

    var isOpen: Bool { !isClosed && context != nil }
    var isIdle: Bool { user == nil }
    var waitingBytes: Int { outlet?.waitingBytes ?? 0 }

    // MARK: Requests

    /// Takes the connection for one request.
    func begin(_ user: any UpstreamUser, method: HTTPMethod) {
        self.user = user
        hasHead = false
        isRequestSent = false
        parser.begin(answering: method)
    }

    func send(_ bytes: UnsafeRawBufferPointer) {
        guard let context, !isClosed else { return }
        let mustWrite = unsafe outlet?.send(bytes, isActive: context.channel.isActive) ?? false
        if mustWrite { writePiece(context) }
    }

    /// Nothing more of the request follows.
    func endRequest() { isRequestSent = true }

    /// The request is given up: the upstream hears of it by the connection's end.
    func cancel() {
        user = nil
        close()
    }

    func hold(_ isHeld: Bool) {
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

    private func fail(_ failure: UpstreamFailure) {
        guard let user else { return }
        self.user = nil
        user.upstreamFailed(failure, self)
    }
}
