// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire

/// What is different about gRPC: where the model's name stands, what a refusal looks like, and
/// that an answer's worth is in its trailers.
extension ClientConnection {
    /// Whether the request says that its body is gRPC's.
    var hasGRPCBody: Bool {
        let fields = parser.head.fields
        guard let type = fields.range(.contentType) else { return false }
        let word: StaticString = "application/grpc"
        let count = word.utf8CodeUnitCount
        return type.count >= count
            && fields.matches(type.lowerBound..<type.lowerBound + count, word)
            && (type.count == count
                || !"-w".utf8.contains(fields.bytes[type.lowerBound + count]))
    }

    /// Prepares for a call's messages. True when the call has been answered.
    func beginCall() -> Bool {
        exchange.isGRPC = true
        let method = callMethod()
        if let body = method.answer(isReady: isReady) {
            answerCall(body)
            return true
        }
        exchange.messages = GRPCModelScanner(field: method.modelField)
        exchange.isStreamingCall = method.isStreaming
        return false
    }

    /// What the path means: looked up once for each that comes.
    private func callMethod() -> GRPCMethodKind {
        if let known = knownMethod { return known }
        let method = GRPCMethodKind(path: knownPath)
        knownMethod = method
        return method
    }

    /// Goes on once the messages say which model is meant.
    func messagesHaveGrown() {
        if let problem = exchange.messages.problem { return refuse(problem) }
        guard exchange.stage == .collecting else { return }
        guard exchange.messages.isSettled else {
            guard exchange.body.count <= shared.listen.searchedBytesMax else {
                return fail(
                    413, "model_not_found_in_body",
                    "the message does not name its model within its first "
                        + "\(shared.listen.searchedBytesMax) bytes (listen.searched_bytes)")
            }
            return
        }
        // A call with one message is kept whole, so that it can be repeated.
        guard exchange.isStreamingCall || exchange.body.count > shared.listen.keptBytesMax
        else { return }
        routeCall()
    }

    func routeCall() {
        exchange.modelName = exchange.messages.model
        route()
    }

    private func refuse(_ problem: GRPCModelScanner.Problem) {
        guard exchange.stage != .answering else { return abort() }
        giveUpAttempt(.neutral)
        switch problem {
        case .compressed:
            fail(
                501, "compressed_message",
                "the gateway reads the model's name out of messages: send them uncompressed")
        case .malformed: fail(400, "malformed_message", "the message is no protobuf")
        case .anotherModel:
            fail(
                400, "duplicate_member",
                "the call names one model and then another: one call, one model")
        }
    }

    func messageRenamer(_ rename: ModelRenaming) -> GRPCModelRenamer {
        GRPCModelRenamer(field: callMethod().modelField, name: rename.name)
    }

    /// What an upstream gets of the body's bytes.
    func renamed(_ body: [UInt8]) -> [UInt8] {
        guard exchange.renamer != nil else { return body }
        var messages: [UInt8] = []
        unsafe body.withUnsafeBytes { unsafe exchange.renamer?.append($0, to: &messages) }
        return messages
    }

    // MARK: Answers

    /// A refusal as a gRPC client reads it: trailers without a message.
    func failCall(
        _ status: Int, _ message: String, _ fields: [(name: String, value: String)],
        on stream: HTTP2ClientStream
    ) {
        let code = GRPCStatus.Code(httpStatus: status)
        var answer = LocalAnswer(status: status, body: [])
        answer.fields =
            [
                ("grpc-status", String(code.rawValue)),
                ("grpc-message", GRPCStatus(code, message).encodedMessage),
            ] + fields
        if status == 501 { answer.fields.append(("grpc-accept-encoding", "identity")) }
        self.answer(answer, on: stream)
    }

    /// Ends an answer that began and cannot be completed: its trailers say so.
    func cutCall(_ reason: String, on stream: HTTP2ClientStream) {
        let isLate = exchange.deadline.isPast(at: shared.time.now())
        let code: GRPCStatus.Code = isLate ? .deadlineExceeded : .unavailable
        exchange.status = GRPCStatus.Code.httpStatus(code.rawValue)
        let message = GRPCStatus(code, reason).encodedMessage
        stream.take(
            trailers: Array(
                "grpc-status: \(code.rawValue)\r\ngrpc-message: \(message)\r\n".utf8))
        flushScratch()
        finishExchange(keepsAlive: false, lingers: true)
    }

    private func answerCall(_ message: [UInt8]) {
        guard let stream else { return }
        stream.take(trailers: Array("grpc-status: 0\r\n".utf8))
        let count = UInt8(truncatingIfNeeded: message.count)
        answer(LocalAnswer(status: 200, body: [0, 0, 0, 0, count] + message), on: stream)
    }

    /// What the answer to a call is worth as a status of HTTP: for retries, breakers and metrics.
    func callStatus(_ head: HTTPResponseHead) -> Int {
        guard head.status == 200, let range = head.fields.range(of: "grpc-status") else {
            return head.status
        }
        return GRPCStatus.Code.httpStatus(head.fields.decimal(range))
    }

    /// As above, of trailers.
    func callStatus(trailers lines: [UInt8]) -> Int {
        let name = Array("grpc-status:".utf8)
        var start = 0
        while start < lines.count {
            let end = lines[start...].firstIndex(of: 0x0A) ?? lines.count
            if lines[start..<end].starts(with: name) {
                var place = start + name.count
                while place < end, lines[place] == 0x20 { place += 1 }
                var code: Int?
                while place < end, lines[place] &- UInt8(ascii: "0") <= 9, code ?? 0 < 1_000 {
                    code = (code ?? 0) * 10 + Int(lines[place] - UInt8(ascii: "0"))
                    place += 1
                }
                let isWhole = place == end || lines[place] == 0x0D || lines[place] == 0x20
                return GRPCStatus.Code.httpStatus(isWhole ? code : nil)
            }
            start = end + 1
        }
        return 502
    }
}

extension GRPCStatus.Code {
    /// gRPC's code for a refusal of ours.
    init(httpStatus: Int) {
        switch httpStatus {
        case 400: self = .invalidArgument
        case 401: self = .unauthenticated
        case 403: self = .permissionDenied
        case 404: self = .notFound
        case 408, 504: self = .deadlineExceeded
        case 409: self = .failedPrecondition
        case 413, 429, 431: self = .resourceExhausted
        case 499: self = .cancelled
        case 500: self = .internal
        case 501: self = .unimplemented
        case 502, 503: self = .unavailable
        default: self = .unknown
        }
    }

    /// What a `grpc-status` says, as HTTP would have it.
    static func httpStatus(_ value: Int?) -> Int {
        switch value.flatMap(GRPCStatus.Code.init(rawValue:)) {
        case .ok: 200
        case .cancelled: 499
        case .invalidArgument, .failedPrecondition, .outOfRange: 400
        case .deadlineExceeded: 504
        case .notFound: 404
        case .alreadyExists, .aborted: 409
        case .permissionDenied: 403
        case .unauthenticated: 401
        case .resourceExhausted: 429
        case .unimplemented: 501
        case .unavailable: 503
        case .unknown, .internal, .dataLoss: 500
        case nil: 502
        }
    }
}
