// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import Testing

@Suite("HTTP/2 server connection")
struct HTTP2ConnectionTests {
    private func ref(_ id: UInt32, _ slot: Int = 0) -> HTTP2StreamRef {
        HTTP2StreamRef(id: id, slot: slot)
    }

    private func code(_ body: () throws -> Void) -> HTTP2ErrorCode? {
        do { try body() } catch { return (error as? HTTP2Error)?.code }
        return nil
    }

    @Test("begins with SETTINGS, and acknowledges the client's")
    func opening() throws {
        var feed = HTTP2Feed(begun: false)
        #expect(feed.sent().map(\.type) == [4, 8])
        try feed.feed(HTTP2Feed.opening)
        let answer = feed.sent()
        #expect(answer.map(\.type) == [4])
        #expect(answer.first?.flags == 1)
        #expect(feed.connection.hasBegun)
    }

    @Test("what does not begin like HTTP/2 is refused")
    func noPreface() {
        var feed = HTTP2Feed(begun: false)
        #expect(code { try feed.feed(Array("GET / HTTP/1.1\r\n".utf8)) } == .protocolError)
        var other = HTTP2Feed(begun: false)
        let ping = other.frame(6, 0, 0, [UInt8](repeating: 0, count: 8))
        #expect(
            code { try other.feed(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + ping) }
                == .protocolError)
    }

    @Test("a request and its body come out as events")
    func request() throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.request(1) + feed.data(1, [1, 2, 3]) + feed.data(1, [4], end: true))
        #expect(feed.data == [1, 2, 3, 4])
        #expect(
            feed.events == [
                .request(ref(1), head: .new(cached: 0), endStream: false),
                .data(ref(1), 9..<12, endStream: false), .data(ref(1), 9..<10, endStream: true),
            ])
        #expect(feed.connection.fields.first(":path") == "/a/b")
        feed.connection.sendHeaders(ref(1), [0x88], endStream: true)
        #expect(feed.connection.streamCount == 0)
        #expect(feed.sent().map(\.type) == [1])
    }

    @Test("an equal header block is not decoded again, until the table has changed")
    func repeatedHead() throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.request(1, end: true) + feed.request(3, end: true))
        try feed.feed(feed.frame(1, 5, 5, feed.block(HTTP2Feed.head + [("n", "v")], .remembered)))
        try feed.feed(feed.frame(1, 5, 7, feed.block(HTTP2Feed.head)))
        let heads = feed.events.compactMap { event -> HTTP2Connection.Head? in
            guard case .request(_, let head, _) = event else { return nil }
            return head
        }
        #expect(heads == [.new(cached: 0), .repeated(0), .new(cached: nil), .new(cached: 1)])
    }

    @Test(
        "a malformed request is reset, and the connection goes on",
        arguments: [
            [(":method", "POST"), (":scheme", "http")],
            [(":method", "POST"), (":method", "POST"), (":scheme", "http"), (":path", "/")],
            [(":method", "POST"), (":scheme", "http"), (":path", "")],
            [("te", "trailers"), (":method", "POST"), (":scheme", "http"), (":path", "/")],
            HTTP2Feed.head + [(":status", "200")], HTTP2Feed.head + [("Upper", "x")],
            HTTP2Feed.head + [("te", "gzip")], HTTP2Feed.head + [("connection", "close")],
            HTTP2Feed.head + [("transfer-encoding", "chunked")],
            HTTP2Feed.head + [("keep-alive", "1")], HTTP2Feed.head + [("upgrade", "h2c")],
            HTTP2Feed.head + [("proxy-connection", "x")], HTTP2Feed.head + [("a", "b\r\nc: d")],
            HTTP2Feed.head + [("a", "b\0")], HTTP2Feed.head + [("a", " b")],
            HTTP2Feed.head + [("a b", "c")], HTTP2Feed.head + [("", "c")],
            HTTP2Feed.head + [("content-length", "1x")],
            HTTP2Feed.head + [("content-length", "1"), ("content-length", "2")],
        ])
    func malformed(fields: [(String, String)]) throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.frame(1, 5, 1, feed.block(fields)))
        #expect(feed.events.isEmpty)
        #expect(feed.resets() == [1: 1])
        try feed.feed(feed.request(3, end: true))
        #expect(feed.events.count == 1)
    }

    @Test("content-length is held to", arguments: [(3, true), (2, false), (4, false)])
    func contentLength(length: Int, isRight: Bool) throws {
        var feed = HTTP2Feed()
        try feed.feed(
            feed.request(1, [("content-length", "\(length)")]) + feed.data(1, [1, 2, 3], end: true))
        #expect(feed.resets() == (isRight ? [:] : [1: 1]))
    }

    @Test("padding is dropped, and counted as received")
    func padding() throws {
        var feed = HTTP2Feed { $0.streamWindowBytes = 100_000 }
        let block = feed.block(HTTP2Feed.head)
        try feed.feed(feed.frame(1, 4 | 8 | 32, 1, [3, 0, 0, 0, 0, 9] + block + [0, 0, 0]))
        try feed.feed(feed.frame(0, 8, 1, [2, 7, 0, 0]))
        try feed.feed(feed.frame(0, 9, 1, [1, 0]))
        #expect(feed.data == [7])
        #expect(feed.events.last == .data(ref(1), 10..<10, endStream: true))
        #expect(code { try feed.feed(feed.frame(0, 8, 1, [4, 1, 1])) } == .protocolError)
    }

    @Test("errors of the connection have the codes of the RFC")
    func connectionErrors() {
        let cases: [(HTTP2ErrorCode, (inout HTTP2Feed) -> [UInt8])] = [
            (.frameSizeError, { $0.frame(6, 0, 0, [1]) }),
            (.frameSizeError, { $0.frame(4, 0, 0, [1]) }),
            (.frameSizeError, { $0.frame(4, 1, 0, [0, 0, 0, 0, 0, 0]) }),
            (.frameSizeError, { $0.frame(3, 0, 1, [1]) }),
            (.frameSizeError, { $0.frame(8, 0, 0, [1]) }),
            (.frameSizeError, { _ in [0, 0x40, 1, 0, 0, 0, 0, 0, 1] }),
            (.protocolError, { $0.frame(0, 0, 0, [1]) }),
            (.protocolError, { $0.frame(0, 0, 1, [1]) }),
            (.protocolError, { $0.frame(1, 4, 0, [0x82]) }),
            (.protocolError, { $0.frame(1, 4, 2, [0x82]) }),
            (.protocolError, { $0.frame(3, 0, 1, [0, 0, 0, 8]) }),
            (.protocolError, { $0.frame(4, 0, 1) }),
            (.protocolError, { $0.frame(5, 4, 1, [0, 0, 0, 2]) }),
            (.protocolError, { $0.frame(6, 0, 1, [UInt8](repeating: 0, count: 8)) }),
            (.protocolError, { $0.frame(7, 0, 1, [UInt8](repeating: 0, count: 8)) }),
            (.protocolError, { $0.frame(8, 0, 0, [0, 0, 0, 0]) }),
            (.protocolError, { $0.frame(8, 0, 1, [0, 0, 0, 1]) }),
            (.protocolError, { $0.frame(9, 4, 1) }),
            (.protocolError, { $0.frame(1, 0, 1, [0x82]) + $0.frame(6, 0, 0, [0, 0, 0, 0]) }),
            (.protocolError, { $0.frame(1, 0, 1, [0x82]) + $0.frame(9, 4, 3) }),
            (.protocolError, { $0.frame(4, 0, 0, [0, 2, 0, 0, 0, 2]) }),
            (.protocolError, { $0.frame(4, 0, 0, [0, 5, 0, 0, 0, 1]) }),
            (.flowControlError, { $0.frame(4, 0, 0, [0, 4, 0x80, 0, 0, 0]) }),
            (.flowControlError, { $0.frame(8, 0, 0, [0x7F, 0xFF, 0xFF, 0xFF]) }),
            (.compressionError, { $0.frame(1, 5, 1, [0x80]) }),
            (
                .streamClosed,
                {
                    let request = $0.request(3, end: true)
                    return request + $0.request(1)
                }
            ),
        ]
        for (index, (expected, bytes)) in cases.enumerated() {
            var feed = HTTP2Feed()
            let input = bytes(&feed)
            #expect(code { try feed.feed(input) } == expected, "case \(index)")
        }
    }

    @Test("errors of a stream reset it alone")
    func streamErrors() throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.request(1, end: true) + feed.data(1, [1]))
        #expect(feed.resets() == [1: 5])
        try feed.feed(feed.request(3) + feed.frame(8, 0, 3, [0, 0, 0, 0]))
        #expect(feed.resets() == [3: 1])
        try feed.feed(feed.request(5) + feed.frame(8, 0, 5, [0x7F, 0xFF, 0xFF, 0xFF]))
        #expect(feed.resets() == [5: 3])
        try feed.feed(feed.request(7) + feed.request(7))
        #expect(feed.resets() == [7: 1])
        #expect(feed.connection.streamCount == 0)
        // What was on its way when the client learned of the reset is dropped.
        try feed.feed(
            feed.data(7, [1]) + feed.request(7, end: true) + feed.frame(3, 0, 7, [0, 0, 0, 8]))
        #expect(feed.resets() == [:])
    }

    @Test("trailers end a request")
    func trailers() throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.request(1) + feed.frame(1, 5, 1, feed.block([("a", "b")])))
        #expect(feed.events.last == .data(ref(1), 0..<0, endStream: true))
        try feed.feed(feed.request(3) + feed.frame(1, 5, 3, feed.block([(":path", "/")])))
        #expect(feed.resets() == [3: 1])
    }

    @Test("more streams than allowed are refused")
    func concurrency() throws {
        var feed = HTTP2Feed { $0.maxConcurrentStreams = 2 }
        try feed.feed(feed.request(1) + feed.request(3) + feed.request(5))
        #expect(feed.resets() == [5: 7])
        feed.connection.reset(ref(1, 0), .cancel)
        try feed.feed(feed.request(7))
        #expect(feed.events.last == .request(ref(7, 0), head: .repeated(0), endStream: false))
    }

    @Test("a header block in pieces is one, and not endless")
    func continuation() throws {
        var feed = HTTP2Feed()
        let block = feed.block(HTTP2Feed.head)
        try feed.feed(feed.frame(1, 1, 1, Array(block[..<3])))
        try feed.feed(feed.frame(9, 0, 1, Array(block[3..<9])))
        #expect(feed.events.isEmpty)
        try feed.feed(feed.frame(9, 4, 1, Array(block[9...])))
        #expect(feed.events.count == 1)
        try feed.feed(feed.frame(1, 1, 3, block))
        #expect(code { for _ in 0..<40 { try feed.feed(feed.frame(9, 0, 3)) } } == .enhanceYourCalm)
    }

    @Test("a header list over the limit is refused, an endless block ends the connection")
    func largeHeaders() throws {
        var feed = HTTP2Feed { $0.headerListBytesMax = 1_000 }
        let long = String(repeating: "x", count: 2_000)
        try feed.feed(feed.request(1, [("a", long)], end: true))
        #expect(feed.resets() == [1: 11])
        try feed.feed(feed.frame(1, 1, 3, feed.block(HTTP2Feed.head)))
        let part = [UInt8](repeating: 0, count: 1_500)
        #expect(
            code { for _ in 0..<3 { try feed.feed(feed.frame(9, 0, 3, part)) } }
                == .enhanceYourCalm)
    }

    @Test("floods end the connection, the same spread over time does not")
    func floods() throws {
        let ping: (inout HTTP2Feed, Int) -> [UInt8] = { feed, _ in
            feed.frame(6, 0, 0, [UInt8](repeating: 0, count: 8))
        }
        let settings: (inout HTTP2Feed, Int) -> [UInt8] = { feed, _ in feed.frame(4, 0, 0) }
        let empty: (inout HTTP2Feed, Int) -> [UInt8] = { feed, turn in
            (turn == 0 ? feed.request(1) : []) + feed.frame(0, 0, 1)
        }
        let rapid: (inout HTTP2Feed, Int) -> [UInt8] = { feed, turn in
            let id = UInt32(2 * turn + 1)
            return feed.request(id) + feed.frame(3, 0, id, [0, 0, 0, 8])
        }
        let unknown: (inout HTTP2Feed, Int) -> [UInt8] = { feed, _ in feed.frame(0xEE, 0, 0) }
        for (index, make) in [ping, settings, empty, rapid, unknown].enumerated() {
            for isSlow in [false, true] {
                var feed = HTTP2Feed()
                let failure = code {
                    for turn in 0..<1_500 {
                        if isSlow { feed.now = feed.now.advanced(by: .milliseconds(20)) }
                        try feed.feed(make(&feed, turn))
                    }
                }
                #expect(failure == (isSlow ? nil : .enhanceYourCalm), "flood \(index)")
            }
        }
    }

    @Test("a stream that starts again in the same slot is another one")
    func slots() throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.request(1) + feed.frame(3, 0, 1, [0, 0, 0, 8]) + feed.request(3))
        #expect(!feed.connection.isOpen(ref(1)))
        #expect(feed.connection.isOpen(ref(3)))
        feed.connection.sendHeaders(ref(1), [0x88], endStream: true)
        feed.connection.reset(ref(1), .cancel)
        #expect(feed.sent().isEmpty)
    }

    @Test("any order of opening and closing keeps the streams apart")
    func table() throws {
        var random = SeededRandom(seed: 11)
        var feed = HTTP2Feed { $0.resetsPerTenSeconds = .max }
        var open: [UInt32: Int] = [:]
        var next: UInt32 = 1
        for _ in 0..<5_000 {
            if open.count < 200, Bool.random(using: &random) {
                try feed.feed(feed.request(next))
                guard case .request(let stream, _, _) = feed.events.last else {
                    Issue.record("expected a request")
                    return
                }
                #expect(stream.id == next)
                open[next] = stream.slot
                next += UInt32(2 * Int.random(in: 1...40, using: &random))
            } else if let (id, slot) = open.randomElement(using: &random) {
                try feed.feed(feed.data(id, [1]))
                #expect(feed.events.last == .data(ref(id, slot), 9..<10, endStream: false))
                try feed.feed(feed.frame(3, 0, id, [0, 0, 0, 8]))
                open[id] = nil
            }
            feed.events.removeAll()
            #expect(feed.connection.streamCount == open.count)
        }
    }
}
