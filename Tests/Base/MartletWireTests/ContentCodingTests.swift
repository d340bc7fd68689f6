// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire
internal import Testing

@Suite("Content codings")
struct ContentCodingTests {
    private func pack(_ bytes: [UInt8], _ coding: ContentCoding) throws -> [UInt8] {
        var deflater = try Deflater(coding)
        var packed: [UInt8] = []
        let middle = bytes.count / 2
        try unsafe bytes.withUnsafeBytes { bytes in
            try unsafe deflater.deflate(
                UnsafeRawBufferPointer(rebasing: bytes[..<middle]), isLast: false,
                appendingTo: &packed)
            try unsafe deflater.deflate(
                UnsafeRawBufferPointer(rebasing: bytes[middle...]), isLast: true,
                appendingTo: &packed)
        }
        return packed
    }

    private func unpack(
        _ packed: [UInt8], _ coding: ContentCoding, pieces: Int = 1 << 20, outputMax: Int = 1 << 24
    ) throws -> [UInt8] {
        var inflater = try Inflater(coding, outputBytesMax: outputMax)
        var unpacked: [UInt8] = []
        for start in stride(from: 0, to: packed.count, by: pieces) {
            try unsafe packed.withUnsafeBytes {
                try unsafe inflater.inflate(
                    UnsafeRawBufferPointer(
                        rebasing: $0[start..<min(start + pieces, packed.count)]),
                    appendingTo: &unpacked)
            }
        }
        try inflater.finish()
        return unpacked
    }

    @Test(
        "unpacks what it packs", arguments: [ContentCoding.gzip, .deflate],
        [0, 1, 70_000, 1_000_000])
    func roundTrip(coding: ContentCoding, count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) }
        let packed = try pack(bytes, coding)
        #expect(try unpack(packed, coding) == bytes)
        if count < 100 || count == 70_000 {
            #expect(try unpack(packed, coding, pieces: 7) == bytes)
        }
    }

    @Test("takes bare deflate data for deflate")
    func bareDeflate() throws {
        // "hello" with a fixed Huffman block.
        let packed: [UInt8] = [0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        #expect(try unpack(packed, .deflate) == Array("hello".utf8))
    }

    @Test("refuses bombs, cut, damaged and over-long bodies")
    func refusals() throws {
        let zeros = [UInt8](repeating: 0, count: 10_000_000)
        let bomb = try pack(zeros, .gzip)
        #expect(bomb.count < 100_000)
        let error = #expect(throws: WireError.self) {
            try unpack(bomb, .gzip, outputMax: 1_000_000)
        }
        #expect(error?.status == 413)
        #expect(try unpack(bomb, .gzip, outputMax: 10_000_000).count == 10_000_000)
        let packed = try pack(Array("hello, hello, hello".utf8), .gzip)
        #expect(throws: WireError.self) { try unpack(Array(packed.dropLast()), .gzip) }
        #expect(throws: WireError.self) { try unpack(packed + [0], .gzip) }
        #expect(throws: WireError.self) { try unpack(Array("plain".utf8), .gzip) }
        var damaged = packed
        damaged[packed.count - 5] ^= 0xFF
        #expect(throws: WireError.self) { try unpack(damaged, .gzip) }
    }

    @Test("chooses what the client prefers")
    func negotiation() {
        #expect(ContentCoding(acceptEncoding: "gzip, deflate") == .gzip)
        #expect(ContentCoding(acceptEncoding: "deflate") == .deflate)
        #expect(ContentCoding(acceptEncoding: "gzip;q=0.1, deflate;q=0.9") == .deflate)
        #expect(ContentCoding(acceptEncoding: "gzip;q=0") == .identity)
        #expect(ContentCoding(acceptEncoding: "br, identity") == .identity)
        #expect(ContentCoding(acceptEncoding: "*") == .gzip)
        #expect(ContentCoding(acceptEncoding: "") == .identity)
        #expect(ContentCoding(contentEncoding: "GZIP") == .gzip)
        #expect(ContentCoding(contentEncoding: "gzip, gzip") == nil)
    }
}
