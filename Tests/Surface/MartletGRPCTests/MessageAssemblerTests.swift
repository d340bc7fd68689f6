// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGRPC
internal import MartletWire
internal import NIOCore
internal import Testing

@Suite("gRPC messages in frames")
struct MessageAssemblerTests {
    private func framed(_ payload: [UInt8], flag: UInt8 = 0) -> [UInt8] {
        let count = UInt32(payload.count)
        return [flag, UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255)]
            + [UInt8(count & 255)] + payload
    }

    private func failure(_ bytes: [UInt8], limit: Int = 100, coding: MessageCoding = .identity)
        -> GRPCStatus?
    {
        var assembler = MessageAssembler(bytesMax: limit, coding: coding)
        assembler.append(ByteBuffer(bytes: bytes))
        do throws(GRPCStatus) {
            _ = try assembler.next()
            return nil
        } catch {
            return error
        }
    }

    @Test("messages come out whole, however the frames are cut")
    func cuts() throws {
        let seed = UInt64(20_261_121)
        var random = SeededRandom(seed: seed)
        for round in 0..<200 {
            let messages = (0..<Int.random(in: 1...5, using: &random)).map { _ in
                (0..<Int.random(in: 0...300, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            }
            var stream = messages.flatMap { framed($0) }[...]
            var assembler = MessageAssembler(bytesMax: 1_000, coding: .identity)
            var found: [[UInt8]] = []
            while !stream.isEmpty {
                let size = Int.random(in: 1...min(stream.count, 200), using: &random)
                assembler.append(ByteBuffer(bytes: stream.prefix(size)))
                stream = stream.dropFirst(size)
                while let message = try assembler.next() {
                    found.append(Array(message.readableBytesView))
                }
            }
            #expect(found == messages, "seed \(seed), round \(round)")
            #expect(!assembler.isMidMessage)
        }
    }

    @Test(
        "a message in several frames ends at a multiple of 16", arguments: [17, 100, 4_096, 70_001])
    func placement(length: Int) throws {
        var assembler = MessageAssembler(bytesMax: 1 << 20, coding: .identity)
        let bytes = framed([UInt8](repeating: 7, count: length))
        assembler.append(ByteBuffer(bytes: bytes.prefix(9)))
        #expect(try assembler.next() == nil)
        assembler.append(ByteBuffer(bytes: bytes.dropFirst(9)))
        let message = try #require(try assembler.next())
        #expect(message.readableBytes == length)
        let end = unsafe message.withUnsafeReadableBytes {
            Int(bitPattern: $0.baseAddress) + $0.count
        }
        #expect(end % 16 == 0)
    }

    @Test("a long stream does not grow what is held")
    func stream() throws {
        var assembler = MessageAssembler(bytesMax: 1_000, coding: .identity)
        let bytes = (0..<2_000).flatMap { framed([UInt8](repeating: UInt8($0 & 255), count: 100)) }
        var count = 0
        for start in stride(from: 0, to: bytes.count, by: 64) {
            assembler.append(ByteBuffer(bytes: bytes[start..<min(start + 64, bytes.count)]))
            while try assembler.next() != nil { count += 1 }
            #expect(assembler.bufferedBytes < 200)
        }
        #expect(count == 2_000)
    }

    @Test("a length over the limit is refused before its bytes come")
    func limit() {
        #expect(failure([0, 0xFF, 0xFF, 0xFF, 0xFF])?.code == .resourceExhausted)
        #expect(failure([0, 0, 0, 0, 101])?.code == .resourceExhausted)
        #expect(failure([0, 0, 0, 0, 100]) == nil)
    }

    @Test("a wrong flag, and compression that was not announced, are errors")
    func flags() {
        #expect(failure([2, 0, 0, 0, 0])?.code == .internal)
        #expect(failure([1, 0, 0, 0, 0])?.code == .internal)
    }

    @Test(
        "what is compressed is read again, within the limit",
        arguments: [MessageCoding.gzip, .deflate])
    func compression(coding: MessageCoding) throws {
        let plain = ByteBuffer(repeating: 5, count: 50_000)
        let packed = try #require(coding.compress(plain))
        #expect(packed.readableBytes < 1_000)
        let stream = framed(Array(packed.readableBytesView), flag: 1)
        var assembler = MessageAssembler(bytesMax: 50_000, coding: coding)
        assembler.append(ByteBuffer(bytes: stream))
        #expect(try assembler.next() == plain)
        #expect(failure(stream, limit: 49_999, coding: coding)?.code == .resourceExhausted)
        #expect(
            failure(framed([1, 2, 3, 4], flag: 1), coding: coding)?.code == .internal)
        #expect(
            failure(
                framed(Array(packed.readableBytesView.dropLast(6)), flag: 1),
                limit: 50_000, coding: coding)?.code == .internal)
    }
}
