// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Takes responses apart as their bytes arrive: strict HTTP/1.1 (RFC 9112), no I/O, no clock. The
/// counterpart of `HTTPRequestParser`, for whoever sends requests.
///
/// Tell it each request's method with `begin` when the request is sent, call `step` with all bytes
/// received and not yet consumed, drop what it consumed, and go on until it says `needMore`; call
/// `finish` when the peer closes. Bytes that answer no request are refused. After an error, close
/// the connection: its `status` is 502, for the client on the other side.
///
/// Trailers are checked, bounded and dropped. Cost: as `HTTPRequestParser`.
public struct HTTPResponseParser: Sendable {
    public enum Event: Equatable, Sendable {
        /// Nothing to be said until more bytes are there.
        case needMore
        /// `head` is complete and is a 1xx: another follows.
        case interim
        /// `head` is complete.
        case head
        /// These bytes, as given to `step`, are the body's next.
        case body(Range<Int>)
        /// The response is complete; `begin` goes before the next.
        case end
    }

    public struct Step: Equatable, Sendable {
        public var event: Event
        /// How many bytes of the front are done with.
        public var consumed: Int
    }

    private enum State {
        case idle
        case head
        case body(remaining: Int)
        case chunks(ChunkedDecoder)
        case untilClose(received: Int)
    }

    /// A peer that sends more 1xx than this before its response means no good.
    public static let interimCountMax = 16

    public let limits: HTTPLimits
    /// The head being read; valid from `.interim` or `.head` to the next of them.
    public private(set) var head = HTTPResponseHead()

    private var state = State.idle
    private var method = HTTPMethod.get
    private var interimCount = 0
    private var lineStart = 0
    private var scanned = 0
    /// Of the line at `lineStart`; the status line has -1.
    private var lineNumber = -1
    /// `head` is whole, and not being written over.
    private var hasWholeHead = false

    /// - Parameter limits: `requestLineBytesMax` bounds the status line; set `bodyBytesMax` to
    ///   `Int.max` for bodies that are passed on as they come.
    public init(limits: HTTPLimits = HTTPLimits()) {
        self.limits = limits
    }

    /// Whether no response is awaited.
    public var isIdle: Bool {
        if case .idle = state { return true }
        return false
    }

    /// Awaits the response to a request of this method.
    public mutating func begin(answering method: HTTPMethod) {
        precondition(isIdle, "a response is still being read")
        self.method = method
        interimCount = 0
        state = .head
    }

    /// Lends the head to whoever would copy it otherwise; `takeBack` must follow before the next
    /// step.
    package mutating func lendHead() -> HTTPResponseHead {
        var lent = HTTPResponseHead()
        swap(&lent, &head)
        return lent
    }

    package mutating func takeBack(_ head: consuming HTTPResponseHead) { self.head = head }

    /// Leaves the body to whoever has it from elsewhere. `head` stays.
    package mutating func leaveBody() { state = .idle }

    /// Bytes of a body of announced length that are still to come; nil elsewhere.
    public var bodyBytesToCome: Int? {
        if case .body(let remaining) = state { return remaining }
        return nil
    }

    /// Counts body bytes that were received past the parser, at most `bodyBytesToCome`.
    public mutating func skipBody(_ count: Int) {
        guard case .body(let remaining) = state, count >= 0, count <= remaining else {
            preconditionFailure("body bytes skipped outside a body")
        }
        state = .body(remaining: remaining - count)
    }

    public mutating func step(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Step {
        do throws(WireError) {
            return try advance(unsafe WireBytes(bytes))
        } catch {
            throw WireError(error.code, status: 502, error.message)
        }
    }

    /// The peer has closed its side; call it when all bytes have been consumed.
    /// - Returns: whether that ends a response; false when none was awaited.
    /// - Throws: `WireError` when a response was cut off.
    public mutating func finish() throws(WireError) -> Bool {
        switch state {
        case .idle: return false
        case .untilClose, .body(remaining: 0):
            state = .idle
            return true
        case .head:
            throw WireError(.malformed, status: 502, "the connection ended before the response")
        case .body, .chunks:
            throw WireError(.malformed, status: 502, "the connection ended inside the response")
        }
    }

    private mutating func advance(_ source: WireBytes) throws(WireError) -> Step {
        switch state {
        case .idle:
            guard source.count == 0 else {
                throw WireError(.malformed, "bytes that answer no request")
            }
            return Step(event: .needMore, consumed: 0)
        case .head: return try stepHead(source)
        case .body(let remaining):
            if remaining == 0 { return end(consumed: 0) }
            let available = min(remaining, source.count)
            guard available > 0 else { return Step(event: .needMore, consumed: 0) }
            state = .body(remaining: remaining - available)
            return Step(event: .body(0..<available), consumed: available)
        case .chunks(var decoder):
            var consumed = 0
            let event = try decoder.step(source, consumed: &consumed, limits: limits)
            state = .chunks(decoder)
            switch event {
            case .needMore: return Step(event: .needMore, consumed: consumed)
            case .body(let range): return Step(event: .body(range), consumed: consumed)
            case .end: return end(consumed: consumed)
            }
        case .untilClose(let received):
            guard source.count > 0 else { return Step(event: .needMore, consumed: 0) }
            let (total, overflow) = received.addingReportingOverflow(source.count)
            guard !overflow, total <= limits.bodyBytesMax else {
                throw WireError(
                    .limitExceeded, "a body of more than \(limits.bodyBytesMax) bytes")
            }
            state = .untilClose(received: total)
            return Step(event: .body(0..<source.count), consumed: source.count)
        }
    }

    private mutating func end(consumed: Int) -> Step {
        state = .idle
        return Step(event: .end, consumed: consumed)
    }

    // MARK: The head

    private mutating func stepHead(_ source: WireBytes) throws(WireError) -> Step {
        // A line that is where it was in the head before, and the same, means the same.
        let isAlike = hasWholeHead && lineStart == 0 && scanned == 0
        hasWholeHead = false
        while true {
            if isAlike, let end = head.fields.end(ofLine: lineNumber, from: lineStart),
                source.isSame(lineStart..<end, in: head.fields.bytes)
            {
                if lineNumber < 0 { head.fields.begin() } else { _ = head.fields.keep(lineNumber) }
                (lineStart, scanned) = (end, end)
                lineNumber += 1
                continue
            }
            guard let (line, next) = try nextLine(source, from: lineStart, scanned: &scanned)
            else { break }
            if lineNumber < 0 {
                try checkStatusLine(length: line.count)
                head.fields.begin()
                try head.parseStatusLine(source, line)
            } else if line.isEmpty {
                try checkHead(length: next)
                head.fields.end(count: lineNumber)
                source.copy(0..<next, to: &head.fields.bytes)
                hasWholeHead = true
                return try settle(consumed: next)
            } else {
                guard lineNumber < limits.headerCountMax else {
                    throw WireError(
                        .limitExceeded, "more than \(limits.headerCountMax) header fields")
                }
                head.fields.put(try parseFieldLine(source, line), at: lineNumber)
            }
            lineNumber += 1
            lineStart = next
        }
        if lineNumber < 0 {
            try checkStatusLine(length: source.count - lineStart)
        } else {
            head.fields.end(count: lineNumber)
        }
        try checkHead(length: source.count)
        return Step(event: .needMore, consumed: 0)
    }

    private mutating func settle(consumed: Int) throws(WireError) -> Step {
        lineStart = 0
        scanned = 0
        lineNumber = -1
        try head.settle(answering: method, limits: limits)
        guard !head.isInterim else {
            guard head.status != 101 else {
                throw WireError(.unsupported, "the peer changes the protocol unasked")
            }
            interimCount += 1
            guard interimCount <= HTTPResponseParser.interimCountMax else {
                throw WireError(
                    .limitExceeded,
                    "more than \(HTTPResponseParser.interimCountMax) interim responses")
            }
            return Step(event: .interim, consumed: consumed)
        }
        switch head.framing {
        case .none: state = .body(remaining: 0)
        case .length(let length): state = .body(remaining: length)
        case .chunked: state = .chunks(ChunkedDecoder())
        case .untilClose: state = .untilClose(received: 0)
        }
        return Step(event: .head, consumed: consumed)
    }

    private func checkStatusLine(length: Int) throws(WireError) {
        guard length <= limits.requestLineBytesMax else {
            throw WireError(
                .limitExceeded, "a status line of more than \(limits.requestLineBytesMax) bytes")
        }
    }

    private func checkHead(length: Int) throws(WireError) {
        guard length <= limits.headerBytesMax else {
            throw WireError(
                .limitExceeded, "headers of more than \(limits.headerBytesMax) bytes")
        }
    }
}
