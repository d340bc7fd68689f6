// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import MartletResilience
internal import MartletWire
internal import NIOCore

/// An answer of the gateway's own.
struct LocalAnswer: Sendable {
    var status: Int
    /// nil: among the fields.
    var contentType: StaticString? = "application/json"
    var body: [UInt8]
    var fields: [(name: String, value: String)] = []
    /// What an error says, for people.
    var message: String?

    /// An error as the protocol of its path has it.
    static func error(
        _ status: Int, _ code: String, _ message: String, path: String = "/v1/"
    ) -> LocalAnswer {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key(plain: "error")
        if path.hasPrefix("/v2/") {
            writer.string(message)
        } else {
            writer.beginObject()
            writer.key(plain: "message")
            writer.string(message)
            writer.key(plain: "type")
            writer.string(status == 429 || status < 500 ? "invalid_request_error" : "server_error")
            writer.key(plain: "param")
            writer.null()
            writer.key(plain: "code")
            writer.string(code)
            writer.endObject()
        }
        writer.endObject()
        return LocalAnswer(status: status, body: writer.bytes, message: message)
    }

    static func json(_ value: JSONValue, status: Int = 200) -> LocalAnswer {
        LocalAnswer(status: status, body: value.serialized())
    }
}

extension ClientConnection {
    /// Answers the request here. What it held is given back.
    func answer(_ answer: LocalAnswer) {
        if let stream { return self.answer(answer, on: stream) }
        exchange.status = answer.status
        var keepsAlive = exchange.keepsAlive && !shared.isDraining
        if !exchange.isBodyComplete, !isBodyShort { keepsAlive = false }
        var head = HTTPHeadWriter(status: answer.status)
        if let type = answer.contentType { head.field("Content-Type", type) }
        head.field("Content-Length", answer.body.count)
        for field in answer.fields { head.field(field.name, field.value) }
        addRequestID(to: &head)
        if !keepsAlive { head.field("Connection", "close" as StaticString) }
        var bytes = head.finish()
        if exchange.method != .head { bytes += answer.body }
        loop.scratch.append(contentsOf: bytes)
        exchange.answerBytes = bytes.count
        flushScratch()
        finishExchange(keepsAlive: keepsAlive, lingers: true)
    }

    /// Whether the rest of the body is worth reading, so that the connection can be kept.
    private var isBodyShort: Bool {
        parser.head.contentLength ?? .max <= 64 << 10
            && (!parser.head.expectsContinue || exchange.bodyBytes > 0)
    }

    /// Answers what cannot be understood, and closes: where the next request begins is unknown.
    func refuse(_ error: WireError) {
        loop.metrics.refused += 1
        if isInRequest {
            switch exchange.stage {
            case .collecting: break
            case .over, .answering: return abort()
            case .waiting, .asked, .holding: giveUpAttempt(.neutral)
            }
        } else {
            loop.read { exchange.begin($0, at: shared.time.now()) }
            exchange.requestID = loop.random.next()
            isInRequest = true
        }
        exchange.keepsAlive = false
        exchange.isBodyComplete = false
        exchange.method = .post
        answerAndClose(.error(error.status, "bad_request", error.message))
    }

    private func answerAndClose(_ answer: LocalAnswer) {
        if let stream {
            if stream.isGRPC {
                return failCall(answer.status, answer.message ?? "", [], on: stream)
            }
            return self.answer(answer, on: stream)
        }
        exchange.status = answer.status
        var head = HTTPHeadWriter(status: answer.status)
        if let type = answer.contentType { head.field("Content-Type", type) }
        head.field("Content-Length", answer.body.count)
        head.field("Connection", "close" as StaticString)
        loop.scratch.append(contentsOf: head.finish() + answer.body)
        flushScratch()
        finishExchange(keepsAlive: false, lingers: true)
    }

    func fail(_ status: Int, _ code: String, _ message: String, retryAfter: Duration? = nil) {
        var answer = LocalAnswer.error(status, code, message, path: knownPath)
        if let retryAfter {
            let seconds = max(1, (retryAfter.nanosecondsSaturating + 999_999_999) / 1_000_000_000)
            answer.fields.append(("Retry-After", String(seconds)))
        }
        if let stream, stream.isGRPC {
            return failCall(status, message, answer.fields, on: stream)
        }
        self.answer(answer)
    }

    /// The answer has been handed over: settles accounts and goes on, or closes.
    func finishExchange(keepsAlive: Bool, lingers: Bool) {
        guard exchange.stage != .over else { return }
        exchange.stage = .over
        settle()
        exchange.runtime = nil
        exchange.pool = nil
        exchange.connection = nil
        holdsUpstream = false
        isBodyHeld = false
        if let stream { return endStream(stream, isWhole: lingers) }
        if keepsAlive {
            // Otherwise the rest of the body is still to come, to be dropped.
            if exchange.isBodyComplete { resumeReading() } else { wait(.body, shared.waits.body) }
        } else {
            isInRequest = false
            closeAfterSending(lingering: lingers)
        }
    }
}
