// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletWire
internal import NIOCore

/// A request that came as an HTTP/2 stream: its head is read as HTTP/1.1's text, its body comes
/// from the stream, and what is answered goes there.
extension ClientConnection {
    /// The bytes that an HTTP/2 client begins with.
    static let preface = HTTP2FrameWriter.preface

    /// Whether the connection's first bytes begin HTTP/2; nil while that is open.
    static func speaksHTTP2(_ bytes: ByteBuffer) -> Bool? {
        let count = min(bytes.readableBytes, preface.utf8CodeUnitCount)
        let isSame = unsafe bytes.withUnsafeReadableBytes { bytes in
            for offset in 0..<count where unsafe bytes[offset] != preface.utf8Start[offset] {
                return false
            }
            return true
        }
        guard isSame else { return false }
        return count == preface.utf8CodeUnitCount ? true : nil
    }

    /// Gives the connection to whoever speaks HTTP/2, with what has come of it.
    func handOver(_ context: ChannelHandlerContext, _ bytes: ByteBuffer) {
        leaveChannel()
        let link = HTTP2ClientLink(shared: shared, loop: loop)
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(link, position: .after(self))
        } catch {
            shared.release()
            return context.close(promise: nil)
        }
        link.receive(bytes)
        context.pipeline.syncOperations.removeHandler(context: context).assumeIsolated()
            .whenComplete { _ in link.endBurst() }
    }

    // MARK: A stream's request

    /// Reads a request's head.
    /// - Parameter isBodyless: nothing follows it.
    func takeHead(_ text: [UInt8], isBodyless: Bool) throws(WireError) {
        parser.leaveBody()
        let outcome = unsafe text.withUnsafeBytes { bytes -> Result<Void, WireError> in
            do throws(WireError) {
                guard try unsafe parser.step(bytes).event == .head else {
                    throw WireError(.malformed, "the head of the request is not whole")
                }
                return .success(())
            } catch { return .failure(error) }
        }
        try outcome.get()
        parser.leaveBody()
        if isBodyless { parser.dropBody() }
    }

    /// Waits for the body, if that is still what is waited for.
    func awaitBody() {
        if isInRequest, exchange.stage == .collecting { wait(.body, shared.waits.body) }
    }

    func add(body bytes: UnsafeRawBufferPointer) {
        guard isInRequest, exchange.stage != .over else { return }
        let (sum, overflow) = exchange.bodyBytes.addingReportingOverflow(bytes.count)
        guard !overflow, sum <= shared.listen.bodyBytesMax else {
            return refuse(
                WireError(
                    .limitExceeded, status: 413,
                    "a body of more than \(shared.listen.bodyBytesMax) bytes"))
        }
        unsafe take(body: bytes)
        bodyHasGrown()
        awaitBody()
    }

    func endBody() {
        guard isInRequest, exchange.stage != .over else { return }
        exchange.isBodyComplete = true
        bodyIsComplete()
    }

    /// The client has ended the stream, or is gone.
    func streamHasGone() {
        if isInRequest { clientHasGone() }
        isInRequest = false
        waitForNothing()
    }

    /// Some of the answer has left: the upstream may go on.
    func outputHasLeft() {
        let waiting = stream?.waitingBytes ?? 0
        if holdsUpstream, waiting <= ClientConnection.waitingBytesMax / 4 {
            holdsUpstream = false
            waitForAnswer()
            exchange.connection?.hold(false)
        } else if holdsUpstream || (!isInRequest && waiting > 0) {
            // The client takes some: the clock begins anew.
            wait(.write, shared.waits.write)
        }
    }

    /// The exchange of a stream is over.
    func endStream(_ stream: HTTP2ClientStream, isWhole: Bool) {
        isInRequest = false
        waitForNothing()
        guard isWhole else { return stream.abort() }
        stream.finish()
        if stream.waitingBytes > 0 { wait(.write, shared.waits.write) }
    }

    /// Keeps an answer's head for the stream.
    func keepHead(_ head: HTTPResponseHead, for stream: HTTP2ClientStream) {
        stream.takeHead(status: head.status) { lines in
            _ = head.fields.appendForwarded(
                to: &lines, keepsAuthorization: true, isRequest: false)
            if case .length(let count) = head.framing, !stream.isGRPC, !exchange.checksEvents {
                lines.append("content-length: ")
                lines.append(decimal: count)
                lines.append("\r\n")
            }
            if exchange.cacheResult != nil { lines.append("x-cache: miss\r\n") }
            appendRequestIDLine(to: &lines)
        }
    }

    /// Puts a kept answer on a stream.
    func replay(
        _ answer: CachedAnswer, age: Duration, _ result: CacheResult, on stream: HTTP2ClientStream
    ) {
        exchange.answerBytes = answer.body.count
        stream.takeHead(status: answer.status) { lines in
            lines.append(contentsOf: answer.lines)
            if !answer.isEventStream {
                lines.append(text: "content-length: \(answer.body.count)\r\n")
            }
            let seconds = age.nanosecondsSaturating / 1_000_000_000
            lines.append(text: "age: \(seconds)\r\nx-cache: \(result.rawValue)\r\n")
            appendRequestIDLine(to: &lines)
        }
        unsafe answer.body.withUnsafeBytes { unsafe stream.send($0) }
        finishExchange(keepsAlive: true, lingers: true)
    }

    private func appendRequestIDLine(to lines: inout WireBuffer) {
        lines.append("x-request-id: ")
        appendRequestID(to: &lines)
        lines.append("\r\n")
    }

    /// Puts an answer of the gateway's own on a stream.
    func answer(_ answer: LocalAnswer, on stream: HTTP2ClientStream) {
        exchange.status = answer.status
        exchange.answerBytes = answer.body.count
        stream.takeHead(status: stream.isGRPC ? 200 : answer.status) { lines in
            if stream.isGRPC {
                lines.append("content-type: application/grpc\r\n")
            } else {
                if let type = answer.contentType {
                    lines.append(text: "content-type: \(type)\r\n")
                }
                lines.append(text: "content-length: \(answer.body.count)\r\n")
            }
            for field in answer.fields {
                lines.append(text: "\(field.name): \(field.value)\r\n")
            }
            appendRequestIDLine(to: &lines)
        }
        if exchange.method != .head, !answer.body.isEmpty {
            unsafe answer.body.withUnsafeBytes { unsafe stream.send($0) }
        }
        finishExchange(keepsAlive: true, lingers: true)
    }
}
