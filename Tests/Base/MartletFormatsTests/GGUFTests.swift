// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import Testing

/// Builds GGUF files, well-formed or not.
struct GGUFBytes {
    private(set) var bytes: [UInt8] = []

    mutating func integer<Value: FixedWidthInteger>(_ value: Value) {
        unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    mutating func text(_ text: String) {
        integer(UInt64(text.utf8.count))
        bytes += Array(text.utf8)
    }

    mutating func header(version: UInt32 = 3, tensors: UInt64, entries: UInt64) {
        bytes += Array("GGUF".utf8)
        integer(version)
        integer(tensors)
        integer(entries)
    }

    mutating func tensor(_ name: String, _ dimensions: [UInt64], type: UInt32, offset: UInt64) {
        text(name)
        integer(UInt32(dimensions.count))
        for dimension in dimensions { integer(dimension) }
        integer(type)
        integer(offset)
    }

    mutating func pad(to alignment: Int) {
        while bytes.count % alignment != 0 { bytes.append(0) }
    }

    mutating func append(_ more: [UInt8]) { bytes += more }

    /// Every kind of value, a plain and a quantised tensor.
    static let example: [UInt8] = {
        var file = GGUFBytes()
        file.header(tensors: 2, entries: 6)
        file.text("general.architecture")
        file.integer(UInt32(8))
        file.text("llama")
        file.text("llama.context_length")
        file.integer(UInt32(4))
        file.integer(UInt32(2048))
        file.text("llama.rope.freq_base")
        file.integer(UInt32(6))
        file.integer(Float(10000).bitPattern)
        file.text("tokenizer.ggml.add_bos_token")
        file.integer(UInt32(7))
        file.integer(UInt8(1))
        file.text("tokenizer.ggml.tokens")
        file.integer(UInt32(9))
        file.integer(UInt32(8))
        file.integer(UInt64(3))
        for token in ["<s>", "é", ""] { file.text(token) }
        file.text("tokenizer.ggml.token_type")
        file.integer(UInt32(9))
        file.integer(UInt32(5))
        file.integer(UInt64(2))
        file.integer(Int32(-1))
        file.integer(Int32(3))
        file.tensor("norm", [4], type: 0, offset: 0)
        file.tensor("weight", [32, 2], type: 2, offset: 32)
        file.pad(to: 32)
        file.append(Array(0..<16))
        file.pad(to: 32)
        file.append(Array(100..<136))
        return file.bytes
    }()
}

@Suite("GGUF files")
struct GGUFTests {
    func open(_ bytes: [UInt8]) throws -> GGUFFile {
        try GGUFFile(ByteRegion(copying: bytes))
    }

    func code(_ build: (inout GGUFBytes) -> Void) -> FormatError.Code? {
        var file = GGUFBytes()
        build(&file)
        let error = #expect(throws: FormatError.self) { try open(file.bytes) }
        return error?.code
    }

    @Test("metadata, shapes and blocks are read in place")
    func example() throws {
        let file = try open(GGUFBytes.example)
        #expect(file.version == 3)
        #expect(file.metadata["general.architecture"]?.string == "llama")
        #expect(file.metadata["llama.context_length"]?.int == 2048)
        #expect(file.metadata["llama.rope.freq_base"]?.double == 10000)
        #expect(file.metadata["tokenizer.ggml.add_bos_token"]?.bool == true)
        let tokens = file.metadata["tokenizer.ggml.tokens"]?.array?.texts()
        #expect(tokens == [Array("<s>".utf8), Array("é".utf8), []])
        let types = file.metadata["tokenizer.ggml.token_type"]?.array
        #expect(types?.integers() == [-1, 3])
        #expect(types?.texts() == nil)
        #expect(file["norm"]?.bytes.copied() == Array(0..<16))
        let weight = try #require(file["weight"])
        #expect(weight.type == .q40)
        #expect(weight.dimensions == [2, 32])
        #expect(weight.bytes.copied() == Array(100..<136))
        #expect(file["missing"] == nil)
    }

    @Test("every prefix of a file is refused, never read past its end")
    func prefixes() {
        for count in 0..<GGUFBytes.example.count {
            #expect(throws: FormatError.self) {
                try open(Array(GGUFBytes.example.prefix(count)))
            }
        }
    }

    @Test("a header that is not GGUF, or of another version, is named so")
    func headers() {
        #expect(
            code { $0.append(Array("GGML".utf8) + Array(repeating: 0, count: 20)) } == .malformed)
        #expect(code { $0.header(version: 1, tensors: 0, entries: 0) } == .unsupported)
        #expect(
            code { $0.header(version: UInt32(3).byteSwapped, tensors: 0, entries: 0) }
                == .unsupported)
        #expect(code { $0.header(tensors: .max, entries: 0) } == .limitExceeded)
        #expect(code { $0.header(tensors: 0, entries: 1000) } == .truncated)
    }

    @Test("lengths and types that lie are refused")
    func values() {
        func entry(_ type: UInt32, _ value: @escaping (inout GGUFBytes) -> Void) -> FormatError
            .Code?
        {
            code { file in
                file.header(tensors: 0, entries: 1)
                file.text("key")
                file.integer(type)
                value(&file)
                file.append(Array(repeating: 0, count: 16))
            }
        }
        #expect(entry(8) { $0.integer(UInt64(1) << 63) } == .truncated)
        #expect(entry(13) { $0.integer(UInt64(0)) } == .malformed)
        #expect(entry(7) { $0.integer(UInt8(2)) } == .malformed)
        #expect(
            entry(9) {
                $0.integer(UInt32(9))
                $0.integer(UInt64(1))
            } == .unsupported)
        #expect(
            entry(9) {
                $0.integer(UInt32(10))
                $0.integer(UInt64.max)
            } == .truncated)
        #expect(
            code { file in
                file.header(tensors: 0, entries: 2)
                for _ in 0..<2 {
                    file.text("key")
                    file.integer(UInt32(0))
                    file.integer(UInt8(0))
                }
            } == .malformed)
        #expect(
            code { file in
                file.header(tensors: 0, entries: 1)
                file.text("general.alignment")
                file.integer(UInt32(4))
                file.integer(UInt32(3))
            } == .malformed)
    }

    @Test("tensors that do not fit their data, their blocks or each other's names are refused")
    func tensors() {
        func tensor(_ dimensions: [UInt64], type: UInt32 = 0, offset: UInt64 = 0) -> FormatError
            .Code?
        {
            code { file in
                file.header(tensors: 1, entries: 0)
                file.tensor("x", dimensions, type: type, offset: offset)
                file.pad(to: 32)
                file.append(Array(repeating: 0, count: 64))
            }
        }
        #expect(tensor([17]) == .outOfBounds)
        #expect(tensor([1], offset: 64) == .outOfBounds)
        #expect(tensor([1], offset: .max) == .outOfBounds)
        #expect(tensor([1], offset: 4) == .malformed)
        #expect(tensor([33], type: 2) == .malformed)
        #expect(tensor([1], type: 99) == .unsupported)
        #expect(tensor([1 << 32, 1 << 32]) == .malformed)
        #expect(tensor([.max]) == .malformed)
        #expect(tensor([1, 1, 1, 1, 1]) == .malformed)
        #expect(
            code { file in
                file.header(tensors: 2, entries: 0)
                file.tensor("x", [1], type: 0, offset: 0)
                file.tensor("x", [1], type: 0, offset: 32)
                file.pad(to: 32)
                file.append(Array(repeating: 0, count: 64))
            } == .malformed)
    }
}
