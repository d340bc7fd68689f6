// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import Testing

@Suite("JSON arrays into memory")
struct JSONArrayTests {
    private func read<Value: BitwiseCopyable>(
        _ text: String, _ kind: JSONNumberKind, count: Int, as type: Value.Type,
        limits: JSONLimits = JSONLimits()
    ) throws -> (values: [Value], shape: JSONArrayShape) {
        var memory = [UInt8](repeating: 0, count: count * MemoryLayout<Value>.stride)
        let shape = try unsafe Array(text.utf8).withUnsafeBytes { text in
            var scanner = unsafe JSONScanner(text, limits: limits)
            let shape = try unsafe memory.withUnsafeMutableBytes {
                try unsafe scanner.readNumbers(into: $0, as: kind)
            }
            try scanner.finish()
            return shape
        }
        let values = unsafe memory.withUnsafeBytes { memory in
            (0..<shape.count).map {
                unsafe memory.loadUnaligned(
                    fromByteOffset: $0 * MemoryLayout<Value>.stride, as: Value.self)
            }
        }
        return (values, shape)
    }

    @Test("flattens nested arrays and reports their shape")
    func nested() throws {
        let (values, shape) = try read(
            "[[[1, 2.5],[3,-4]],\n[[5,6e0],[7,8]] ]", .float32, count: 8, as: Float.self)
        #expect(values == [1, 2.5, 3, -4, 5, 6, 7, 8])
        #expect(shape.rank == 3)
        #expect((0..<3).map { shape[$0] } == [2, 2, 2])
    }

    @Test("reads flat and empty arrays and lone scalars")
    func flat() throws {
        #expect(try read("[1,2,3]", .int64, count: 3, as: Int64.self).values == [1, 2, 3])
        #expect(try read("[]", .int64, count: 3, as: Int64.self).shape.count == 0)
        let (values, shape) = try read("7", .uint8, count: 1, as: UInt8.self)
        #expect(values == [7])
        #expect(shape.rank == 0)
        let empty = try read("[[],[]]", .float64, count: 0, as: Double.self).shape
        #expect(empty.rank == 2)
        #expect(empty[0] == 2 && empty[1] == 0)
    }

    @Test(
        "refuses ragged arrays",
        arguments: ["[[1,2],[3]]", "[[1],2]", "[1,[2]]", "[[1],[[2]]]", "[[[1]],[2]]", "[[],[1]]"])
    func ragged(text: String) {
        #expect(throws: JSONError.self) { try read(text, .int32, count: 9, as: Int32.self) }
    }

    @Test("refuses too many elements, other types and broken text")
    func errors() {
        for text in [
            "[1,2,3,4]", "[1,\"2\"]", "[1,null]", "[1.5]", "[1e2]", "[1", "[1,]", "[", "{}",
            "[true]",
            "[99999999999]", "[1,2", "[1 2]", "",
        ] {
            #expect(throws: JSONError.self, "\(text)") {
                try read(text, .int32, count: 3, as: Int32.self)
            }
        }
    }

    @Test("checks every integer type's range")
    func ranges() throws {
        func check<Value: FixedWidthInteger & BitwiseCopyable>(
            _ kind: JSONNumberKind, _ type: Value.Type
        ) throws {
            let ends = try read(
                "[\(Value.min),\(Value.max)]", kind, count: 2, as: Value.self
            ).values
            #expect(ends == [Value.min, Value.max])
            let over = "\(Value.max.magnitude)".dropLast() + "8"
            let under = Value.isSigned ? "-\(Value.min.magnitude)0" : "-1"
            #expect(throws: JSONError.self) {
                try read("[\(over)]", kind, count: 1, as: Value.self)
            }
            #expect(throws: JSONError.self) {
                try read("[\(under)]", kind, count: 1, as: Value.self)
            }
        }
        try check(.int8, Int8.self)
        try check(.int16, Int16.self)
        try check(.int32, Int32.self)
        try check(.int64, Int64.self)
        try check(.uint8, UInt8.self)
        try check(.uint16, UInt16.self)
        try check(.uint32, UInt32.self)
        try check(.uint64, UInt64.self)
    }

    @Test("reads booleans and, when told to, non-finite numbers")
    func special() throws {
        #expect(
            try read("[true,false,1,0]", .bool, count: 4, as: UInt8.self).values == [1, 0, 1, 0])
        #expect(throws: JSONError.self) { try read("[2]", .bool, count: 4, as: UInt8.self) }
        #expect(throws: JSONError.self) { try read("[NaN]", .float32, count: 4, as: Float.self) }
        let values = try read(
            "[NaN,Infinity,-Infinity]", .float32, count: 3, as: Float.self,
            limits: JSONLimits(acceptsNonFinite: true)
        ).values
        #expect(values[0].isNaN)
        #expect(values[1] == .infinity)
        #expect(values[2] == -.infinity)
    }

    @Test("reads strings in the protocol's form")
    func byteStrings() throws {
        var bytes: [UInt8] = []
        let shape = try unsafe Array(#"[["a","\u00e9"],["","xyz"]]"#.utf8).withUnsafeBytes { text in
            var scanner = unsafe JSONScanner(text)
            return try scanner.readByteStrings(appendingTo: &bytes)
        }
        #expect(shape.count == 4)
        #expect(
            bytes == [1, 0, 0, 0, 0x61, 2, 0, 0, 0, 0xC3, 0xA9, 0, 0, 0, 0, 3, 0, 0, 0]
                + Array("xyz".utf8))
    }

    @Test("writes arrays that read back the same")
    func writing() throws {
        let floats = (0..<5000).map { Float($0) * 0.37 - 900 }
        var writer = JSONWriter()
        unsafe floats.withUnsafeBytes { unsafe writer.numbers($0, as: .float32) }
        let text = String(decoding: writer.bytes, as: UTF8.self)
        #expect(try read(text, .float32, count: 5000, as: Float.self).values == floats)
        var integers = JSONWriter()
        unsafe ([-128, 0, 127] as [Int8]).withUnsafeBytes { unsafe integers.numbers($0, as: .int8) }
        unsafe ([1, 0] as [UInt8]).withUnsafeBytes { unsafe integers.numbers($0, as: .bool) }
        #expect(String(decoding: integers.bytes, as: UTF8.self) == "[-128,0,127],[true,false]")
    }
}
