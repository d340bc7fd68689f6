// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire
internal import Testing

/// The examples of RFC 7541, appendix C, and what must be refused.
@Suite("HPACK")
struct HPACKTests {
    private func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.filter { $0 != " " }
        return stride(from: 0, to: digits.count, by: 2).compactMap { offset in
            let start = digits.index(digits.startIndex, offsetBy: offset)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)
        }
    }

    private func decode(_ block: [UInt8], _ decoder: inout HPACKDecoder) throws -> [String] {
        var fields = HTTP2Fields()
        let isWhole = try unsafe block.withUnsafeBytes {
            try unsafe decoder.decode($0, into: &fields, listBytesMax: 16_384)
        }
        #expect(isWhole)
        return (0..<fields.count).map { "\(fields.name($0)): \(fields.value($0))" }
    }

    private static let requests: [[String]] = [
        [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
        [
            ":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com",
            "cache-control: no-cache",
        ],
        [
            ":method: GET", ":scheme: https", ":path: /index.html",
            ":authority: www.example.com", "custom-key: custom-value",
        ],
    ]
    private static let plain = [
        "828684410f7777772e6578616d706c652e636f6d", "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ]
    private static let coded = [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ]

    @Test("single fields of C.2 are read")
    func literals() throws {
        var decoder = HPACKDecoder()
        #expect(
            try decode(bytes("400a637573746f6d2d6b65790d637573746f6d2d686561646572"), &decoder)
                == ["custom-key: custom-header"])
        #expect(decoder.tableBytes == 55)
        #expect(
            try decode(bytes("040c2f73616d706c652f70617468"), &decoder)
                == [":path: /sample/path"])
        #expect(
            try decode(bytes("100870617373776f726406736563726574"), &decoder)
                == ["password: secret"])
        #expect(try decode(bytes("82"), &decoder) == [":method: GET"])
        #expect(decoder.tableBytes == 55)
    }

    @Test("requests of C.3 and C.4 are read, and written the same", arguments: [false, true])
    func requests(isCoded: Bool) throws {
        var decoder = HPACKDecoder()
        var encoder = HPACKEncoder(isHuffmanUsed: isCoded)
        for (fields, hex) in zip(HPACKTests.requests, isCoded ? HPACKTests.coded : HPACKTests.plain)
        {
            #expect(try decode(bytes(hex), &decoder) == fields)
            var block: [UInt8] = []
            encoder.begin(&block)
            for field in fields {
                let parts = field.split(separator: ": ", maxSplits: 1).map(String.init)
                encoder.append(parts[0], parts[1], .remembered, to: &block)
            }
            #expect(block == bytes(hex))
        }
        #expect(decoder.tableBytes == 164)
    }

    @Test("responses of C.5 and C.6 are read, with a table that overflows")
    func responses() throws {
        let first = [
            ":status: 302", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT",
            "location: https://www.example.com",
        ]
        let third = [
            ":status: 200", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:22 GMT",
            "location: https://www.example.com", "content-encoding: gzip",
            "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ]
        let plain = [
            "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120"
                + "474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
            "4803333037c1c0bf",
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738"
                + "666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167"
                + "653d333630303b2076657273696f6e3d31",
        ]
        let coded = [
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad1718"
                + "63c78f0b97c8e9ae82ae43d3",
            "4883640effc1c0bf",
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7"
                + "b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        ]
        for blocks in [plain, coded] {
            var decoder = HPACKDecoder(tableBytesMax: 256)
            #expect(try decode(bytes(blocks[0]), &decoder) == first)
            #expect(decoder.tableBytes == 222)
            #expect(
                try decode(bytes(blocks[1]), &decoder) == [":status: 307"] + first.dropFirst())
            #expect(try decode(bytes(blocks[2]), &decoder) == third)
            #expect(decoder.tableBytes == 215)
        }
    }

    @Test(
        "what is no header block is refused",
        arguments: [
            "80", "be", "ff80808080808080", "40", "400a6375", "0085ffffffffff00", "00810800",
            "3fe21f", "8220", "7f80808080", "40ff80808080808001",
        ])
    func refused(hex: String) {
        var decoder = HPACKDecoder()
        let error = #expect(throws: HTTP2Error.self) { try decode(bytes(hex), &decoder) }
        #expect(error?.code == .compressionError)
    }

    @Test("every byte survives the Huffman code")
    func huffman() throws {
        let text = String(decoding: (0..<128).map { UInt8($0) } + Array("äöü€".utf8), as: UTF8.self)
        for repeats in 1...3 {
            var encoder = HPACKEncoder(isHuffmanUsed: true)
            var decoder = HPACKDecoder()
            let value = String(
                repeating: text + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", count: repeats)
            let long = value + String(repeating: "e", count: 2_000)
            var block: [UInt8] = []
            encoder.append("n", long, to: &block)
            #expect(try decode(block, &decoder) == ["n: " + long])
        }
    }

    @Test("a list over the limit is cut, and the table goes on")
    func limit() throws {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        var block: [UInt8] = []
        encoder.append("a", String(repeating: "x", count: 200), .remembered, to: &block)
        encoder.append("b", "y", .remembered, to: &block)
        var fields = HTTP2Fields()
        let isWhole = try unsafe block.withUnsafeBytes {
            try unsafe decoder.decode($0, into: &fields, listBytesMax: 100)
        }
        #expect(!isWhole)
        #expect(fields.count == 0)
        block = []
        encoder.append("b", "y", .remembered, to: &block)
        #expect(block == [0x80 | 62])
        #expect(try decode(block, &decoder) == ["b: y"])
    }

    @Test("a smaller table is announced, and what it cannot hold is sent whole")
    func resizing() throws {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        for size in [4_096, 0, 60, 4_096] {
            encoder.limitTable(size)
            for _ in 0..<3 {
                var block: [UInt8] = []
                encoder.begin(&block)
                encoder.append("name", "value", .remembered, to: &block)
                encoder.append("secret", "value", .never, to: &block)
                #expect(try decode(block, &decoder) == ["name: value", "secret: value"])
                #expect(decoder.tableBytes <= size)
            }
        }
    }
}
