// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import Testing

/// Parsers take lines again that are what they were in the head before. Whatever came before, a
/// head must be read as a parser reads it that has seen nothing else.
@Suite("HTTP heads that are alike")
struct HTTPAlikeHeadTests {
    private static let requestLines = [
        "POST /a HTTP/1.1", "POST /b HTTP/1.1", "GET /a?q=1 HTTP/1.1", "POST /a HTTP/1.0",
        "GET http://host/a HTTP/1.1", "GET http://other/a HTTP/1.1", "POST /long/er HTTP/1.1",
    ]
    private static let statusLines = [
        "HTTP/1.1 200 OK", "HTTP/1.1 500 No", "HTTP/1.0 200 OK", "HTTP/1.1 204 OK",
        "HTTP/1.1 103 Go",
    ]
    private static let fields = [
        "Host: host", "Host: hose", "host: host", "Content-Length: 0", "Content-Length: 7",
        "Content-Length: 07", "Transfer-Encoding: chunked", "Transfer-Encoding: chunkes",
        "Connection: close", "Connection: closf", "Connection: keep-alive", "X: 1", "X: 2",
        "X:  1", "Expect: 100-continue", "Accept: a", "Authorization: k", "X-Empty:", " folded: 1",
        "Content-Length : 1", "A\u{1}B: c", "Date: one", "Date: two",
    ]

    private func head(_ lines: [String], _ random: inout SeededRandom) -> [String] {
        var head = [lines[Int.random(in: 0..<lines.count, using: &random)]]
        if Int.random(in: 0..<5, using: &random) > 0 { head.append("Host: host") }
        for _ in 0..<Int.random(in: 0..<5, using: &random) {
            let pick = Int.random(in: 0..<HTTPAlikeHeadTests.fields.count, using: &random)
            head.append(HTTPAlikeHeadTests.fields[pick])
        }
        return head
    }

    /// The same head with one line changed, taken out or put in; or just the same.
    private func varied(
        _ before: [String], _ lines: [String], _ random: inout SeededRandom
    ) -> [String] {
        var head = before
        let fields = HTTPAlikeHeadTests.fields
        let pick = fields[Int.random(in: 0..<fields.count, using: &random)]
        let place = Int.random(in: 0..<head.count, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: head[0] = lines[Int.random(in: 0..<lines.count, using: &random)]
        case 1 where place > 0: head[place] = pick
        case 2 where place > 0: head.remove(at: place)
        case 3: head.insert(pick, at: place + 1)
        default: break
        }
        return head
    }

    private func feed<Event: Equatable>(
        _ text: [UInt8], pieces: Int, _ isHead: (Event) -> Bool,
        _ step: (UnsafeRawBufferPointer) throws -> (Event, Int)
    ) -> String? {
        var end = 0
        while end < text.count {
            end = min(end + max(pieces, 1), text.count)
            do {
                let (event, _) = try unsafe Array(text[..<end]).withUnsafeBytes {
                    try unsafe step($0)
                }
                if isHead(event) { return end == text.count ? nil : "too soon" }
            } catch { return "\(error)" }
        }
        return "no head"
    }

    private func show(_ fields: HTTPFields) -> String {
        var text = ""
        fields.forEach { text += "\($0)=\($1);" }
        for kind in [KnownField.host, .contentLength, .transferEncoding, .connection, .expect] {
            text += "\(fields.range(kind).map(fields.string) ?? "-"),"
        }
        return text
    }

    @Test("requests", arguments: [1 << 20, 1, 13])
    func requests(pieces: Int) {
        for seed in 0..<3_000 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var parser = HTTPRequestParser()
            var lines = head(HTTPAlikeHeadTests.requestLines, &random)
            for _ in 0..<5 {
                let text = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
                func read(_ parser: inout HTTPRequestParser) -> String {
                    let problem = unsafe feed(
                        text, pieces: pieces, { $0 == HTTPRequestParser.Event.head },
                        { bytes in
                            let step = try unsafe parser.step(bytes)
                            return (step.event, step.consumed)
                        })
                    if let problem { return problem }
                    let head = parser.head
                    return "\(head.method) \(head.pathString) \(head.fields.string(head.query)) "
                        + "\(head.minorVersion) \(String(describing: head.contentLength)) "
                        + "\(head.keepsAlive) \(head.expectsContinue) \(show(head.fields))"
                }
                var fresh = HTTPRequestParser()
                let expected = read(&fresh)
                let found = read(&parser)
                #expect(found == expected, "seed \(seed): \(lines)")
                if found != expected || !expected.contains(";") { break }
                parser = reset(parser)
                lines = varied(lines, HTTPAlikeHeadTests.requestLines, &random)
            }
        }
    }

    /// As after a whole request; after an error nothing more is read from a connection.
    private func reset(_ parser: HTTPRequestParser) -> HTTPRequestParser {
        var parser = parser
        parser.leaveBody()
        return parser
    }

    @Test("responses", arguments: [1 << 20, 1, 13])
    func responses(pieces: Int) {
        for seed in 0..<3_000 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var parser = HTTPResponseParser()
            var lines = head(HTTPAlikeHeadTests.statusLines, &random)
            for _ in 0..<5 {
                let method: HTTPMethod = Int.random(in: 0..<6, using: &random) == 0 ? .head : .post
                let text = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
                func read(_ parser: inout HTTPResponseParser) -> String {
                    parser.leaveBody()
                    parser.begin(answering: method)
                    let problem = unsafe feed(
                        text, pieces: pieces,
                        { (event: HTTPResponseParser.Event) in
                            event == .head || event == .interim
                        },
                        { bytes in
                            let step = try unsafe parser.step(bytes)
                            return (step.event, step.consumed)
                        })
                    if let problem { return problem }
                    let head = parser.head
                    return "\(head.status) \(head.reasonString) \(head.minorVersion) "
                        + "\(head.framing) \(head.keepsAlive) \(show(head.fields))"
                }
                var fresh = HTTPResponseParser()
                let expected = read(&fresh)
                let found = read(&parser)
                #expect(found == expected, "seed \(seed): \(lines)")
                if found != expected || !expected.contains(";") { break }
                lines = varied(lines, HTTPAlikeHeadTests.statusLines, &random)
            }
        }
    }
}
