// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire
internal import NIOCore

/// Answers that are sent as they are made. Their bytes take the way of other answers, one piece at
/// a time: the next is taken when the last has left.
extension HTTPConnection: AnswerTaker {
    func takeBytes() -> [UInt8] { loopState.takeBytes() }

    /// The answer that is being sent piece by piece.
    struct Streaming {
        let stream: HTTPStream
        let status: Int
        let isChunked: Bool
        let keepsAlive: Bool
        var sentBytes = 0
    }

    /// Sends the head of an answer whose body follows.
    func beginStream(_ stream: HTTPStream, _ response: HTTPResponse, to sequence: UInt64) {
        guard sequence == self.sequence, let exchange else { return stream.close() }
        let isChunked = !exchange.isOldVersion
        let keepsAlive = exchange.keepsAlive && !shared.isDraining && isChunked
        streaming = Streaming(
            stream: stream, status: response.status, isChunked: isChunked, keepsAlive: keepsAlive)
        send(
            Outgoing(
                joined: makeHead(
                    response, id: exchange.id, keepsAlive: keepsAlive,
                    isOldVersion: exchange.isOldVersion, isChunked: isChunked)))
    }

    /// Sends what has been written meanwhile, unless something is still on its way.
    func pumpStream(_ sequence: UInt64) {
        guard sequence == self.sequence else { return }
        pumpStream()
    }

    func pumpStream() {
        guard var current = streaming, outgoing == nil else { return }
        let (bytes, isEnded) = current.stream.take()
        guard !bytes.isEmpty || isEnded else {
            enter(.handling)
            return
        }
        var joined = loopState.takeBytes()
        if current.isChunked {
            HTTPConnection.appendChunk(bytes, isLast: isEnded, to: &joined)
        } else {
            joined += bytes
        }
        current.sentBytes += joined.count
        streaming = current
        var answer = Outgoing(joined: joined)
        if isEnded { endStream(current, &answer) }
        send(answer)
    }

    private func endStream(_ current: Streaming, _ answer: inout Outgoing) {
        streaming = nil
        current.stream.close()
        if !current.keepsAlive {
            answer.isLast = true
            answer.lingers = inbound.readableBytes > 0
            stopReading()
        }
        if let exchange {
            self.exchange = nil
            record(exchange, current.status, sentBytes: current.sentBytes)
        }
    }

    /// Ends the connection of an answer that cannot be completed; its request is cancelled.
    func cutStream(_ sequence: UInt64) {
        guard sequence == self.sequence, streaming != nil else { return }
        abort()
    }

    static func appendChunk(
        _ bytes: [UInt8], isLast: Bool, to joined: inout [UInt8]
    ) {
        if !bytes.isEmpty {
            joined += String(bytes.count, radix: 16).utf8
            joined += "\r\n".utf8
            joined += bytes
            joined += "\r\n".utf8
        }
        if isLast { joined += "0\r\n\r\n".utf8 }
    }
}

extension HTTPResponder {
    /// Begins an answer whose body is written piece by piece; nil when the request is answered
    /// already. The response's own body is not sent.
    public func stream(
        _ head: HTTPResponse, pendingBytesMax: Int = 1 << 20
    ) -> HTTPStream? {
        guard takeAnswer() else { return nil }
        let stream = makeStream(pendingBytesMax: pendingBytesMax)
        onLoop { $0.beginStream(stream, head, to: $1) }
        return stream
    }
}

extension HTTPResponse {
    /// The body's bytes in one piece.
    var bodyBytes: [UInt8] {
        parts.reduce(into: bytes) { bytes, part in
            unsafe part.withBytes { unsafe bytes.append(contentsOf: $0) }
        }
    }

    /// The head of server-sent events.
    public static var events: HTTPResponse {
        HTTPResponse(
            contentType: "text/event-stream; charset=utf-8",
            fields: [
                HTTPResponse.Field("Cache-Control", "no-cache"),
                HTTPResponse.Field("X-Accel-Buffering", "no"),
            ])
    }
}
