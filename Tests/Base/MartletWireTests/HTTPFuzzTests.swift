// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletTesting
internal import MartletWire
internal import Testing

@Suite("HTTP parser under mutation")
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

    @Test("never crashes, and understands the same however the bytes are cut up")
    func mutations() {
        let seed: UInt64 = 0xBEEF
        var mutator = Mutator(seed: seed)
        for round in 0..<20_000 {
            let bytes = mutator.mutate(HTTPFuzzTests.seeds[round % 3], with: HTTPFuzzTests.seeds)
            let whole = outcome(bytes, pieces: max(bytes.count, 1))
            let cut = outcome(bytes, pieces: 1 + round % 9)
            // Cut up, a request may be complete before an error behind it is seen.
            #expect(whole == cut || whole == "refused", "seed \(seed) round \(round)")
        }
    }
}
