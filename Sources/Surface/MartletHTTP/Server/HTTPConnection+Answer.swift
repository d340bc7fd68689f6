// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletWire
internal import NIOCore

extension HTTPConnection {
    /// Answers the request that `sequence` counts, unless it has been given up.
    func respond(_ response: consuming HTTPResponse, to sequence: UInt64) {
        guard sequence == self.sequence, let exchange = exchange.take() else { return }
        releaseBody()
        let status = response.status
        let keepsAlive = exchange.keepsAlive && !shared.isDraining
        let before = gathered.count
        var answer = Outgoing(
            joined: makeHead(
                response, id: exchange.id, keepsAlive: keepsAlive,
                isOldVersion: exchange.isOldVersion))
        if exchange.method != .head { loopState.giveBack(answer.add(consume response)) }
        let byteCount = answer.byteCount - before
        if !keepsAlive {
            answer.isLast = true
            answer.lingers = inbound.readableBytes > 0
            stopReading()
        }
        if keepsAlive, isProcessing, inbound.readableBytes > 0, answer.canGather {
            gathered = answer.takeJoined()
            enter(.idle)
        } else {
            send(consume answer)
        }
        record(exchange, status, sentBytes: byteCount)
    }

    /// Answers what cannot be understood, and closes: where the next request begins is unknown.
    func refuse(_ error: WireError) {
        guard exchange == nil else { return abort() }
        // What is wrong with a body comes after a head that tells whose form the answer has.
        let response =
            error.status == 503 || error.status == 413
            ? HTTPResponse.failure(error, parser.head)
            : HTTPResponse.error(error.message, status: error.status)
        var answer = Outgoing(
            joined: makeHead(
                response, id: .made(loopState.makeRequestID()), keepsAlive: false,
                isOldVersion: false))
        _ = answer.add(response)
        answer.isLast = true
        answer.lingers = true
        collector = nil
        releaseBody()
        stopReading()
        send(answer)
        shared.metrics.unrouted.record(status: error.status, nanoseconds: 0)
        shared.logger.debug(
            "request refused",
            metadata: ["status": "\(error.status)", "reason": "\(error.message)"])
    }

    func stopReading() {
        isClosing = true
        inbound.clear()
    }

    /// The answer's head, behind what has been gathered.
    func makeHead(
        _ response: HTTPResponse, id: RequestID, keepsAlive: Bool, isOldVersion: Bool,
        isChunked: Bool? = nil
    ) -> [UInt8] {
        var start: [UInt8] = []
        swap(&start, &gathered)
        if start.isEmpty { start = loopState.takeBytes() }
        var head = HTTPHeadWriter(status: response.status, appendingTo: consume start)
        if let contentType = response.contentType { head.field("Content-Type", contentType) }
        if isChunked == true {
            head.field("Transfer-Encoding", "chunked" as StaticString)
        } else if isChunked == nil, response.status != 204 && response.status != 304 {
            head.field("Content-Length", response.byteCount)
        }
        if let count = response.jsonByteCount {
            head.field("Inference-Header-Content-Length", count)
        }
        for field in response.fields { head.field(field.name, field.value) }
        switch id {
        case .made(let number): head.field("X-Request-Id", hexadecimal: number)
        case .given(let text): head.field("X-Request-Id", text)
        }
        head.lines(loopState.currentDateLine())
        if !keepsAlive {
            head.field("Connection", "close" as StaticString)
        } else if isOldVersion {
            head.field("Connection", "keep-alive" as StaticString)
        }
        return (consume head).finish()
    }

    func record(_ exchange: Exchange, _ status: Int, sentBytes: Int) {
        let taken = exchange.received.duration(to: shared.time.now()).nanosecondsSaturating
        shared.metrics.requestEnds()
        shared.metrics.sent(bytes: sentBytes)
        exchange.metrics.record(status: status, nanoseconds: taken)
        if let span = exchange.span { RequestTracing.end(span, status: status) }
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
