// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletServing
internal import MartletWire
internal import NIOCore
internal import Synchronization
internal import Tracing

extension HTTPConnection {
    /// Hands the complete request to its handler.
    func dispatch() {
        guard let context, let body = collector?.finish(), let routed else { return }
        collector = nil
        sequence += 1
        enter(.handling)
        if !isKnownUniquelyReferenced(&cancellation) || !cancellation.isUntouched {
            cancellation = Cancellation()
        }
        let head = parser.head
        let receivedBytes = head.fields.bytes.count + body.count
        shared.metrics.requestBegins()
        shared.metrics.received(bytes: receivedBytes)
        let id = routed.requestID.map { .given($0) } ?? RequestID.made(loopState.makeRequestID())
        var exchange = Exchange(
            id: id, method: head.method,
            target: shared.configuration.logsAccess ? head.targetString : "",
            keepsAlive: head.keepsAlive, isOldVersion: head.minorVersion == 0, received: firstByte,
            receivedBytes: receivedBytes, metrics: shared.metrics.unrouted)
        guard case .found(let route, let parameters) = routed.match else {
            self.exchange = exchange
            return refuse(head, routed.match)
        }
        exchange.metrics = route.metrics
        var trace = shared.tracing.context(of: head)
        if let span = shared.tracing.startSpan(head.method, route, in: trace) {
            trace = span.context
            exchange.span = span
        }
        self.exchange = exchange
        let request = HTTPRequest(
            head: head, body: body, requestID: id, cancellation: cancellation,
            received: firstByte, context: trace, route: route, parameters: parameters)
        shared.hand(request, to: route, takeResponder(context.eventLoop, routed.coding), routed)
    }

    /// The last request's responder, when nobody holds it any more, or a new one.
    private func takeResponder(
        _ loop: any EventLoop, _ coding: ContentCoding
    ) -> HTTPResponder {
        if isKnownUniquelyReferenced(&responder), let responder {
            // The last holder may have let it go on another thread.
            atomicMemoryFence(ordering: .acquiring)
            responder.begin(sequence, coding, holding: takeHeldBytes())
            return responder
        }
        let fresh = HTTPResponder(loop: loop, taker: self, shared: shared)
        responder = fresh
        fresh.begin(sequence, coding, holding: takeHeldBytes())
        return fresh
    }

    private func takeHeldBytes() -> Int {
        defer { heldBytes = 0 }
        return heldBytes
    }

    /// Answers what no route takes.
    private func refuse(_ head: HTTPRequestHead, _ match: Router.Match) {
        switch match {
        case .methodNotAllowed(let allowed):
            var response = HTTPResponse.failure(
                "method not allowed; this route has \(allowed)", status: 405, head)
            response.fields.append(HTTPResponse.Field("Allow", allowed))
            respond(response, to: sequence)
        case .notFound, .found:
            let path = head.pathString.prefix(200)
            respond(.failure("no such route: \(path)", status: 404, head), to: sequence)
        }
    }
}

extension ServerShared {
    /// Runs the handler here, or on a worker when reading the request takes long.
    func hand(
        _ request: HTTPRequest, to route: Route, _ responder: HTTPResponder, _ routed: RoutedHead
    ) {
        let isPacked = routed.isPacked
        let textBytes = routed.jsonByteCount ?? request.body.count
        let isHeavy =
            textBytes > ServerShared.loopBytesMax
            || (isPacked && request.body.count > ServerShared.loopPackedBytesMax)
        guard isHeavy || isPacked else { return route.handler(request, responder) }
        let bodyBytesMax = configuration.limits.bodyBytesMax
        let work: @Sendable () -> Void = {
            do throws(WireError) {
                var request = request
                if isPacked { try request.unpack(bodyBytesMax: bodyBytesMax, for: responder) }
                route.handler(request, responder)
            } catch {
                responder.complete(.failure(error, request.head))
            }
        }
        guard isHeavy else { return work() }
        if !workers.submit(work) {
            let error = WireError(
                .limitExceeded, status: 503, "too many large requests wait to be read")
            responder.complete(.failure(error, request.head))
        }
    }
}

extension HTTPResponse {
    /// An error in the form that the path's clients read.
    static func failure(
        _ message: String, status: Int, _ head: HTTPRequestHead
    ) -> HTTPResponse {
        let isOpenAI = head.fields.bytes[head.path].starts(with: "/v1/".utf8)
        return isOpenAI
            ? .openAI(OpenAIError(status: status, message: message))
            : .error(message, status: status)
    }

    /// As above, for one that could not be read; 503 says when to come back.
    static func failure(_ error: WireError, _ head: HTTPRequestHead) -> HTTPResponse {
        var response = failure(error.message, status: error.status, head)
        if error.status == 503 { response.fields.append(Field("Retry-After", "1")) }
        return response
    }
}

extension HTTPRequest {
    /// Takes the body's compression off.
    /// - Parameter responder: holds what it becomes, too.
    mutating func unpack(bodyBytesMax: Int, for responder: HTTPResponder) throws(WireError) {
        guard let named = head.fields["content-encoding"] else { return }
        guard head.fields.occurrences(of: "content-encoding") == 1,
            let coding = ContentCoding(contentEncoding: named)
        else {
            throw WireError(
                .unsupported, status: 415, "content encodings known here: gzip, deflate, identity")
        }
        guard coding != .identity else { return }
        var inflater = try Inflater(coding, outputBytesMax: bodyBytesMax)
        var unpacked: [UInt8] = []
        try unsafe inflater.inflate(body.bytes, appendingTo: &unpacked)
        try inflater.finish()
        guard responder.hold(unpacked.count) else { throw ServerShared.bodiesAreFull }
        let place =
            head.fields.range(of: "inference-header-content-length")
            .flatMap { head.fields.decimal($0) } ?? 0
        var collector = BodyCollector(length: unpacked.count, alignedPlace: place)
        unsafe unpacked.withUnsafeBytes { _ = unsafe collector.append($0) }
        body = collector.finish()
    }
}
