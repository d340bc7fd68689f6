// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import Testing

@Suite("Bytes")
struct BytesTests {
    @Test("the reader reads little-endian values and stops at the end")
    func reader() {
        let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 128, 63]
        unsafe bytes.withUnsafeBytes { bytes in
            var reader = unsafe ByteReader(bytes)
            let values = [
                reader.readUInt8().map(Int.init), reader.readUInt16().map(Int.init),
                reader.readUInt32().map(Int.init), reader.readInt32().map(Int.init),
            ]
            #expect(values == [1, 0x0302, 0x0706_0504, 0x0B0A_0908])
            let float = reader.readFloat()
            let isAtEnd = reader.isAtEnd
            #expect(float == 1 && isAtEnd)
            let past = reader.readUInt8()
            let offset = reader.offset
            #expect(past == nil && offset == 15)
        }
    }

    @Test("a read that fails moves nothing, and sizes cannot overflow")
    func bounds() {
        let bytes = [UInt8](repeating: 0xFF, count: 9)
        unsafe bytes.withUnsafeBytes { bytes in
            var reader = unsafe ByteReader(bytes)
            let size = reader.readSize()
            let isSkipped = [reader.skip(.max), reader.skip(-1), reader.skip(10)]
            let isSought = [reader.seek(to: -1), reader.seek(to: 10)]
            let part = unsafe reader.readBytes(.max) == nil
            let offset = reader.offset
            #expect(size == nil && part && offset == 0)
            #expect(isSkipped == [false, false, false])
            #expect(isSought == [false, false])
            let isAtEnd = reader.seek(to: 9)
            let last = reader.peek()
            #expect(isAtEnd && last == nil)
        }
    }

    @Test("a region is sliced inside its bounds only, without copying")
    func region() {
        let region = ByteRegion(copying: 0..<100)
        #expect(region.isAligned(to: 64))
        let slice = region.slice(offset: 10, count: 5)
        #expect(slice?.copied() == [10, 11, 12, 13, 14])
        #expect(slice?.owner === region.owner)
        #expect(region.slice(offset: 100, count: 0)?.isEmpty == true)
        for (offset, count) in [(101, 0), (96, 5), (-1, 1), (0, -1), (.max, .max), (1, .max)] {
            #expect(region.slice(offset: offset, count: count) == nil)
        }
        let filled = unsafe ByteRegion(byteCount: 3) { unsafe $0[1] = 7 }
        #expect(filled.copied() == [0, 7, 0])
    }
}

@Suite("Digests")
struct DigestTests {
    @Test("SHA-256 gives the standard's answers")
    func vectors() {
        #expect(
            Digest.sha256([]).hexadecimal
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            Digest.sha256(Array("abc".utf8)).hexadecimal
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("pieces give the same digest as the whole")
    func streaming() {
        let bytes = (0..<1000).map { UInt8($0 % 251) }
        var hasher = SHA256Hasher()
        unsafe bytes.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: 1000, by: 7) {
                let end = min(start + 7, 1000)
                unsafe hasher.update(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            }
        }
        let digest = hasher.finish()
        #expect(digest == Digest.sha256(bytes))
        #expect(digest != Digest.sha256([]))
    }

    @Test("a digest is read back from its digits")
    func parsing() {
        let digest = Digest.sha256([1])
        #expect(Digest(hexadecimal: digest.hexadecimal.uppercased()) == digest)
        #expect(Digest(hexadecimal: String(digest.hexadecimal.dropLast())) == nil)
        #expect(Digest(hexadecimal: String(repeating: "g", count: 64)) == nil)
    }
}
