// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletServing
internal import MartletWire
internal import NIOCore
internal import Tracing

extension HTTPConnection {
    /// Hands the complete request to its handler.
    func dispatch() {
        guard let context, let body = collector?.finish() else { return }
        collector = nil
        let head = parser.head
        sequence += 1
        enter(.handling)
        let exchange = Exchange(
            id: requestID(head), method: head.method,
            target: shared.configuration.logsAccess ? head.targetString : "",
            keepsAlive: head.keepsAlive, isOldVersion: head.minorVersion == 0, received: firstByte,
            receivedBytes: head.fields.bytes.count + body.count, cancellation: Cancellation(),
            metrics: shared.metrics.unrouted)
        self.exchange = exchange
        shared.metrics.requestBegins()
        shared.metrics.received(bytes: exchange.receivedBytes)
        switch shared.router.match(head) {
        case .notFound:
            let path = head.pathString.prefix(200)
            respond(.failure("no such route: \(path)", status: 404, head), to: sequence)
        case .methodNotAllowed(let allowed):
            var response = HTTPResponse.failure(
                "method not allowed; this route has \(allowed)", status: 405, head)
            response.fields.append(HTTPResponse.Field("Allow", allowed))
            respond(response, to: sequence)
        case .found(let route, let parameters):
            self.exchange?.metrics = route.metrics
            var trace = shared.tracing.context(of: head)
            if let span = shared.tracing.startSpan(head.method, route, in: trace) {
                trace = span.context
                self.exchange?.span = span
            }
            let request = HTTPRequest(
                head: head, body: body, requestID: exchange.id,
                cancellation: exchange.cancellation, received: firstByte,
                context: trace, route: route, parameters: parameters)
            let responder = HTTPResponder(
                loop: context.eventLoop, connection: self, sequence: sequence,
                acceptEncoding: head.fields["accept-encoding"])
            hand(request, to: route, responder)
        }
    }

    /// Runs the handler here, or on a worker when reading the request takes long.
    private func hand(_ request: HTTPRequest, to route: Route, _ responder: HTTPResponder) {
        let fields = request.head.fields
        let isPacked = fields.range(of: "content-encoding") != nil
        let textBytes =
            fields.range(of: "inference-header-content-length").flatMap { fields.decimal($0) }
            ?? request.body.count
        let isHeavy =
            textBytes > ServerShared.loopBytesMax
            || (isPacked && request.body.count > ServerShared.loopPackedBytesMax)
        guard isHeavy || isPacked else { return route.handler(request, responder) }
        let bodyBytesMax = shared.configuration.limits.bodyBytesMax
        let work: @Sendable () -> Void = {
            do throws(WireError) {
                var request = request
                if isPacked { try request.unpack(bodyBytesMax: bodyBytesMax) }
                route.handler(request, responder)
            } catch {
                responder.complete(
                    .failure(error.message, status: error.status, request.head))
            }
        }
        guard isHeavy else { return work() }
        if !shared.workers.submit(work) {
            var response = HTTPResponse.failure(
                "too many large requests wait to be read", status: 503, request.head)
            response.fields.append(HTTPResponse.Field("Retry-After", "1"))
            responder.complete(response)
        }
    }

    /// The client's id when it is short and plain, otherwise a new one.
    private func requestID(_ head: HTTPRequestHead) -> RequestID {
        guard let range = head.fields.range(of: "x-request-id"), (1...128).contains(range.count),
            head.fields.bytes[range].allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return .made(loopState.makeRequestID()) }
        return .given(head.fields.string(range))
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
}

extension HTTPRequest {
    /// Takes the body's compression off.
    mutating func unpack(bodyBytesMax: Int) throws(WireError) {
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
        let place =
            head.fields.range(of: "inference-header-content-length")
            .flatMap { head.fields.decimal($0) } ?? 0
        var collector = BodyCollector(length: unpacked.count, alignedPlace: place)
        unsafe unpacked.withUnsafeBytes { unsafe collector.append($0) }
        body = collector.finish()
    }
}
