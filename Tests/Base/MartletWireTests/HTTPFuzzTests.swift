// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTesting
internal import MartletWire
internal import Testing

@Suite("HTTP fuzz")
struct HTTPFuzzTests {
    private static let seeds = [
        "POST /v2/models/a/infer?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
        "POST /c HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n5;e=1\r\nhello\r\n0\r\nT: t\r\n\r\n",
        "GET http://d/p HTTP/1.1\r\nHost: d\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n",
    ].map { Array($0.utf8) }

    private func outcome(_ bytes: [UInt8], pieces: Int) -> String {
        var reader = RequestReader()
        do {
            for start in stride(from: 0, to: bytes.count, by: pieces) {
                try reader.feed(bytes[start..<min(start + pieces, bytes.count)])
            }
        } catch { return "refused" }
        return reader.requests.map {
            "\($0.head.targetString) \($0.head.fields.count) \($0.body.count)"
        }.joined(separator: "|")
    }

    @Test("understands the same however the bytes are cut up")
    func requests() {
        var turn = 0
        fuzz("HTTP request", seeds: HTTPFuzzTests.seeds) { bytes in
            turn += 1
            let whole = outcome(bytes, pieces: max(bytes.count, 1))
            let cut = outcome(bytes, pieces: 1 + turn % 9)
            // Cut up, a request may be complete before an error behind it is seen.
            #expect(whole == cut || whole == "refused", "\(bytes)")
            if whole == "refused" { throw WireError(.malformed, "refused") }
            // What a connection remembers of a head changes nothing.
            var reader = RequestReader()
            try reader.feed(bytes)
            if reader.isBetweenRequests, !reader.requests.isEmpty {
                let twice = outcome(bytes + bytes, pieces: bytes.count)
                #expect(twice == whole + "|" + whole, "\(bytes)")
            }
        }
    }

    private static let responseSeeds = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhelloHTTP/1.1 204\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5;e=1\r\nhello\r\n0\r\nT: t\r\n\r\nHTTP/1.0 500 Oh\r\n\r\nuntil the end",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
    ].map { Array($0.utf8) }

    @Test("understands responses the same however the bytes are cut up")
    func responses() {
        let methods: [HTTPMethod] = [.get, .post, .head, .get]
        var turn = 0
        fuzz("HTTP response", seeds: HTTPFuzzTests.responseSeeds) { bytes in
            turn += 1
            let cut = Result { () throws(WireError) in
                try ResponseReader.read(bytes, answering: methods, pieces: 1 + turn % 9)
            }
            // Cut up, responses may be complete before an error behind them is seen; the error
            // comes all the same.
            let whole = try ResponseReader.read(bytes, answering: methods)
            #expect((try? cut.get()) == whole, "\(bytes)")
        }
    }

    @Test("unpacking stays within its bound")
    func inflating() throws {
        var deflater = try Deflater(.gzip)
        var packed: [UInt8] = []
        try unsafe [UInt8](repeating: 7, count: 5_000).withUnsafeBytes {
            try unsafe deflater.deflate($0, isLast: true, appendingTo: &packed)
        }
        fuzz("gzip", seeds: [packed]) { bytes in
            var unpacked: [UInt8] = []
            defer { #expect(unpacked.count <= 10_000) }
            var inflater = try Inflater(.gzip, outputBytesMax: 9_000)
            try unsafe bytes.withUnsafeBytes {
                try unsafe inflater.inflate($0, appendingTo: &unpacked)
            }
            try inflater.finish()
        }
    }
}
