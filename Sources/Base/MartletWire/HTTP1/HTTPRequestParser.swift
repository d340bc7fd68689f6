// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Takes requests apart as their bytes arrive: strict HTTP/1.1 (RFC 9112), no I/O, no clock.
///
/// Call `step` with all bytes received and not yet consumed, drop what it consumed, and go on
/// until it says `needMore`. After an error, answer with its status and close.
///
/// Cost: each byte of a head is looked at about twice, however it is cut up; one copy of the head
/// and no other allocation but the table's growth. A head that is the last one's to the byte, as
/// most of a connection's are, is compared and not taken apart again.
public struct HTTPRequestParser: Sendable {
    public enum Event: Equatable, Sendable {
        /// Nothing to be said until more bytes are there.
        case needMore
        /// `head` is complete.
        case head
        /// These bytes, as given to `step`, are the body's next.
        case body(Range<Int>)
        /// The request is complete; the next step begins another.
        case end
    }

    public struct Step: Equatable, Sendable {
        public var event: Event
        /// How many bytes of the front are done with.
        public var consumed: Int
    }

    private enum State {
        case head
        case body(remaining: Int)
        case chunks(ChunkedDecoder)
    }

    public let limits: HTTPLimits
    /// The head of the request being read; valid from `.head` to `.end`.
    public private(set) var head = HTTPRequestHead()
    /// Whether `head` is that of the request before, to the byte: what was found out about it still
    /// holds.
    public private(set) var repeatsHead = false

    /// `head` is whole, and not being written over.
    private var hasWholeHead = false
    private var state = State.head
    private var lineStart = 0
    private var scanned = 0
    /// Of the line at `lineStart`; the request line has -1.
    private var lineNumber = -1

    public init(limits: HTTPLimits = HTTPLimits()) {
        self.limits = limits
    }

    /// Whether no byte of a request has been seen since the last one ended. A lone line end before
    /// the request line does not count.
    public var isBetweenRequests: Bool {
        if case .head = state { return scanned == 0 }
        return false
    }

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
        let source = unsafe WireBytes(bytes)
        switch state {
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
        }
    }

    /// Calls with the head where it is: whoever keeps the parser in a class copies it otherwise.
    package mutating func readHead(_ body: (borrowing HTTPRequestHead) -> Void) { body(head) }

    /// Leaves the body to whoever has it from elsewhere: the next step begins another request.
    /// `head` stays.
    package mutating func leaveBody() { _ = end(consumed: 0) }

    /// Takes it that no body follows, whatever `head` was made to say.
    package mutating func dropBody() {
        head.contentLength = 0
        hasWholeHead = false
    }

    private mutating func end(consumed: Int) -> Step {
        state = .head
        lineStart = 0
        scanned = 0
        lineNumber = -1
        return Step(event: .end, consumed: consumed)
    }

    /// Takes the last head again when these bytes begin with it: how a head ends is in its bytes.
    private mutating func repeatHead(_ source: WireBytes) -> Step? {
        let length = head.fields.bytes.count
        guard hasWholeHead, lineStart == 0, scanned == 0, source.count >= length,
            source.equals(0..<length, head.fields.bytes)
        else { return nil }
        repeatsHead = true
        return settledHead(length: length)
    }

    private mutating func settledHead(length: Int) -> Step {
        state = head.contentLength.map { .body(remaining: $0) } ?? .chunks(ChunkedDecoder())
        return Step(event: .head, consumed: length)
    }

    private mutating func stepHead(_ source: WireBytes) throws(WireError) -> Step {
        if let step = repeatHead(source) { return step }
        // A line that is where it was in the head before, and the same, means the same.
        let isAlike = hasWholeHead && lineStart == 0 && scanned == 0
        let framing = isAlike ? head.fields.framing : .max
        if lineStart == 0, scanned == 0 { lineNumber = -1 }
        hasWholeHead = false
        var isFramedAlike = isAlike
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
                if line.isEmpty, lineStart == 0 {
                    // RFC 9112 §2.2: one empty line before the request line is forgiven.
                    lineStart = next
                    continue
                }
                try checkRequestLine(length: line.count)
                head.fields.begin()
                try head.parseRequestLine(source, line)
                isFramedAlike = false
            } else if line.isEmpty {
                try checkHead(length: next)
                head.fields.end(count: lineNumber)
                source.copy(0..<next, to: &head.fields.bytes)
                if !isFramedAlike || framing != head.fields.framing || framing == .max {
                    try head.settle(limits: limits)
                }
                hasWholeHead = true
                repeatsHead = false
                return settledHead(length: next)
            } else {
                guard lineNumber < limits.headerCountMax else {
                    throw WireError(
                        .limitExceeded, status: 431,
                        "more than \(limits.headerCountMax) header fields")
                }
                let field = try parseFieldLine(source, line)
                if field.kind.isFraming { isFramedAlike = false }
                head.fields.put(field, at: lineNumber)
            }
            lineNumber += 1
            lineStart = next
        }
        if lineNumber < 0 {
            try checkRequestLine(length: source.count - lineStart)
        } else {
            head.fields.end(count: lineNumber)
        }
        try checkHead(length: source.count)
        return Step(event: .needMore, consumed: 0)
    }

    private func checkRequestLine(length: Int) throws(WireError) {
        guard length <= limits.requestLineBytesMax else {
            throw WireError(
                .limitExceeded, status: 414,
                "a request line of more than \(limits.requestLineBytesMax) bytes")
        }
    }

    private func checkHead(length: Int) throws(WireError) {
        guard length <= limits.headerBytesMax else {
            throw WireError(
                .limitExceeded, status: 431,
                "headers of more than \(limits.headerBytesMax) bytes")
        }
    }
}
