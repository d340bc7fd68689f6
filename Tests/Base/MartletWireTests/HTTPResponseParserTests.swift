// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire
internal import Testing

@Suite("HTTP response parser")
struct HTTPResponseParserTests {
    @Test("reads responses however they are cut up", arguments: [0, 1, 2, 3, 7, 64])
    func pieces(size: Int) throws {
        let text =
            "HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\nX-Tab:\t v \t\r\n\r\nhello"
            + "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
            + "HTTP/1.1 201 \r\nTransfer-Encoding: Chunked\r\n\r\n"
            + "5;ext=\"v\"\r\nhello\r\n0A\r\n, world!!!\r\n0\r\nX-Trailer: t\r\n\r\n"
            + "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
            + "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: \"e\"\r\n\r\n"
            + "HTTP/1.1 204\r\n\r\n"
            + "HTTP/1.1 500 So \u{e4}rgerlich\r\n\r\nuntil the end"
        let responses = try ResponseReader.read(
            Array(text.utf8), answering: [.post, .post, .head, .get, .delete, .get],
            pieces: size, closes: true)
        #expect(responses.map(\.status) == [200, 201, 200, 304, 204, 500])
        #expect(
            responses.map(\.text) == ["hello", "hello, world!!!", "", "", "", "until the end"])
        #expect(responses[0].fields == ["content-LENGTH=5", "X-Tab=v"])
        #expect(responses[1].interim == [103, 100])
        #expect(responses.map(\.keepsAlive) == [true, true, true, true, true, false])
    }

    @Test("knows what keeps a connection alive")
    func connection() throws {
        func keepsAlive(_ text: String) throws -> Bool {
            try #require(try ResponseReader.read(Array(text.utf8), closes: true).first).keepsAlive
        }
        #expect(try keepsAlive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        #expect(
            try !keepsAlive(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n"))
        #expect(try !keepsAlive("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"))
        #expect(
            try keepsAlive(
                "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"))
        #expect(try !keepsAlive("HTTP/1.1 200 OK\r\n\r\n"))
    }

    private static let hostileHeads = [
        // Framing that two readers could understand differently.
        "200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
        "200 OK\r\nContent-Length: 5, 5", "200 OK\r\nContent-Length: +5",
        "200 OK\r\nContent-Length:", "200 OK\r\nContent-Length: 0x5",
        "200 OK\r\nContent-Length: 99999999999999999999",
        "200 OK\r\nTransfer-Encoding: gzip, chunked", "200 OK\r\nTransfer-Encoding: identity",
        "200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "200 OK\r\nTransfer-Encoding : chunked", "204 No\r\nContent-Length: 1",
        "204 No\r\nTransfer-Encoding: chunked", "100 Continue\r\nContent-Length: 3",
        "304 Not\r\nContent-Length: x",
        // Lines.
        "200 OK\r\n folded: x", "200 OK\r\nX: y\r\n z", "200 OK\r\n: x", "200 OK\r\nno colon",
        "200 OK\r\nX: a\nY: b", "200 OK\r\nX: a\u{0}b", "200 OK\u{7}", "200\tOK", "2000 OK",
        "20 OK", "099 Low", "600 High", "999 High", "+20 OK", " 200 OK", "",
        // A change of protocol that nobody asked for.
        "101 Switching Protocols\r\nUpgrade: h2c",
    ]

    @Test("refuses hostile heads", arguments: hostileHeads)
    func hostile(head: String) {
        let error = #expect(throws: WireError.self) {
            _ = try ResponseReader.read(Array("HTTP/1.1 \(head)\r\n\r\n".utf8))
        }
        #expect(error?.status == 502)
    }

    @Test(
        "refuses other beginnings",
        arguments: [
            "HTTP/2 200 OK", "HTTP/1.2 200 OK", "http/1.1 200 OK", "\r\nHTTP/1.1 200 OK",
            "HTTP/1.1200 OK", "SSH-2.0-OpenSSH_9.2p1 Debian", "GET / HTTP/1.1",
        ])
    func beginnings(line: String) {
        #expect(throws: WireError.self) {
            _ = try ResponseReader.read(Array("\(line)\r\nContent-Length: 0\r\n\r\n".utf8))
        }
    }

    @Test("refuses bytes that answer no request")
    func unsolicited() throws {
        let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)
        #expect(try ResponseReader.read(answer + answer, answering: [.get, .get]).count == 2)
        #expect(throws: WireError.self) {
            _ = try ResponseReader.read(answer + answer, answering: [.get])
        }
        #expect(throws: WireError.self) {
            _ = try ResponseReader.read(
                Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".utf8), answering: [.head])
        }
    }

    @Test("tells a response that was cut off from one that has ended")
    func ends() throws {
        for text in [
            "", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ] {
            #expect(throws: WireError.self, "\(text)") {
                _ = try ResponseReader.read(Array(text.utf8), closes: true)
            }
        }
        let whole = Array("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na".utf8)
        #expect(try ResponseReader.read(whole, closes: true).count == 1)
    }

    @Test("keeps to its limits")
    func limits() {
        var limits = HTTPLimits()
        limits.bodyBytesMax = 10
        limits.headerBytesMax = 200
        limits.headerCountMax = 3
        limits.requestLineBytesMax = 40
        let head = "HTTP/1.1 200 OK\r\n"
        for text in [
            head + "Content-Length: 11\r\n\r\n", head + "\r\n12345678901",
            head + "Transfer-Encoding: chunked\r\n\r\nB\r\n",
            head + "a: b\r\na: b\r\na: b\r\na: b\r\n\r\n",
            head + "a: \(String(repeating: "x", count: 200))",
            "HTTP/1.1 200 \(String(repeating: "x", count: 40))",
            String(
                repeating: "HTTP/1.1 102 Wait\r\n\r\n",
                count: HTTPResponseParser.interimCountMax + 1),
        ] {
            let error = #expect(throws: WireError.self, "\(text)") {
                _ = try ResponseReader.read(Array(text.utf8), limits: limits)
            }
            #expect(error?.code == .limitExceeded, "\(text)")
        }
    }

    @Test("counts body bytes that are received past it")
    func skipping() throws {
        var parser = HTTPResponseParser()
        parser.begin(answering: .get)
        let head = Array("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".utf8)
        let event = try unsafe head.withUnsafeBytes { try unsafe parser.step($0).event }
        #expect(event == .head)
        #expect(parser.bodyBytesToCome == 9)
        parser.skipBody(9)
        let nothing = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        #expect(try unsafe parser.step(nothing).event == .end)
        #expect(parser.isIdle)
    }
}
