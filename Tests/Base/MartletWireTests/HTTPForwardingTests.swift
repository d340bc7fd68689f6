// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import Testing

@Suite("HTTPForwarding")
struct HTTPForwardingTests {
    private func head(_ text: String) throws -> HTTPRequestHead {
        var parser = HTTPRequestParser()
        let bytes = Array(text.replacing("\n", with: "\r\n").utf8)
        _ = try unsafe bytes.withUnsafeBytes { try unsafe parser.step($0) }
        return parser.head
    }

    @Test("what concerns one hop stays here, the rest goes on as it was written")
    func hopByHop() throws {
        let head = try head(
            """
            POST /v1/x?a=b HTTP/1.1
            Host: here
            Connection: keep-alive, X-Secret-Hop
            X-Secret-Hop: 1
            Keep-Alive: timeout=5
            TE: trailers
            Upgrade: h2c
            Proxy-Authorization: Basic x
            Transfer-Encoding: chunked
            Authorization: Bearer key
            X-Api-Key: key
            X-Request-Id: 42
            X-Forwarded-For: 1.2.3.4
            X-Forwarded-Proto: gopher
            Content-Type: application/json
            X-Custom:   spaced


            """)
        var bytes: [UInt8] = []
        let kinds = head.fields.appendForwarded(
            to: &bytes, keepsAuthorization: false, isRequest: true)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "Content-Type: application/json\r\nX-Custom:   spaced\r\n")
        #expect(kinds.requestID.map(head.fields.string) == "42")
        #expect(kinds.forwardedFor.map(head.fields.string) == "1.2.3.4")
        #expect(kinds.host.map(head.fields.string) == "here")
        #expect(head.fields.string(head.forwardedTarget) == "/v1/x?a=b")
        let custom = head.fields.range(named: Array("x-custom".utf8))
        #expect(custom.map(head.fields.string) == "spaced")
    }

    @Test("names are found whatever their case, and no others", arguments: 1..<20)
    func names(length: Int) throws {
        let tokens = Array("abcxyzABCXYZ0189!#$%&'*+-.^_`|~".utf8)
        for seed in 0..<100 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let name = (0..<length).map { _ in tokens.randomElement(using: &random) ?? 0x61 }
            var other = name
            let place = Int.random(in: 0..<length, using: &random)
            other[place] = tokens.randomElement(using: &random) ?? 0x61
            let text = String(decoding: other, as: UTF8.self)
            let wanted = String(decoding: name, as: UTF8.self).lowercased()
            let head = try head("GET / HTTP/1.1\nHost: h\n\(text): here\n\n")
            let found = head.fields.range(named: Array(wanted.utf8))
            #expect((found != nil) == (text.lowercased() == wanted), "seed \(seed)")
        }
    }

    @Test("secrets are the same only in every byte", arguments: 1..<40)
    func secrets(length: Int) throws {
        let secret = (0..<length).map { UInt8(ascii: "a") + UInt8($0 % 26) }
        let text = String(decoding: secret, as: UTF8.self)
        let fields = try head("GET / HTTP/1.1\nHost: h\nX-Api-Key: \(text)\n\n").fields
        let range = try #require(fields.range(of: "x-api-key"))
        #expect(fields.equalsInConstantTime(range, secret))
        #expect(!fields.equalsInConstantTime(range, secret + [0x61]))
        for place in 0..<length {
            var other = secret
            other[place] ^= 0x20
            #expect(!fields.equalsInConstantTime(range, other))
        }
    }

    @Test("whether an answer may be compressed is the proxy's to say, and seen")
    func coding() throws {
        let head = try head("GET / HTTP/1.1\nHost: h\nAccept-Encoding: gzip, br\nA: b\n\n")
        var bytes: [UInt8] = []
        let kinds = head.fields.appendForwarded(
            to: &bytes, keepsAuthorization: true, isRequest: true)
        #expect(String(decoding: bytes, as: UTF8.self) == "A: b\r\n")
        #expect(kinds.acceptEncoding.map(head.fields.string) == "gzip, br")
        for (line, isCoded) in [
            ("Content-Encoding: gzip", true), ("content-encoding: br", true),
            ("Content-Encoding: identity", false), ("Content-Encoding:", false), ("A: b", false),
        ] {
            let head = try self.head("GET / HTTP/1.1\nHost: h\n\(line)\n\n")
            #expect(head.fields.isCoded == isCoded, "\(line)")
        }
    }

    @Test("the client's credentials go on only where they are meant to")
    func authorization() throws {
        let head = try head("GET / HTTP/1.1\nHost: h\nAuthorization: Bearer key\n\n")
        var bytes: [UInt8] = []
        _ = head.fields.appendForwarded(to: &bytes, keepsAuthorization: true, isRequest: true)
        #expect(String(decoding: bytes, as: UTF8.self) == "Authorization: Bearer key\r\n")
    }

    @Test("an absolute target goes on in origin form")
    func absolute() throws {
        let head = try head("GET http://h/a?b HTTP/1.1\nHost: h\n\n")
        #expect(head.fields.string(head.forwardedTarget) == "/a?b")
    }

    @Test("chunks are what the parser reads back", arguments: [0, 1, 15, 16, 255, 256, 70_000])
    func chunks(count: Int) throws {
        var bytes = Array("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
        let body = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        unsafe body.withUnsafeBytes { unsafe ChunkedEncoder.append($0, to: &bytes) }
        ChunkedEncoder.appendEnd(to: &bytes)
        var parser = HTTPRequestParser()
        var place = 0
        var found: [UInt8] = []
        reading: while true {
            let rest = Array(bytes[place...])
            let step = try unsafe rest.withUnsafeBytes { try unsafe parser.step($0) }
            if case .body(let range) = step.event { found += rest[range] }
            place += step.consumed
            if step.event == .end || step.event == .needMore { break reading }
        }
        #expect(found == body)
        #expect(place == bytes.count)
    }
}
