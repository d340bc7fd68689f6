// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import Testing

@Suite("Protobuf")
struct ProtobufTests {
    /// Runs `body` over a reader of these bytes.
    func read<Result>(
        _ bytes: [UInt8], depthLimit: Int = 64, _ body: (inout ProtobufReader) throws -> Result
    ) throws -> Result {
        try unsafe bytes.withUnsafeBytes { bytes in
            var reader = unsafe ProtobufReader(bytes, depthLimit: depthLimit)
            return try body(&reader)
        }
    }

    func same<Value: Equatable>(
        _ actual: Value, _ expected: Value, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(actual == expected, sourceLocation: sourceLocation)
    }

    /// Reads every field of the message to its end, going into nothing.
    func walk(_ bytes: [UInt8]) throws {
        try read(bytes) { reader in while try reader.next() != nil {} }
    }

    @Test("scalars come back as they were written", arguments: [0, 1, -1, 127, 128, .max, .min])
    func scalars(_ value: Int64) throws {
        var writer = ProtobufWriter()
        writer.int64(1, value)
        writer.sint64(2, value)
        writer.uint64(3, UInt64(bitPattern: value))
        writer.fixed64(4, UInt64(bitPattern: value))
        writer.fixed32(5, UInt32(truncatingIfNeeded: value))
        writer.bool(6, value != 0)
        writer.double(7, Double(value))
        writer.float(8, Float(value))
        writer.string(536_870_911, "größe \(value)")
        try read(writer.bytes) { reader in
            try same(reader.next(), 1)
            try same(reader.int64(), value)
            try same(reader.next(), 2)
            try same(reader.sint64(), value)
            try same(reader.next(), 3)
            try same(reader.uint64(), UInt64(bitPattern: value))
            try same(reader.next(), 4)
            try same(reader.fixed64(), UInt64(bitPattern: value))
            try same(reader.next(), 5)
            try same(reader.fixed32(), UInt32(truncatingIfNeeded: value))
            try same(reader.next(), 6)
            try same(reader.bool(), (value != 0))
            try same(reader.next(), 7)
            try same(reader.double(), Double(value))
            try same(reader.next(), 8)
            try same(reader.float(), Float(value))
            try same(reader.next(), 536_870_911)
            try same(reader.string(), "größe \(value)")
            try same(reader.next(), nil)
        }
    }

    @Test(
        "a nested message's length is filled in at every size", arguments: [0, 1, 127, 128, 20_000])
    func nested(size: Int) throws {
        var writer = ProtobufWriter()
        writer.message(1) { outer in
            outer.message(2) { $0.bytes(3, [UInt8](repeating: 7, count: size)) }
            outer.bool(4, true)
        }
        writer.uint64(5, 6)
        try read(writer.bytes) { reader in
            try same(reader.next(), 1)
            var outer = try reader.message()
            try same(outer.next(), 2)
            var inner = try outer.message()
            try same(inner.next(), 3)
            try same(inner.range().count, size)
            try same(inner.next(), nil)
            try same(outer.next(), 4)
            try same(outer.bool(), true)
            try same(outer.next(), nil)
            try same(reader.next(), 5)
            try same(reader.uint64(), 6)
        }
    }

    @Test("repeated numbers are read packed and one by one")
    func repeated() throws {
        var writer = ProtobufWriter()
        writer.packed(1, [1, -1, 300] as [Int64])
        writer.int64(1, 4)
        writer.packed(2, [0.5, -2] as [Float])
        writer.float(2, 8)
        writer.packed(3, [true, false])
        writer.packed(4, [] as [Int32])
        var ints: [Int64] = []
        var floats: [Float] = []
        var bools: [Bool] = []
        try read(writer.bytes) { reader in
            while let field = try reader.next() {
                switch field {
                case 1: try reader.append(to: &ints)
                case 2: try reader.append(to: &floats)
                case 3: try reader.append(to: &bools)
                default: Issue.record("field \(field)")
                }
            }
        }
        #expect(ints == [1, -1, 300, 4])
        #expect(floats == [0.5, -2, 8])
        #expect(bools == [true, false])
    }

    @Test("groups are skipped with what they hold")
    func groups() throws {
        var writer = ProtobufWriter()
        writer.tag(1, .startGroup)
        writer.uint64(2, 3)
        writer.tag(3, .startGroup)
        writer.string(1, "inner")
        writer.tag(3, .endGroup)
        writer.tag(1, .endGroup)
        writer.uint64(4, 5)
        try read(writer.bytes) { reader in
            try same(reader.next(), 1)
            try same(reader.next(), 4)
            try same(reader.uint64(), 5)
        }
    }

    @Test(
        "malformed bytes are errors that name the byte",
        arguments: [
            ([0x08], FormatError.Code.truncated, 1),
            ([0x08, 0x80], .truncated, 1),
            ([0x08] + [UInt8](repeating: 0x80, count: 9) + [0x02], .malformed, 1),
            ([0x08] + [UInt8](repeating: 0xFF, count: 12), .malformed, 1),
            ([0x0D, 1, 2, 3], .truncated, 1),
            ([0x09, 1, 2, 3, 4, 5, 6, 7], .truncated, 1),
            ([0x0A, 5, 1, 2], .truncated, 1),
            ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], .truncated, 1),
            ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], .truncated, 1),
            ([0x00], .malformed, 0),
            ([0x0E], .malformed, 0),
            ([0x0C], .malformed, 0),
            ([0x0B, 0x14], .malformed, 1),
            ([0x0B, 0x08, 0x01], .truncated, 3),
            ([0x80, 0x80, 0x80, 0x80, 0x80, 0x01], .malformed, 0),
        ] as [([UInt8], FormatError.Code, Int)])
    func malformed(bytes: [UInt8], code: FormatError.Code, offset: Int) throws {
        let error = #expect(throws: FormatError.self) { try walk(bytes) }
        #expect(error?.code == code)
        #expect(error?.offset == offset)
    }

    @Test("nesting of messages and groups is bounded")
    func depth() throws {
        #expect(throws: FormatError.self) { try walk([UInt8](repeating: 0x0B, count: 1_000_000)) }
        var writer = ProtobufWriter()
        var marks: [Int] = []
        for _ in 0..<20 { marks.append(writer.beginMessage(1)) }
        for mark in marks.reversed() { writer.endMessage(mark) }
        func descend(_ reader: inout ProtobufReader) throws -> Int {
            guard try reader.next() != nil else { return 0 }
            var inner = try reader.message()
            return try descend(&inner) + 1
        }
        #expect(try read(writer.bytes, descend) == 20)
        let error = #expect(throws: FormatError.self) {
            _ = try read(writer.bytes, depthLimit: 10, descend)
        }
        #expect(error?.code == .limitExceeded)
    }

    @Test("a field of another wire type and a string that is not UTF-8 are errors")
    func mismatch() {
        #expect(throws: FormatError.self) {
            try read([0x08, 0x01]) { reader in
                _ = try reader.next()
                _ = try reader.string()
            }
        }
        #expect(throws: FormatError.self) {
            try read([0x0A, 0x01, 0xFF]) { reader in
                _ = try reader.next()
                _ = try reader.string()
            }
        }
    }
}
