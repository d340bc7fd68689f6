// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletWire
internal import NIOCore

/// One HTTP/2 connection to an upstream, with a stream for each request.
final class HTTP2UpstreamLink: HTTP2Link {
    let identity: UpstreamIdentity
    private weak var owner: UpstreamConnections?
    /// By the slots of the machine's table.
    @safe @exclusivity(unchecked) private var streams: [HTTP2UpstreamStream?] = []
    @safe @exclusivity(unchecked) private var free: [HTTP2UpstreamStream] = []
    /// Streams that are over: not used again before whoever ended them is done.
    @safe @exclusivity(unchecked) private var retired: [HTTP2UpstreamStream] = []
    @safe @exclusivity(unchecked) private(set) var served = 0
    @safe @exclusivity(unchecked) private(set) var idleSince: MonotonicInstant
    @safe @exclusivity(unchecked) private var answers = HTTPResponseParser()

    /// Why it ended, where more is known than that.
    private(set) var failure: UpstreamFailure?
    /// An answer's head as HTTP/1.1 writes it.
    @safe @exclusivity(unchecked) private var text: [UInt8] = []

    private static let freeMax = 128

    init(_ owner: UpstreamConnections, _ identity: UpstreamIdentity) {
        self.owner = owner
        self.identity = identity
        idleSince = SystemTime().now()
        var limits = HTTPLimits()
        limits.headerBytesMax = 128 << 10
        limits.bodyBytesMax = Int.max
        answers = HTTPResponseParser(limits: limits)
        super.init(
            HTTP2Connection.clientConfiguration, role: .client, isEncrypted: identity.isEncrypted)
    }

    /// Whether it takes another request.
    var canOpen: Bool {
        guard !isClosed else { return false }
        let load = http.load()
        return load.canOpen && reserved + load.streams < 100
    }
    var isIdle: Bool { reserved == 0 && http.load().streams == 0 }
    /// Streams that are handed out and have sent nothing yet.
    @safe @exclusivity(unchecked) private var reserved = 0

    /// A stream for one request.
    func makeStream() -> HTTP2UpstreamStream {
        reserved += 1
        if let stream = free.popLast() {
            stream.reset(served: served)
            return stream
        }
        return HTTP2UpstreamStream(self)
    }

    func release() { reserved -= 1 }

    func open(
        _ stream: HTTP2UpstreamStream, _ head: HTTPRequestHead, endStream: Bool
    ) -> HTTP2StreamRef? {
        guard !isClosed, http.load().canOpen else { return nil }
        makeBlock { encoder, block in
            encoder.append(head, scheme: identity.isEncrypted ? "https" : "http", to: &block)
            if identity.dialect == .grpc {
                encoder.append("te", "trailers", .remembered, to: &block)
            }
        }
        guard let ref = http.open(block, endStream: endStream, isBodiless: head.method == .head)
        else { return nil }
        while streams.count <= ref.slot { streams.append(nil) }
        streams[ref.slot] = stream
        outputAdded()
        return ref
    }

    /// Forgets a stream that is over.
    func forget(_ ref: HTTP2StreamRef, _ stream: HTTP2UpstreamStream) {
        if ref.slot < streams.count, streams[ref.slot] === stream { streams[ref.slot] = nil }
        served += 1
        if retired.count < HTTP2UpstreamLink.freeMax { retired.append(stream) }
        let load = http.load()
        if load.streams == 0 {
            idleSince = now
            if load.isDraining || !load.canOpen { closeAfterSending() }
        }
    }

    private func stream(_ ref: HTTP2StreamRef) -> HTTP2UpstreamStream? {
        guard ref.slot < streams.count, let stream = streams[ref.slot], stream.ref == ref else {
            return nil
        }
        return stream
    }

    // MARK: Events

    override func take(_ event: HTTP2Connection.Event) {
        switch event {
        case .response(let ref, let endStream):
            guard let stream = stream(ref) else { return }
            text.removeAll(keepingCapacity: true)
            HTTP2Text.appendResponse(http.fields, endStream: endStream, to: &text)
            stream.take(answer: text, &answers, endStream: endStream)
            stream.tell()
        case .trailers(let ref):
            guard let stream = stream(ref) else { return }
            var lines: [UInt8] = []
            HTTP2Text.appendTrailers(http.fields, to: &lines)
            stream.take(trailers: lines)
            stream.tell()
        case .reset(let ref, let code): stream(ref)?.wasReset(code)
        case .windowOpened(let ref?): stream(ref)?.pump()
        case .windowOpened(nil): pumpAll()
        case .goAway(let last): goAway(last)
        default: break
        }
    }

    override func take(
        data: UnsafeRawBufferPointer, of ref: HTTP2StreamRef, endStream: Bool
    ) {
        guard let stream = stream(ref) else { return http.credit(ref, data.count) }
        unsafe stream.take(data: data, endStream: endStream)
        stream.tell()
    }

    override func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = UpstreamTLSContexts.failure(error, with: identity)
        super.errorCaught(context: context, error: error)
    }

    override func burstHasEnded() {
        guard !retired.isEmpty else { return }
        free += retired.prefix(
            HTTP2UpstreamLink.freeMax - min(free.count, HTTP2UpstreamLink.freeMax))
        retired.removeAll(keepingCapacity: true)
    }

    override func socketHasRoom() { pumpAll() }

    private func pumpAll() {
        for stream in streams { stream?.pump() }
    }

    /// The server will not answer the streams above `last`: they may be asked elsewhere.
    private func goAway(_ last: UInt32) {
        owner?.forget(self)
        for stream in streams {
            if let stream, let ref = stream.ref, ref.id > last { stream.wasRefused() }
        }
        if http.streamCount == 0, reserved == 0 { closeAfterSending() }
    }

    override func linkHasEnded() {
        owner?.forget(self)
        let all = streams
        streams = []
        for stream in all { stream?.linkHasEnded() }
    }
}

/// One request as a stream of an HTTP/2 connection.
final class HTTP2UpstreamStream: UpstreamConnection {
    private let link: HTTP2UpstreamLink
    @safe @exclusivity(unchecked) private(set) var ref: HTTP2StreamRef?
    @safe @exclusivity(unchecked) private var parser: HTTPRequestParser
    @safe @exclusivity(unchecked) private var outflow = HTTP2Outflow()
    @safe @exclusivity(unchecked) private var method = HTTPMethod.get
    @safe @exclusivity(unchecked) private var isReserved = true
    @safe @exclusivity(unchecked) private var hasHead = false
    @safe @exclusivity(unchecked) private var hasEnded = false
    @safe @exclusivity(unchecked) private var isHeld = false
    /// Bytes of the answer that the user has and the window has not.
    @safe @exclusivity(unchecked) private var heldCredit = 0
    /// The head of an answer to a whole request: told of when it is clear that more than an error
    /// follows.
    @safe @exclusivity(unchecked) private var keptHead: HTTPResponseHead?

    init(_ link: HTTP2UpstreamLink) {
        self.link = link
        var limits = HTTPLimits()
        limits.headerBytesMax = 128 << 10
        limits.requestLineBytesMax = 64 << 10
        limits.headerCountMax = 200
        limits.bodyBytesMax = Int.max
        parser = HTTPRequestParser(limits: limits)
        super.init(link.identity)
        served = link.served
    }

    /// Makes it ready for another request.
    func reset(served: Int) {
        self.served = served
        ref = nil
        parser.leaveBody()
        outflow.reset()
        isReserved = true
        hasHead = false
        hasEnded = false
        isHeld = false
        heldCredit = 0
        keptHead = nil
    }

    override var waitingBytes: Int { outflow.waitingBytes }

    override func begin(_ user: any UpstreamUser, method: HTTPMethod) {
        super.begin(user, method: method)
        self.method = method
    }

    override func giveBack() {
        user = nil
        unreserve()
    }

    private func unreserve() {
        guard isReserved else { return }
        isReserved = false
        link.release()
    }

    // MARK: Sending

    override func send(_ bytes: UnsafeRawBufferPointer) {
        var rest = unsafe bytes
        while !hasEnded {
            do throws(WireError) {
                let step = try unsafe parser.step(rest)
                switch step.event {
                case .needMore: return pump()
                case .head: begin(parser.head)
                case .body(let range):
                    unsafe outflow.append(UnsafeRawBufferPointer(rebasing: rest[range]))
                case .end:
                    if case .open = outflow.end { outflow.end = .data }
                    return pump()
                }
                unsafe rest = UnsafeRawBufferPointer(rebasing: rest[step.consumed...])
            } catch {
                return refuse(.broken(error.message))
            }
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        unreserve()
        let isWhole = head.contentLength == 0
        ref = link.open(self, head, endStream: isWhole)
        guard ref != nil else { return refuse(.noAnswer) }
        if isWhole { outflow.end = .data }
    }

    /// Fails once whoever sends is done with it.
    private func refuse(_ failure: UpstreamFailure) {
        hasEnded = true
        unreserve()
        guard let context = link.context else { return }
        context.eventLoop.assumeIsolated().execute { [self] in fail(failure) }
    }

    func pump() {
        guard let ref else { return }
        let before = outflow.waitingBytes
        outflow.pump(ref, link)
        if before > 0, outflow.waitingBytes == 0 { user?.upstreamDrained(self) }
    }

    override func cancel() {
        user = nil
        unreserve()
        guard !hasEnded else { return }
        hasEnded = true
        guard let ref else { return }
        link.http.reset(ref, .cancel)
        link.outputAdded()
        link.forget(ref, self)
    }

    override func hold(_ isHeld: Bool) {
        self.isHeld = isHeld
        guard !isHeld, heldCredit > 0, let ref else { return }
        let credit = heldCredit
        heldCredit = 0
        link.http.credit(ref, credit)
        link.outputAdded()
    }

    // MARK: Answers

    private var isRequestSent: Bool {
        if case .open = outflow.end { return false }
        return true
    }

    func take(answer text: [UInt8], _ parser: inout HTTPResponseParser, endStream: Bool) {
        parser.leaveBody()
        parser.begin(answering: method)
        let outcome = unsafe text.withUnsafeBytes { bytes -> Result<Void, WireError> in
            do throws(WireError) {
                _ = try unsafe parser.step(bytes)
                return .success(())
            } catch { return .failure(error) }
        }
        if case .failure(let error) = outcome { return end(failing: .broken(error.message)) }
        let head = parser.head
        parser.leaveBody()
        // A server that fails at once may still send a head before its trailers.
        if !endStream, identity.dialect == .grpc, isRequestSent {
            keptHead = head
            return
        }
        answered(head)
        if endStream { finish() }
    }

    private func answered(_ head: HTTPResponseHead) {
        hasHead = true
        keptHead = nil
        user?.upstreamAnswered(head, self)
    }

    func take(data: UnsafeRawBufferPointer, endStream: Bool) {
        if let keptHead { answered(keptHead) }
        guard let ref, !hasEnded else { return }
        if data.count > 0 { unsafe user?.upstreamSent(body: data, self) }
        if isHeld {
            heldCredit += data.count
        } else {
            link.http.credit(ref, data.count)
        }
        if endStream { finish() }
    }

    func take(trailers lines: [UInt8]) {
        if let head = keptHead {
            keptHead = nil
            // Nothing but an error came: its status belongs to the head.
            var text = Array("HTTP/1.1 \(head.status)\r\n".utf8)
            _ = head.fields.appendForwarded(to: &text, keepsAuthorization: true, isRequest: false)
            text += lines + Array("content-length: 0\r\n\r\n".utf8)
            var parser = HTTPResponseParser()
            return take(answer: text, &parser, endStream: true)
        }
        guard !hasEnded else { return }
        user?.upstreamSent(trailers: lines, self)
        finish()
    }

    /// Tells the user that this is all for now.
    func tell() { user?.upstreamPaused(self) }

    private func finish() {
        guard !hasEnded, let ref else { return }
        hasEnded = true
        let user = user
        self.user = nil
        // An answer before the request's end: the rest is not wanted.
        link.http.reset(ref, .noError)
        link.outputAdded()
        user?.upstreamFinished(self)
        link.forget(ref, self)
    }

    private func end(failing failure: UpstreamFailure) {
        guard !hasEnded else { return }
        hasEnded = true
        if let ref {
            link.http.reset(ref, .internalError)
            link.outputAdded()
            link.forget(ref, self)
        }
        fail(failure)
    }

    func wasReset(_ code: UInt32) {
        if code == HTTP2ErrorCode.refusedStream.rawValue { return wasRefused() }
        let name = HTTP2ErrorCode(rawValue: code).map { "\($0)" } ?? "code \(code)"
        end(failing: hasHead ? .broken("the upstream reset the stream: \(name)") : .noAnswer)
    }

    /// The server has not looked at the request.
    func wasRefused() {
        served = max(served, 1)
        end(failing: .noAnswer)
    }

    func linkHasEnded() {
        guard !hasEnded else { return }
        hasEnded = true
        fail(
            hasHead
                ? .broken("the connection ended inside the answer") : link.failure ?? .noAnswer)
    }
}
