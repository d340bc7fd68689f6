// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletTesting
internal import MartletWire
internal import Testing

@Suite("HTTP/2 fuzz")
struct HTTP2FuzzTests {
    private static let seeds: [[UInt8]] = {
        var feed = HTTP2Feed()
        var bytes = HTTP2Feed.opening
        bytes += feed.frame(4, 0, 0, [0, 4, 0, 0, 4, 0, 0, 1, 0, 0, 0, 64]) + feed.frame(4, 1, 0)
        bytes += feed.frame(1, 4, 1, feed.block(HTTP2Feed.head + [("a", "b")], .remembered))
        bytes += feed.data(1, [1, 2, 3]) + feed.frame(0, 8, 1, [2, 9, 0, 0])
        bytes += feed.request(3, [("content-length", "2")]) + feed.data(3, [5, 6], end: true)
        bytes += feed.frame(1, 5, 1, feed.block([("x", "y")])) + feed.frame(8, 0, 0, [0, 0, 9, 9])
        bytes += feed.frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]) + feed.frame(8, 0, 3, [0, 0, 0, 9])
        let block = feed.block(HTTP2Feed.head)
        bytes += feed.frame(1, 0, 5, Array(block[..<4])) + feed.frame(9, 4, 5, Array(block[4...]))
        bytes += feed.frame(3, 0, 5, [0, 0, 0, 8]) + feed.frame(2, 0, 7, [0, 0, 0, 0, 1])
        bytes += feed.frame(1, 5, 7, block) + feed.frame(7, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])
        return [bytes, HTTP2Feed.opening + feed.request(9, end: true)]
    }()

    /// What came of the bytes, giving credit on the way; nil when they were refused.
    private func outcome(_ bytes: [UInt8], pieces: Int) -> String? {
        var feed = HTTP2Feed(begun: false)
        var seen = ""
        var received: [UInt32: Int] = [:]
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            do {
                try feed.feed(Array(bytes[start..<min(start + pieces, bytes.count)]))
            } catch {
                return nil
            }
            for event in feed.events {
                switch event {
                case .request(let stream, _, _):
                    seen += "\(stream.id)|"
                case .data(let stream, let range, let end):
                    received[stream.id, default: 0] += range.count
                    feed.connection.credit(stream, range.count)
                    if end { seen += "\(stream.id) ends after \(received[stream.id] ?? 0)|" }
                case .reset(let stream, let code): seen += "\(stream.id) reset \(code)|"
                default: break
                }
            }
            feed.events.removeAll()
        }
        #expect(feed.connection.streamCount <= 256)
        #expect(feed.connection.output.count <= 4 * bytes.count + 1_000)
        return seen + "\(feed.heads)"
    }

    @Test("understands the same however the bytes are cut up")
    func connections() {
        var turn = 0
        fuzz("HTTP/2", seeds: HTTP2FuzzTests.seeds, sizeMax: 8_192) { bytes in
            turn += 1
            let whole = outcome(bytes, pieces: max(bytes.count, 1))
            let cut = outcome(bytes, pieces: 1 + turn % 50)
            #expect(whole == cut)
            if whole == nil { throw HTTP2Error(.protocolError, "refused") }
        }
    }

    @Test("header blocks decode within their bounds, or are refused")
    func blocks() {
        var encoder = HPACKEncoder(isHuffmanUsed: true)
        var seed: [UInt8] = []
        for (name, value) in HTTP2Feed.head + [("grpc-timeout", "15S"), ("user-agent", "grpc/1")] {
            encoder.append(name, value, .remembered, to: &seed)
        }
        fuzz("HPACK", seeds: [seed, [0x3F, 0xE1, 0x1F, 0x82]], sizeMax: 8_192) { bytes in
            var decoder = HPACKDecoder()
            var fields = HTTP2Fields()
            for _ in 0..<2 {
                _ = try unsafe bytes.withUnsafeBytes {
                    try unsafe decoder.decode($0, into: &fields, listBytesMax: 4_096)
                }
                #expect(decoder.tableBytes <= 4_096)
                #expect(fields.bytes.count + 32 * fields.count <= 4_096)
            }
        }
    }
}
