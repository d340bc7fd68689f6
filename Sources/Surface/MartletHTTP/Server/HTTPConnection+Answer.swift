// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletTensor
internal import MartletWire
internal import NIOCore

extension HTTPConnection {
    /// Bodies up to this size share a buffer with their head.
    private static let joinedBytesMax = 32 << 10

    /// Answers the request that `sequence` counts, unless it has been given up.
    func respond(_ response: HTTPResponse, to sequence: UInt64) {
        guard sequence == self.sequence, let exchange, let context else { return }
        self.exchange = nil
        let response = compressed(response, exchange)
        let keepsAlive = exchange.keepsAlive && !shared.isDraining
        let head = makeHead(
            response, id: exchange.id, keepsAlive: keepsAlive, isOldVersion: exchange.isOldVersion)
        let written = keepsAlive ? nil : context.eventLoop.makePromise(of: Void.self)
        let sent = write(
            head, exchange.method == .head ? [] : response.body, context, promise: written)
        headBytes = head
        record(exchange, response.status, sentBytes: sent)
        if keepsAlive {
            if context.channel.isWritable {
                resumeReading()
            } else {
                enter(.writing(byteCount: sent))
            }
        } else {
            enter(.writing(byteCount: sent))
            closeAfter(written, lingers: inbound.readableBytes > 0)
        }
    }

    /// Answers what cannot be understood, and closes: where the next request begins is unknown.
    func refuse(_ error: WireError) {
        guard let context else { return }
        if exchange == nil {
            let response = HTTPResponse.error(error.message, status: error.status)
            let head = makeHead(
                response, id: loopState.makeRequestID(), keepsAlive: false, isOldVersion: false)
            let written = context.eventLoop.makePromise(of: Void.self)
            collector = nil
            enter(.writing(byteCount: write(head, response.body, context, promise: written)))
            closeAfter(written, lingers: true)
            shared.metrics.unrouted.record(status: error.status, nanoseconds: 0)
            shared.logger.debug(
                "request refused",
                metadata: ["status": "\(error.status)", "reason": "\(error.message)"])
        } else {
            abort()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, !isClosing, case .writing = phase { resumeReading() }
        context.fireChannelWritabilityChanged()
    }

    /// Closes when the answer has left. Lingering ends our side only and throws away what still
    /// comes, so that the client can read the answer before its system hears that nobody listens.
    private func closeAfter(_ written: EventLoopPromise<Void>?, lingers: Bool) {
        guard let context else { return }
        isClosing = true
        inbound.clear()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        written?.futureResult.whenComplete { _ in
            let connection = bound.value
            guard lingers, let context = connection.context else { return connection.abort() }
            connection.enter(.lingering)
            context.close(mode: .output).whenFailure { _ in bound.value.abort() }
        }
    }

    // MARK: Writing

    private func makeHead(
        _ response: HTTPResponse, id: String, keepsAlive: Bool, isOldVersion: Bool
    ) -> [UInt8] {
        var head = HTTPHeadWriter(status: response.status, reusing: headBytes)
        headBytes = []
        if let contentType = response.contentType { head.field("Content-Type", contentType) }
        if response.status != 204 && response.status != 304 {
            head.field("Content-Length", response.byteCount)
        }
        for field in response.fields { head.field(field.name, field.value) }
        head.field("X-Request-Id", id)
        head.field("Date", bytes: loopState.currentDate())
        if !keepsAlive {
            head.field("Connection", "close")
        } else if isOldVersion {
            head.field("Connection", "keep-alive")
        }
        return head.finish()
    }

    /// Writes and flushes; returns how many bytes that were.
    private func write(
        _ head: [UInt8], _ body: [HTTPResponse.BodyPart], _ context: ChannelHandlerContext,
        promise: EventLoopPromise<Void>?
    ) -> Int {
        let bodyBytes = body.reduce(0) { $0 + $1.byteCount }
        let isJoined = bodyBytes <= HTTPConnection.joinedBytesMax
        var buffer = context.channel.allocator.buffer(
            capacity: head.count + (isJoined ? bodyBytes : 0))
        buffer.writeBytes(head)
        for part in body {
            if !isJoined {
                context.write(wrapOutboundOut(buffer), promise: nil)
                buffer = context.channel.allocator.buffer(capacity: part.byteCount)
            }
            switch part {
            case .bytes(let bytes): buffer.writeBytes(bytes)
            case .tensor(let tensor): _ = unsafe buffer.writeBytes(tensor.bytes)
            }
        }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: promise)
        return head.count + bodyBytes
    }

    private func compressed(_ response: HTTPResponse, _ exchange: Exchange) -> HTTPResponse {
        guard response.isCompressible, let accepted = exchange.acceptEncoding else {
            return response
        }
        let coding = ContentCoding(acceptEncoding: accepted)
        guard coding != .identity, let packed = try? HTTPConnection.pack(response.body, coding)
        else { return response }
        var response = response
        response.body = [.bytes(packed)]
        response.fields.append(HTTPResponse.Field("Content-Encoding", "\(coding.name)"))
        return response
    }

    private static func pack(
        _ parts: [HTTPResponse.BodyPart], _ coding: ContentCoding
    ) throws(WireError) -> [UInt8] {
        var packed: [UInt8] = []
        var deflater = try Deflater(coding)
        for part in parts {
            switch part {
            case .bytes(let bytes):
                try unsafe bytes.withUnsafeBufferPointer { (bytes) throws(WireError) in
                    try unsafe deflater.deflate(
                        UnsafeRawBufferPointer(bytes), isLast: false, appendingTo: &packed)
                }
            case .tensor(let tensor):
                try unsafe deflater.deflate(tensor.bytes, isLast: false, appendingTo: &packed)
            }
        }
        try unsafe deflater.deflate(
            UnsafeRawBufferPointer(start: nil, count: 0), isLast: true, appendingTo: &packed)
        return packed
    }

    // MARK: Telling

    private func record(_ exchange: Exchange, _ status: Int, sentBytes: Int) {
        let taken = exchange.received.duration(to: shared.time.now()).nanosecondsSaturating
        shared.metrics.requestEnds()
        shared.metrics.sent(bytes: sentBytes)
        exchange.metrics.record(status: status, nanoseconds: taken)
        guard shared.configuration.logsAccess, shared.logger.logLevel <= .info else { return }
        shared.logger.info(
            "request",
            metadata: [
                "request_id": "\(exchange.id)", "method": "\(exchange.method.rawValue)",
                "target": "\(exchange.target)", "status": "\(status)",
                "received_bytes": "\(exchange.receivedBytes)", "sent_bytes": "\(sentBytes)",
                "duration_us": "\(taken / 1000)",
            ])
    }
}
