// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletServing
package import MartletWire
package import NIOCore
internal import Tracing

/// A door's routes for whoever asks from inside the process: no socket, no second parsing. Limits
/// on bodies, the workers and the metrics are those of the door.
package struct LocalDoor: Sendable {
    /// What comes of a request, in order: bytes as HTTP/1.1 writes them, and an end.
    package enum Part {
        case bytes([UInt8])
        case end
        /// The answer broke off.
        case cut
    }

    private let shared: ServerShared

    init(_ shared: ServerShared) {
        self.shared = shared
    }

    /// Answers a request whose body is whole.
    /// - Parameters:
    ///   - loop: the event loop that this is called on.
    ///   - hear: called on it, perhaps before this returns.
    package func ask(
        _ head: HTTPRequestHead, _ body: [UInt8], on loop: any EventLoop,
        _ hear: @escaping (Part) -> Void
    ) -> LocalCall {
        let call = LocalCall(shared, head, hear)
        call.begin(head, body, on: loop)
        return call
    }
}

/// A request from inside the process, until its answer has ended. Stays on its event loop.
package final class LocalCall: AnswerTaker {
    private let shared: ServerShared
    private let isHead: Bool
    private let received: MonotonicInstant
    private let cancellation = Cancellation()
    private var hear: ((LocalDoor.Part) -> Void)?
    private var stream: HTTPStream?
    private var status = 0
    private var isHeld = false
    private var metrics: RouteMetrics
    private var span: (any Span)?
    var recollection: AnyObject?

    init(
        _ shared: ServerShared, _ head: HTTPRequestHead,
        _ hear: @escaping (LocalDoor.Part) -> Void
    ) {
        self.shared = shared
        self.hear = hear
        isHead = head.method == .head
        received = shared.time.now()
        metrics = shared.metrics.unrouted
    }

    func begin(_ head: HTTPRequestHead, _ body: [UInt8], on loop: any EventLoop) {
        shared.metrics.requestBegins()
        let routed = RoutedHead(head, shared.router)
        guard case .found(let route, let parameters) = routed.match else {
            let path = head.pathString.prefix(200)
            return respond(.failure("no such route: \(path)", status: 404, head), to: 1)
        }
        metrics = route.metrics
        var trace = shared.tracing.context(of: head)
        span = shared.tracing.startSpan(head.method, route, in: trace)
        if let span { trace = span.context }
        var collector = BodyCollector(
            length: body.count,
            alignedPlace: routed.jsonByteCount ?? 0)
        unsafe body.withUnsafeBytes { _ = unsafe collector.append($0) }
        let responder = HTTPResponder(loop: loop, taker: self, shared: shared)
        responder.begin(1, .identity, holding: 0)
        guard responder.hold(body.count) else {
            return respond(.failure(ServerShared.bodiesAreFull, head), to: 1)
        }
        let request = HTTPRequest(
            head: head, body: collector.finish(),
            requestID: routed.requestID.map { .given($0) } ?? .made(0),
            cancellation: cancellation, received: received, context: trace, route: route,
            parameters: parameters)
        shared.hand(request, to: route, responder, routed)
    }

    /// Nobody waits for the answer any more.
    package func cancel() {
        guard hear != nil else { return }
        hear = nil
        cancellation.cancel()
        stream?.close()
        stream = nil
        record(499)
    }

    /// Takes no more of a streamed answer for now, or again.
    package func hold(_ isHeld: Bool) {
        self.isHeld = isHeld
        if !isHeld { pump() }
    }

    // MARK: The answer

    func takeBytes() -> [UInt8] { [] }

    func respond(_ response: consuming HTTPResponse, to sequence: UInt64) {
        guard hear != nil, stream == nil else { return }
        let status = response.status
        var bytes = head(response, isChunked: false)
        if !isHead {
            bytes += response.bytes
            for part in response.parts {
                unsafe part.withBytes { unsafe bytes.append(contentsOf: $0) }
            }
        }
        hear?(.bytes(bytes))
        end(.end, status)
    }

    func beginStream(_ stream: HTTPStream, _ response: HTTPResponse, to sequence: UInt64) {
        guard hear != nil else { return stream.close() }
        self.stream = stream
        status = response.status
        hear?(.bytes(head(response, isChunked: true)))
        pump()
    }

    func pumpStream(_ sequence: UInt64) { pump() }

    private func pump() {
        guard let stream, hear != nil, !isHeld else { return }
        let (bytes, isEnded) = stream.take()
        var chunks: [UInt8] = []
        HTTPConnection.appendChunk(bytes, isLast: isEnded, to: &chunks)
        if !chunks.isEmpty { hear?(.bytes(chunks)) }
        if isEnded { end(.end, status) }
    }

    func cutStream(_ sequence: UInt64) {
        guard stream != nil else { return }
        cancellation.cancel()
        end(.cut, status)
    }

    private func end(_ part: LocalDoor.Part, _ status: Int) {
        stream?.close()
        stream = nil
        let hear = hear
        self.hear = nil
        record(status)
        hear?(part)
    }

    private func record(_ status: Int) {
        let taken = received.duration(to: shared.time.now()).nanosecondsSaturating
        shared.metrics.requestEnds()
        metrics.record(status: status, nanoseconds: taken)
        if let span { RequestTracing.end(span, status: status) }
        span = nil
    }

    private func head(_ response: borrowing HTTPResponse, isChunked: Bool) -> [UInt8] {
        var head = HTTPHeadWriter(status: response.status)
        if let contentType = response.contentType { head.field("Content-Type", contentType) }
        if isChunked {
            head.field("Transfer-Encoding", "chunked" as StaticString)
        } else if response.status != 204, response.status != 304 {
            head.field("Content-Length", response.byteCount)
        }
        if let count = response.jsonByteCount {
            head.field("Inference-Header-Content-Length", count)
        }
        for field in response.fields { head.field(field.name, field.value) }
        return head.finish()
    }
}
