// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire
internal import NIOCore

extension ClientConnection {
    // MARK: Head

    /// A request's head is there: who asks, and is the body needed to decide where it goes?
    func beginRequest() {
        let now = shared.time.now()
        loop.read { exchange.begin($0, at: now) }
        isInRequest = true
        isRequestChunked = false
        exchange.requestID = loop.random.next()
        exchange.isRepeatable = nil
        var caller = Caller()
        parser.readHead { head in
            exchange.method = head.method
            exchange.keepsAlive = head.keepsAlive
            exchange.isOldVersion = head.minorVersion == 0
            exchange.hasPriority = head.fields.has(.priority)
            takePath(head)
            caller.secret = ClientConnection.secret(head)
            if let secret = caller.secret, knownKey != nil {
                // Takes the same time wherever they differ.
                caller.isKnown = head.fields.equalsInConstantTime(secret, knownSecret)
            }
            if head.fields.has(.requestID) { exchange.givenID = ClientConnection.givenID(head) }
            caller.hasTimeout = head.fields.has(.grpcTimeout) || head.fields.has(.requestTimeout)
        }
        if !isPathPlain, answersLocally(parser.head) { return }
        if let stream, stream.isGRPC, beginCall() { return }
        guard authenticate(caller, at: now) else { return }
        if !isPathPlain {
            if takesFeedback() || isPathListing && asksForListing() { return }
            exchange.modelName = modelInPath()
        }
        if caller.hasTimeout, !takesDeadline(parser.head, at: now) { return }
        exchange.scansBody =
            exchange.method == .post && exchange.modelName == nil
            && parser.head.contentLength != 0 && !exchange.isGRPC
        if exchange.isGRPC { return messagesHaveGrown() }
        if parser.head.expectsContinue, unread == 0 { sendContinue() }
        if !needsBody { route() }
    }

    /// What a head says of who asks.
    struct Caller {
        var secret: Range<Int>?
        /// It is the secret that was looked up last.
        var isKnown = false
        var hasTimeout = false
    }

    /// Whether the body decides where the request goes.
    private var needsBody: Bool {
        exchange.scansBody || parser.head.contentLength == 0
            || exchange.runtime?.needsBody ?? false
            || parser.head.contentLength ?? .max
                <= shared.listen.keptBytesMax
    }

    private func takePath(_ head: borrowing HTTPRequestHead) {
        guard !head.fields.equals(head.path, knownPathBytes) else { return }
        knownPathBytes = Array(head.fields.bytes[head.path])
        knownPath = String(decoding: knownPathBytes, as: UTF8.self)
        knownMethod = nil
        pathKind = UpstreamPath.kind(knownPath)
        isPathPlain = ![
            "/v2", "/admin/", "/healthz", "/metrics", "/v1/feedback", "/v1/models",
        ].contains { knownPath.hasPrefix($0) }
        isPathListing = ClientConnection.isListing(knownPath)
    }

    /// NAME in `/v2/models/NAME/…`.
    private func modelInPath() -> String? {
        guard knownPath.hasPrefix("/v2/models/") else { return nil }
        let rest = knownPath.dropFirst("/v2/models/".count)
        let name = rest.prefix { $0 != "/" }
        return name.isEmpty ? nil : String(name)
    }

    /// The client's own time limit: `X-Request-Timeout: 30`, `1.5s` or `500ms`, or gRPC's.
    /// Answers and returns false when it is no time.
    private func takesDeadline(_ head: HTTPRequestHead, at now: MonotonicInstant) -> Bool {
        let grpc = head.fields.range(.grpcTimeout)
        guard let range = grpc ?? head.fields.range(.requestTimeout) else { return true }
        let text = head.fields.string(range)
        guard let time = grpc == nil ? RequestTimeout.read(text) : GRPCTimeout.parse(text) else {
            refuseTimeout(grpc == nil ? "X-Request-Timeout" : "grpc-timeout", text)
            return false
        }
        exchange.deadline = Deadline(after: time, from: now)
        return true
    }

    // MARK: Who asks

    /// Answers and returns false when nobody known asks.
    private func authenticate(_ caller: Caller, at now: MonotonicInstant) -> Bool {
        guard let runtime = exchange.runtime, runtime.access.requiresKey else { return true }
        guard let secret = caller.secret else {
            if isCertified(runtime) { return true }
            loop.metrics.unauthorized += 1
            fail(401, "missing_api_key", "an API key is needed: Authorization: Bearer KEY")
            return false
        }
        if !runtime.access.issuers.isEmpty,
            TokenVerifier.looksLikeToken(parser.head.fields.bytes[secret])
        {
            return authenticate(
                token: secret, isKnown: caller.isKnown, parser.head, runtime, at: now)
        }
        if caller.isKnown, let known = knownKey, knownIn == runtime.serial,
            runtime.keyNeverExpires[known]
        {
            exchange.key = known
            return true
        }
        return lookUp(secret, parser.head, runtime, at: now)
    }

    private func lookUp(
        _ secret: Range<Int>, _ head: HTTPRequestHead, _ runtime: GatewayRuntime,
        at now: MonotonicInstant
    ) -> Bool {
        let answer = unsafe head.fields.bytes.withUnsafeBytes {
            unsafe runtime.access.look(
                UnsafeRawBufferPointer(rebasing: $0[secret]),
                realSeconds: loop.epochSeconds(at: now))
        }
        switch answer {
        case .known(let key):
            exchange.key = key
            knownKey = key
            knownIn = runtime.serial
            knownSecret = Array(head.fields.bytes[secret])
            return true
        case .expired, .unknown:
            loop.metrics.unauthorized += 1
            badSecrets += 1
            if badSecrets >= 10 { exchange.keepsAlive = false }
            if answer == .expired {
                fail(401, "expired_api_key", "this API key has expired")
            } else {
                fail(401, "invalid_api_key", "this API key is not known")
            }
            return false
        }
    }

    /// Where the secret stands in the head: a bearer token, or X-Api-Key.
    static func secret(_ head: borrowing HTTPRequestHead) -> Range<Int>? {
        if let range = head.fields.range(.authorization) {
            let start = range.lowerBound + 7
            guard range.count > 7, head.fields.matches(range.lowerBound..<start, "bearer ")
            else { return nil }
            return start..<range.upperBound
        }
        return head.fields.range(.apiKey)
    }

    // MARK: Body

    /// Takes the body's next bytes.
    func take(body bytes: UnsafeRawBufferPointer) {
        exchange.bodyBytes += bytes.count
        switch exchange.stage {
        case .collecting:
            unsafe exchange.body.append(contentsOf: bytes)
            if exchange.scansBody { unsafe exchange.members.read(bytes) }
            if exchange.isGRPC { unsafe exchange.messages.read(bytes) }
        case .waiting, .asked, .holding, .answering:
            if exchange.scansBody { unsafe exchange.members.read(bytes) }
            if exchange.isGRPC {
                unsafe exchange.messages.read(bytes)
                // Refused by whoever looks at what has come; nothing of it goes on.
                if exchange.messages.problem != nil { return }
            }
            if exchange.isReplayable || exchange.stage == .waiting {
                unsafe exchange.body.append(contentsOf: bytes)
            }
            if exchange.stage != .waiting { unsafe forward(body: bytes) }
            if exchange.body.count > shared.listen.keptBytesMax, exchange.stage != .waiting {
                exchange.isReplayable = false
                exchange.body = []
            }
        case .over: break
        }
    }

    /// More of the body has come: is there enough to go by?
    func bodyHasGrown() {
        if exchange.isAdmin, exchange.stage == .collecting { return checkSearched() }
        if exchange.isFeedback, exchange.stage == .collecting {
            if exchange.body.count > FeedbackBody.bytesMax { answerFeedback() }
            return
        }
        if exchange.isGRPC { return messagesHaveGrown() }
        if exchange.stage == .waiting, exchange.body.count > shared.listen.keptBytesMax {
            isBodyHeld = true
        }
        if exchange.stage != .collecting {
            if exchange.scansBody, exchange.members.hasDuplicate { refuseDuplicate() }
            return
        }
        guard exchange.body.count > shared.listen.keptBytesMax,
            !(exchange.runtime?.needsBody ?? false)
        else { return checkSearched() }
        if !exchange.scansBody || exchange.members.hasModel { return route() }
        checkSearched()
    }

    private func checkSearched() {
        guard exchange.body.count > shared.listen.searchedBytesMax else { return }
        fail(
            413, "model_not_found_in_body",
            exchange.runtime?.needsBody ?? false
                ? "routes go by members of the body, which then has at most "
                    + "\(shared.listen.searchedBytesMax) bytes (listen.searched_bytes)"
                : "the body does not name its model within its first "
                    + "\(shared.listen.searchedBytesMax) bytes (listen.searched_bytes): put "
                    + "\"model\" before what is long")
    }

    func bodyIsComplete() {
        switch exchange.stage {
        case .collecting where exchange.isAdmin: answerAdmin()
        case .collecting where exchange.isFeedback: answerFeedback()
        case .collecting where exchange.isGRPC: routeCall()
        case .collecting: route()
        case .over: resumeReading()
        case .waiting: break
        case .asked, .holding, .answering:
            if exchange.scansBody, exchange.members.hasDuplicate { return refuseDuplicate() }
            endForwardedBody()
        }
    }

    /// Two readers would take two different models.
    private func refuseDuplicate() {
        guard exchange.stage != .answering else { return abort() }
        giveUpAttempt(.neutral)
        fail(400, "duplicate_member", "a member of the body that decides its way comes twice")
    }

    func bodyIsLate() {
        guard isInRequest, exchange.stage == .collecting else { return abort() }
        refuse(WireError(.limitExceeded, status: 408, "the body took too long to arrive"))
    }
}

/// The client's time limit as `X-Request-Timeout` has it.
enum RequestTimeout {
    /// Reads seconds ("30", "1.5", "1.5s") or milliseconds ("500ms"); nil for anything else.
    static func read(_ text: String) -> Duration? {
        let isMilliseconds = text.hasSuffix("ms")
        let digits =
            isMilliseconds ? text.dropLast(2) : text.hasSuffix("s") ? text.dropLast() : text[...]
        guard let value = Double(digits), value > 0, value < 1e9 else { return nil }
        return .nanoseconds(Int64(value * (isMilliseconds ? 1e6 : 1e9)))
    }
}
