// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import MartletProxy
internal import MartletResilience
internal import MartletTesting
internal import Testing

@Suite("RESP")
struct RESPTests {
    private func read(_ text: String, pieces: Int = .max) throws(RESPError) -> [RESPValue] {
        try read(Array(text.utf8), pieces: pieces)
    }

    private func read(_ bytes: [UInt8], pieces: Int) throws(RESPError) -> [RESPValue] {
        var reader = RESPReader()
        var found: [RESPValue] = []
        var start = 0
        while start < bytes.count {
            let end = min(start + min(pieces, bytes.count), bytes.count)
            reader.feed(bytes[start..<end])
            while let value = try reader.next() { found.append(value) }
            start = end
        }
        return found
    }

    private static let all =
        "+OK\r\n-ERR no\r\n:-42\r\n$5\r\nhel\r\n\r\n$-1\r\n*3\r\n:1\r\n*1\r\n+x\r\n$0\r\n\r\n*0\r\n*-1\r\n"

    @Test("every kind of reply is read, however it is cut up")
    func kinds() throws {
        let expected: [RESPValue] = [
            .text("OK"), .error("ERR no"), .integer(-42), .bytes(Array("hel\r\n".utf8)), .null,
            .list([.integer(1), .list([.text("x")]), .bytes([])]), .list([]), .null,
        ]
        for pieces in [1, 2, 3, 7, 1_000] {
            #expect(try read(Self.all, pieces: pieces) == expected)
        }
    }

    @Test("what is no reply, or too large, is an error before anything is taken for it")
    func refused() {
        for text in [
            "!x\r\n", "\r\n", ":\r\n", ":1a\r\n", ":99999999999999999999\r\n", "+a\n",
            "+a\rb", "$-2\r\n", "$99999999999\r\n", "$2\r\nabc\r\n", "*4097\r\n", "*-7\r\n",
            "*9223372036854775807\r\n", String(repeating: "*1\r\n", count: 20),
            "+" + String(repeating: "a", count: 70_000),
        ] {
            #expect(throws: RESPError.self, "\(text.prefix(20))") { try read(text) }
        }
    }

    @Test("commands are written with the length of each part")
    func commands() {
        var bytes: [UInt8] = []
        RESPCommand.append([Array("GET".utf8), [0x0D, 0x0A]], to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n")
    }

    private var key: CacheKey {
        CacheKey(tenant: "t", model: "m", version: "1", path: "/p", body: .object(JSONObject()))
    }

    @Test("a kept answer comes back as it was, and only for its own key")
    func answers() {
        let answer = CachedAnswer(
            status: 200, lines: Array("Content-Type: a\r\nX: y\r\n".utf8), body: [1, 2, 3],
            isEventStream: true)
        let bytes = answer.encoded(key, made: 1_234)
        let back = CachedAnswer.decode(bytes, for: key)
        #expect(back?.0 == answer && back?.made == 1_234)
        let other = CacheKey(
            tenant: "u", model: "m", version: "1", path: "/p", body: .object(JSONObject()))
        #expect(CachedAnswer.decode(bytes, for: other) == nil)
        #expect(CachedAnswer.decode(Array(bytes.dropLast()), for: key) == nil)
        for lines in ["X: y", "\r\n", "X: y\r\n\r\n", "X: y\nZ: z\r\n", "none\r\n", "X: a\rb\r\n"] {
            let bad = CachedAnswer(status: 200, lines: Array(lines.utf8))
            #expect(CachedAnswer.decode(bad.encoded(key, made: 0), for: key) == nil, "\(lines)")
        }
    }

    @Test("a share is a limit's part, rounded down but never to nothing")
    func shares() {
        var policy = LimitPolicy()
        policy.requests = LimitPolicy.Rate(
            rate: TokenBucket.Rate(100, per: .seconds(1)), burst: 101)
        policy.concurrency = 2
        let part = policy.divided(by: 3)
        #expect(part.requests?.rate == TokenBucket.Rate(100, per: .seconds(3)))
        #expect(part.requests?.burst == 33 && part.concurrency == 1 && part.tokens == nil)
    }
}

@Suite("RESP fuzz")
struct RESPFuzzTests {
    @Test("replies are understood the same however the bytes are cut up")
    func replies() {
        let seeds = [
            "+OK\r\n-ERR no\r\n:-42\r\n$5\r\nhello\r\n$-1\r\n*3\r\n:1\r\n*1\r\n+x\r\n$0\r\n\r\n",
            "*4\r\n:0\r\n:1\r\n$6\r\ntokens\r\n:-1\r\n",
        ].map { Array($0.utf8) }
        var turn = 0
        fuzz("RESP", seeds: seeds) { bytes in
            turn += 1
            func outcome(_ pieces: Int) -> [RESPValue]? {
                var reader = RESPReader()
                var found: [RESPValue] = []
                for start in stride(from: 0, to: bytes.count, by: pieces) {
                    reader.feed(bytes[start..<min(start + pieces, bytes.count)])
                    do { while let value = try reader.next() { found.append(value) } } catch {
                        return nil
                    }
                }
                return found
            }
            let whole = outcome(max(bytes.count, 1))
            #expect(outcome(1 + turn % 7) == whole, "\(bytes)")
            if whole == nil { throw RESPRefused() }
        }
    }

    private struct RESPRefused: Error {}

    @Test("damaged answers of the shared cache are none, or harmless")
    func answers() {
        let key = CacheKey(
            tenant: "t", model: "m", version: "1", path: "/p", body: .object(JSONObject()))
        let answer = CachedAnswer(
            status: 200, lines: Array("Content-Type: a\r\nX: y\r\n".utf8), body: [1, 2, 3])
        fuzz("cached answer", seeds: [answer.encoded(key, made: 1)]) { bytes in
            guard let (answer, made) = CachedAnswer.decode(bytes, for: key) else {
                throw RESPRefused()
            }
            #expect(answer.encoded(key, made: made).count == bytes.count)
            let text = String(decoding: answer.lines, as: UTF8.self)
            #expect(!text.contains("\r\n\r\n") && (text.isEmpty || text.hasSuffix("\r\n")))
        }
    }
}
