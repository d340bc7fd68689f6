// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire
internal import Testing

@Suite("HTTP request parser")
struct HTTPRequestParserTests {
    @Test("reads requests however they are cut up", arguments: [0, 1, 2, 3, 7, 64])
    func pieces(size: Int) throws {
        let text =
            "POST /v2/models/a/infer?x=1 HTTP/1.1\r\nHost: a.example:8000\r\ncontent-LENGTH: 5\r\n"
            + "X-Empty:\r\nX-Tab:\t v \t\r\n\r\nhello"
            + "GET / HTTP/1.1\r\nHost: b\r\nConnection: Close\r\n\r\n"
            + "POST /c HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: Chunked\r\n\r\n"
            + "5;ext=\"v\"\r\nhello\r\n0A\r\n, world!!!\r\n0\r\nX-Trailer: t\r\n\r\n"
            + "GET http://d/path?q HTTP/1.1\r\nHost: D\r\n\r\n"
        let requests = try RequestReader.read(text, pieces: size)
        #expect(requests.count == 4)
        let first = requests[0]
        #expect(first.head.method == .post)
        #expect(first.head.pathString == "/v2/models/a/infer")
        #expect(first.head.fields.string(first.head.query) == "x=1")
        #expect(first.head.fields["host"] == "a.example:8000")
        #expect(first.head.fields["x-empty"] == "")
        #expect(first.head.fields["x-tab"] == "v")
        #expect(first.head.fields["absent"] == nil)
        #expect(first.head.contentLength == 5)
        #expect(first.body == Array("hello".utf8))
        #expect(first.head.keepsAlive)
        #expect(!requests[1].head.keepsAlive)
        #expect(requests[2].head.isChunked)
        #expect(requests[2].body == Array("hello, world!!!".utf8))
        #expect(requests[3].head.pathString == "/path")
    }

    @Test("knows what keeps a connection alive and who waits to continue")
    func connection() throws {
        func head(_ text: String) throws -> HTTPRequestHead {
            try #require(try RequestReader.read(text).first).head
        }
        #expect(try !head("GET / HTTP/1.0\r\n\r\n").keepsAlive)
        #expect(try head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keepsAlive)
        #expect(try !head("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n").keepsAlive)
        #expect(
            try head(
                "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\na"
            )
            .expectsContinue)
        #expect(try head("\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n").pathString == "/x")
        #expect(try head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").pathString == "*")
    }

    @Test(
        "takes a head that repeats the last one for the same, and no other", arguments: [0, 1, 9])
    func repeated(size: Int) throws {
        let plain = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
        let longer = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
        let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let chunks = "1\r\nx\r\n0\r\n\r\n"
        let text =
            plain + "ab" + plain + "cd" + longer + "efg" + longer + "hij" + plain + "kl" + chunked
            + chunks + chunked + chunks
        let requests = try RequestReader.read(text, pieces: size)
        #expect(
            requests.map { String(decoding: $0.body, as: UTF8.self) } == [
                "ab", "cd", "efg", "hij", "kl", "x", "x",
            ])
        #expect(requests.map(\.head.contentLength) == [2, 2, 3, 3, 2, nil, nil])
        #expect(requests.allSatisfy { $0.head.pathString == "/a" })
        if size == 0 {
            #expect(requests.map(\.repeatsHead) == [false, true, false, true, false, false, true])
        }
        // A broken head behind a good one is read, not taken for its repetition.
        #expect(throws: WireError.self) {
            try RequestReader.read(plain + "ab" + plain.dropLast(2) + "X\r\n\r\n", pieces: size)
        }
    }

    private static let hostileHeads: [(String, Int)] = [
        // Framing that two readers could understand differently.
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Content-Length: 5, 5", 400), ("Content-Length: +5", 400), ("Content-Length: -5", 400),
        ("Content-Length: 0x5", 400), ("Content-Length: 5 5", 400), ("Content-Length:", 400),
        ("Content-Length: 99999999999999999999", 400), ("Content-Length: 5;", 400),
        ("Content-Length: 5.0", 400), ("Content-Length: 999999999", 413),
        ("Transfer-Encoding: chunked, chunked", 501), ("Transfer-Encoding: identity", 501),
        ("Transfer-Encoding: identity, chunked", 501), ("Transfer-Encoding: xchunked", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 501),
        ("Transfer-Encoding: \"chunked\"", 501), ("Transfer-Encoding: gzip", 501),
        ("Transfer-Encoding : chunked", 400), (" Transfer-Encoding: chunked", 400),
        ("X: y\r\n Transfer-Encoding: chunked", 400), ("X: y\r\n\tz", 400),
        ("Transfer-Encoding: \u{b}chunked", 400), ("Transfer-Encoding:", 501),
        // Names and values.
        (": empty", 400), ("no colon", 400), ("B\u{e9}d: x", 400), ("a b: c", 400),
        ("X: a\u{0}b", 400), ("X: a\u{7f}b", 400), ("X: a\rb", 400), ("X\r: a", 400),
        ("X: a\nY: b", 400), ("(a): b", 400),
        // Hosts.
        ("Host: other", 400), ("Host: a, b", 400), ("Expect: 200-ok", 417),
    ]

    @Test("refuses hostile heads", arguments: hostileHeads)
    func hostile(fields: String, status: Int) {
        for pieces in [0, 1] {
            let text = "POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\nhello"
            let error = #expect(throws: WireError.self, "\(fields)") {
                try RequestReader.read(text, pieces: pieces)
            }
            #expect(error?.status == status, "\(fields)")
        }
    }

    @Test(
        "refuses hostile request lines and hosts",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", 400), ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400), ("GET / \r\nHost: a\r\n\r\n", 400),
            ("GET /\r\nHost: a\r\n\r\n", 400), (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505), ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("GET / http/1.1\r\nHost: a\r\n\r\n", 400), ("GET / HTTP/1.1\nHost: a\n\n", 400),
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/1.11\r\nHost: a\r\n\r\n", 400), ("\u{0}GET / HTTP/1.1\r\n\r\n", 400),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 400), ("GET /a\tb HTTP/1.1\r\n\r\n", 400),
            ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("\u{16}\u{3}\u{1}\r\n", 400),
        ])
    func hostileLines(text: String, status: Int) {
        let error = #expect(throws: WireError.self, "\(text)") { try RequestReader.read(text) }
        #expect(error?.status == status, "\(text)")
    }

    @Test(
        "refuses hostile chunks",
        arguments: [
            "5\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n",
            "-5\r\nhello\r\n", "0x5\r\nhello\r\n", "5\r\nhelloX\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n", "5\r\nhello\rX0\r\n\r\n", "\r\n", "g\r\n", ";a\r\n",
            "FFFFFFFFFFFFFFFF\r\n", "10000000000000000\r\n", "00000000000000005\r\nhello\r\n",
            "8000000000000000\r\n", "5;a\nb\r\nhello\r\n", "5;a\u{0}\r\nhello\r\n",
            "0\r\nContent-Length: 3\r\n\r\n", "0\r\nHost: a\r\n\r\n", "0\r\nbad\r\n\r\n",
            "0\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n folded: a\r\n\r\n", "0\r\nA: b\n\r\n",
        ])
    func hostileChunks(body: String) {
        for pieces in [0, 1, 3] {
            let text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(body)"
            #expect(throws: WireError.self, "\(body)") {
                try RequestReader.read(text, pieces: pieces)
            }
        }
    }

    @Test("bounds everything that a client makes long")
    func limits() {
        let limits = HTTPLimits(
            requestLineBytesMax: 100, headerBytesMax: 400, headerCountMax: 5, bodyBytesMax: 10,
            chunkLineBytesMax: 20, trailerBytesMax: 40)
        func status(_ text: String) -> Int? {
            do {
                _ = try RequestReader.read(text, pieces: 11, limits: limits)
                return nil
            } catch { return error.status }
        }
        let long = String(repeating: "a", count: 200)
        let head = "POST / HTTP/1.1\r\nHost: a\r\n"
        #expect(status("GET /" + long) == 414)
        #expect(status("GET /\(long) HTTP/1.1\r\nHost: a\r\n\r\n") == 414)
        #expect(status(head + "A: " + long + long) == 431)
        #expect(status(head + String(repeating: "A: b\r\n", count: 5) + "\r\n") == 431)
        #expect(status(head + "Content-Length: 11\r\n\r\n") == 413)
        let chunked = head + "Transfer-Encoding: chunked\r\n\r\n"
        #expect(status(chunked + "B\r\n") == 413)
        #expect(status(chunked + "6\r\nhello!\r\n5\r\n") == 413)
        #expect(status(chunked + "1;" + long) == 400)
        #expect(status(chunked + "0\r\nA: " + long) == 400)
        #expect(status(chunked + "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n") == nil)
    }

    @Test("forged values cannot break out of a response head")
    func splitting() {
        var writer = HTTPHeadWriter(status: 200)
        writer.field("X-Request-Id", "a\r\nSet-Cookie: b")
        writer.field("Content-Length", 1234)
        let text = String(decoding: writer.finish(), as: UTF8.self)
        #expect(
            text
                == "HTTP/1.1 200 OK\r\nX-Request-Id: a  Set-Cookie: b\r\nContent-Length: 1234\r\n\r\n"
        )
    }

    @Test(
        "writes dates",
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
        ] as [(Int64, String)])
    func dates(seconds: Int64, text: String) {
        #expect(
            String(decoding: HTTPDate.format(secondsSinceEpoch: seconds), as: UTF8.self) == text)
    }
}
