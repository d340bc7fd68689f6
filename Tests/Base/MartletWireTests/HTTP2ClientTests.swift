// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import Testing

/// A client's machine and a server's, talking to each other.
@Suite("HTTP/2 client connection")
struct HTTP2ClientTests {
    private struct Pair {
        var client = HTTP2Connection(HTTP2Connection.clientConfiguration, role: .client)
        var server = HTTP2Connection()
        var atClient: [HTTP2Connection.Event] = []
        var atServer: [HTTP2Connection.Event] = []
        var received: [UInt8] = []
        let now = MonotonicInstant(nanoseconds: 0)

        mutating func exchange() throws {
            while !client.output.isEmpty || !server.output.isEmpty {
                let toServer = client.output
                client.clearOutput()
                try Pair.feed(toServer, &server, &atServer, nil, now)
                let toClient = server.output
                server.clearOutput()
                var received: [UInt8] = []
                try Pair.feed(toClient, &client, &atClient, { received += $0 }, now)
                self.received += received
            }
        }

        static func feed(
            _ bytes: [UInt8], _ machine: inout HTTP2Connection,
            _ events: inout [HTTP2Connection.Event], _ data: (([UInt8]) -> Void)?,
            _ now: MonotonicInstant
        ) throws {
            var rest = bytes
            while true {
                let step = try unsafe rest.withUnsafeBytes { buffer in
                    let step = try unsafe machine.step(buffer, now: now)
                    if case .data(_, let range, _) = step.event {
                        data?(unsafe Array(buffer[range]))
                    }
                    return step
                }
                rest.removeFirst(step.consumed)
                switch step.event {
                case .needMore:
                    #expect(rest.isEmpty)
                    return
                case .handled, .windowOpened: break
                default: events.append(step.event)
                }
            }
        }

        mutating func open(endStream: Bool = true) -> HTTP2StreamRef? {
            var block: [UInt8] = []
            client.encoder.begin(&block)
            for (name, value) in [
                (":method", "POST"), (":scheme", "http"), (":path", "/a"), (":authority", "x"),
            ] { client.encoder.append(name, value, to: &block) }
            return client.open(block, endStream: endStream)
        }

        mutating func answer(
            _ stream: HTTP2StreamRef, _ fields: [(String, String)], endStream: Bool
        ) {
            var block: [UInt8] = []
            server.encoder.begin(&block)
            for (name, value) in fields { server.encoder.append(name, value, to: &block) }
            server.sendHeaders(stream, block, endStream: endStream)
        }
    }

    @Test("a request and its answer with trailers go there and back")
    func exchange() throws {
        var pair = Pair()
        let opened = pair.open(endStream: false)
        let stream = try #require(opened)
        let body: [UInt8] = [1, 2, 3]
        unsafe body.withUnsafeBytes {
            unsafe pair.client.sendData(stream, $0, endStream: true)
        }
        try pair.exchange()
        #expect(
            pair.atServer.first
                == .request(HTTP2StreamRef(id: 1, slot: 0), head: .new(cached: 0), endStream: false)
        )
        let there = HTTP2StreamRef(id: 1, slot: 0)
        pair.answer(there, [(":status", "103")], endStream: false)
        pair.answer(there, [(":status", "200"), ("a", "b")], endStream: false)
        unsafe body.withUnsafeBytes { unsafe pair.server.sendData(there, $0) }
        pair.answer(there, [("grpc-status", "0")], endStream: true)
        try pair.exchange()
        #expect(pair.received == body)
        #expect(pair.atClient.first == .response(stream, endStream: false))
        #expect(pair.atClient.last == .trailers(stream))
        #expect(pair.client.fields.first("grpc-status") == "0")
        #expect(pair.client.streamCount == 0)
        #expect(pair.server.streamCount == 0)
    }

    @Test("no more streams than the server allows, and none after its GOAWAY")
    func bounds() throws {
        var configuration = HTTP2Connection.Configuration()
        configuration.maxConcurrentStreams = 2
        var pair = Pair()
        pair.server = HTTP2Connection(configuration)
        try pair.exchange()
        let opened = [pair.open(), pair.open(), pair.open()]
        let first = try #require(opened[0])
        #expect(opened[1] != nil)
        #expect(opened[2] == nil)
        pair.client.reset(first, .cancel)
        let third = pair.open()
        #expect(third?.id == 5)
        try pair.exchange()
        #expect(pair.atServer.contains(.reset(HTTP2StreamRef(id: 1, slot: 0), code: 8)))
        pair.server.beginDrain()
        pair.server.finishDrain()
        try pair.exchange()
        #expect(pair.atClient.last == .goAway(lastStream: 5))
        #expect(!pair.client.canOpen)
    }

    @Test(
        "a malformed answer is the stream's error",
        arguments: [
            [("a", "b")], [(":status", "20")], [(":status", "200"), (":status", "200")],
            [(":status", "200"), ("Upper", "x")], [(":status", "200"), ("connection", "close")],
            [(":status", "200"), ("content-length", "1")], [(":status", "101")],
            [(":status", "100")],
        ])
    func malformed(_ fields: [(String, String)]) throws {
        var pair = Pair()
        let opened = pair.open()
        let stream = try #require(opened)
        try pair.exchange()
        pair.answer(HTTP2StreamRef(id: 1, slot: 0), fields, endStream: true)
        try pair.exchange()
        #expect(pair.atClient == [.reset(stream, code: HTTP2ErrorCode.protocolError.rawValue)])
    }

    @Test("heads become HTTP/1.1's text and back")
    func text() throws {
        let fields = HTTP2Fields([
            (":method", "POST"), (":scheme", "http"), (":path", "/v1/x?y"), (":authority", "h:1"),
            ("host", "h:1"), ("te", "trailers"), ("x-a", "b"), ("authorization", "Bearer s"),
        ])
        var text: [UInt8] = []
        HTTP2Text.appendRequest(fields, hasBody: true, to: &text)
        var parser = HTTPRequestParser()
        let step = try unsafe text.withUnsafeBytes { try unsafe parser.step($0) }
        #expect(step.event == .head)
        #expect(parser.head.isChunked)
        #expect(parser.head.fields["host"] == "h:1")
        var encoder = HPACKEncoder()
        var block: [UInt8] = []
        encoder.begin(&block)
        encoder.append(parser.head, scheme: "https", to: &block)
        var decoder = HPACKDecoder()
        var back = HTTP2Fields()
        _ = try unsafe block.withUnsafeBytes {
            try unsafe decoder.decode($0, into: &back, listBytesMax: 1 << 20)
        }
        let names = (0..<back.count).map { back.name($0) }
        #expect(
            names == [":method", ":scheme", ":path", ":authority", "x-a", "authorization"])
        #expect(back.first(":path") == "/v1/x?y")
    }

    @Test(
        "a request that HTTP/1.1 would read otherwise is refused",
        arguments: [
            [(":method", "GET /x HTTP/1.1"), (":path", "/")],
            [(":method", "GET"), (":path", "/ x")],
            [(":method", "GET"), (":path", "x")],
            [(":method", "GET"), (":path", "/"), ("host", "other")],
        ])
    func smuggling(_ pairs: [(String, String)]) {
        var text: [UInt8] = []
        let fields = HTTP2Fields(pairs + [(":authority", "h")])
        HTTP2Text.appendRequest(fields, hasBody: false, to: &text)
        #expect(throws: WireError.self) {
            var parser = HTTPRequestParser()
            _ = try unsafe text.withUnsafeBytes { try unsafe parser.step($0) }
        }
    }

    @Test("grpc-timeout is written as it is read, never longer")
    func timeouts() {
        for duration in [Duration.microseconds(1), .milliseconds(300), .seconds(99), .seconds(200)]
        {
            let text = GRPCTimeout.text(duration)
            #expect(GRPCTimeout.parse(text) == duration)
        }
        #expect(GRPCTimeout.parse(GRPCTimeout.text(.seconds(1 << 40))) == .seconds(99_999_999))
    }
}
