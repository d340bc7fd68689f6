// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import NIOCore

extension HTTPConnection {
    /// Hands the complete request to its handler.
    func dispatch() {
        guard let context, let collected = collector?.finish() else { return }
        collector = nil
        let head = parser.head
        sequence += 1
        phase = .handling
        enter(.handling)
        let match = shared.router.match(head)
        var exchange = makeExchange(head, bodyBytes: collected.count)
        if case .found(let route, _) = match { exchange.metrics = route.metrics }
        self.exchange = exchange
        shared.metrics.requestBegins()
        shared.metrics.received(bytes: exchange.receivedBytes)
        switch match {
        case .notFound:
            let path = head.pathString.prefix(200)
            respond(failure("no such route: \(path)", status: 404, head), to: sequence)
        case .methodNotAllowed(let allowed):
            var response = failure(
                "method not allowed; this route has \(allowed)", status: 405, head)
            response.fields.append(HTTPResponse.Field("Allow", allowed))
            respond(response, to: sequence)
        case .found(let route, let parameters):
            do {
                let body = try unpack(collected, head)
                let request = HTTPRequest(
                    head: head, body: body, id: exchange.id, cancellation: exchange.cancellation,
                    received: firstByte, context: shared.tracing.context(of: head),
                    route: route, parameters: parameters)
                let responder = HTTPResponder(
                    loop: context.eventLoop, connection: self, sequence: sequence)
                route.handler(request, responder)
            } catch {
                respond(failure(error.message, status: error.status, head), to: sequence)
            }
        }
    }

    /// An error in the form that the path's clients read.
    private func failure(
        _ message: String, status: Int, _ head: HTTPRequestHead
    ) -> HTTPResponse {
        let isOpenAI = head.fields.bytes[head.path].starts(with: "/v1/".utf8)
        return isOpenAI
            ? .openAI(OpenAIError(status: status, message: message))
            : .error(message, status: status)
    }

    private func makeExchange(_ head: HTTPRequestHead, bodyBytes: Int) -> Exchange {
        Exchange(
            id: requestID(head), method: head.method,
            target: shared.configuration.logsAccess ? head.targetString : "",
            keepsAlive: head.keepsAlive, isOldVersion: head.minorVersion == 0,
            acceptEncoding: head.fields["accept-encoding"], received: firstByte,
            receivedBytes: head.fields.bytes.count + bodyBytes, cancellation: Cancellation(),
            metrics: shared.metrics.unrouted)
    }

    /// The client's id when it is short and plain, otherwise a new one.
    private func requestID(_ head: HTTPRequestHead) -> String {
        guard let range = head.fields.range(of: "x-request-id"), (1...128).contains(range.count),
            head.fields.bytes[range].allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return loopState.makeRequestID() }
        return head.fields.string(range)
    }

    /// The body without its compression.
    private func unpack(
        _ body: HTTPBody, _ head: HTTPRequestHead
    ) throws(WireError) -> HTTPBody {
        guard let named = head.fields["content-encoding"] else { return body }
        guard head.fields.occurrences(of: "content-encoding") == 1,
            let coding = ContentCoding(contentEncoding: named)
        else {
            throw WireError(
                .unsupported, status: 415, "content encodings known here: gzip, deflate, identity")
        }
        guard coding != .identity else { return body }
        var inflater = try Inflater(
            coding, outputBytesMax: shared.configuration.limits.bodyBytesMax)
        var unpacked: [UInt8] = []
        try unsafe inflater.inflate(body.bytes, appendingTo: &unpacked)
        try inflater.finish()
        let place =
            head.fields.range(of: "inference-header-content-length")
            .flatMap { head.fields.decimal($0) } ?? 0
        var collector = BodyCollector(length: unpacked.count, alignedPlace: place)
        unsafe unpacked.withUnsafeBytes { unsafe collector.append($0) }
        return collector.finish()
    }
}
