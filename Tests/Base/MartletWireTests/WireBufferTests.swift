// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import Testing

@Suite("WireBuffer")
struct WireBufferTests {
    private func text(_ fill: (inout WireBuffer) -> Void) -> String {
        var buffer = WireBuffer()
        fill(&buffer)
        return unsafe String(decoding: buffer.bytes, as: UTF8.self)
    }

    @Test("numbers are written as the standard library writes them")
    func numbers() {
        var random = SeededRandom(seed: 3)
        for shift in 0..<63 {
            let number = random.next() >> UInt64(shift + 1)
            #expect(text { $0.append(decimal: Int(number)) } == String(number))
            let digits = String(number, radix: 16)
            let padded = String(repeating: "0", count: 16 - digits.utf8.count) + digits
            #expect(text { $0.append(hexadecimal: number) } == padded)
        }
        #expect(text { $0.append(decimal: 0) } == "0")
        for number in [9, 10, 99_999_999, 100_000_000, Int.max] {
            #expect(text { $0.append(decimal: number) } == String(number))
        }
        #expect(text { $0.append(hexadecimal: .max) } == "ffffffffffffffff")
        #expect(text { $0.append(hexadecimal: 0x0123_4567_89AB_CDEF) } == "0123456789abcdef")
    }

    @Test("keeps its bytes while it grows, and lets go of memory beyond the limit")
    func growth() {
        var buffer = WireBuffer()
        var expected: [UInt8] = []
        var random = SeededRandom(seed: 4)
        for _ in 0..<2_000 {
            let byte = UInt8(truncatingIfNeeded: random.next())
            let piece = [UInt8](repeating: byte, count: Int(byte))
            buffer.append(contentsOf: piece)
            buffer.append(byte)
            buffer.append("end\r\n")
            buffer.append(min(1, piece.count)..<piece.count, of: piece)
            expected += piece + [byte] + Array("end\r\n".utf8) + piece.dropFirst()
        }
        #expect(unsafe buffer.bytes.elementsEqual(expected))
        #expect(buffer.count == expected.count && buffer.capacity >= expected.count)
        buffer.removeAll(keeping: 1 << 10)
        #expect(buffer.isEmpty && buffer.capacity == 0)
        buffer.append("again")
        #expect(unsafe buffer.bytes.elementsEqual("again".utf8))
        buffer.removeAll()
        #expect(buffer.isEmpty && buffer.capacity > 0)
    }
}

@Suite("KnownField")
struct KnownFieldTests {
    static let names: [(String, KnownField)] = [
        ("content-length", .contentLength), ("connection", .connection),
        ("authorization", .authorization), ("x-api-key", .apiKey),
        ("content-type", .contentType), ("upgrade", .upgrade), ("trailer", .trailer),
        ("te", .te), ("keep-alive", .keepAlive), ("traceparent", .traceParent),
        ("grpc-timeout", .grpcTimeout), ("x-request-timeout", .requestTimeout),
        ("x-request-id", .requestID), ("x-priority", .priority),
        ("x-forwarded-for", .forwardedFor), ("x-forwarded-host", .forwardedHost),
        ("x-forwarded-proto", .forwardedProto), ("proxy-connection", .proxyConnection),
        ("proxy-authenticate", .proxyAuthenticate),
        ("proxy-authorization", .proxyAuthorization), ("retry-after", .retryAfter),
        ("endpoint-load-metrics", .loadMetrics),
    ]

    private func fields(_ name: some Collection<UInt8>) -> HTTPFields? {
        var parser = HTTPRequestParser()
        let bytes =
            Array("POST / HTTP/1.1\r\nHost: h\r\n".utf8) + Array(name) + Array(": 7\r\n\r\n".utf8)
        return unsafe bytes.withUnsafeBytes { bytes in
            guard (try? unsafe parser.step(bytes))?.event == .head else { return nil }
            return parser.head.fields
        }
    }

    @Test("a name is known in any case", arguments: names)
    func cases(_ name: String, _ kind: KnownField) {
        var random = SeededRandom(seed: UInt64(name.utf8.count))
        for _ in 0..<20 {
            let mixed = name.utf8.map { byte in
                byte >= 0x61 && byte <= 0x7A && random.next() & 1 == 1 ? byte & 0xDF : byte
            }
            let found = fields(mixed)
            #expect(found?.has(kind) == true)
            #expect(found?.range(kind).map { found?.string($0) } == "7")
        }
    }

    @Test("no other token is taken for it", arguments: names)
    func others(_ name: String, _ kind: KnownField) {
        for place in name.utf8.indices {
            let offset = name.utf8.distance(from: name.utf8.startIndex, to: place)
            for byte in UInt8.min ... .max {
                var changed = Array(name.utf8)
                guard byte | 0x20 != changed[offset] else { continue }
                changed[offset] = byte
                guard let found = fields(changed) else { continue }
                #expect(!found.has(kind), "\(String(decoding: changed, as: UTF8.self))")
            }
        }
    }
}
