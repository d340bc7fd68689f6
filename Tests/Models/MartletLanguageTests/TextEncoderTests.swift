// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletLanguage
internal import MartletTensor
internal import MartletTesting
internal import MartletTokenizers
internal import Testing

@Suite("Text encoders")
struct TextEncoderTests {
    private let folder: TestFolder
    private let encoder: TextEncoder

    init() throws {
        folder = try TestFolder()
        try TinyEncoder().write(to: folder)
        let names = ["input_ids", "attention_mask", "token_type_ids"]
        let inputs = names.map { TensorSpec(name: $0, elementType: .int64, dimensions: [-1, -1]) }
        let outputs = [
            TensorSpec(name: "sentence_embedding", elementType: .float32, dimensions: [-1, 8])
        ]
        let engine = TestEngine(signature: ModelSignature(inputs: inputs, outputs: outputs))
        encoder = try TextEncoder(folder: folder.path, engine: engine)
    }

    @Test("Says what the model makes of a text")
    func description() {
        #expect(encoder.kind == .embedder)
        #expect(encoder.outputSize == 8)
        #expect(encoder.sequenceLengthMax == 20)
        #expect(encoder.vocabularySize == 8)
    }

    @Test("Fills ids, mask and types and pads the rest")
    func fill() throws {
        let encodings = [try encoder.encode("hello world"), try encoder.encode("a", pair: "world")]
        let bucket = encoder.bucket(5)
        #expect(bucket == 8)
        let tensors = try encoder.makeInputs(count: 2, bucket: bucket)
        try encoder.fill(encodings, bucket: bucket, into: tensors)
        let rows = try tensors.map { try $0.elements(as: Int64.self) }
        #expect(rows[0] == [1, 4, 5, 2, 0, 0, 0, 0, 1, 6, 2, 5, 2, 0, 0, 0])
        #expect(rows[1] == [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0])
        #expect(rows[2] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0])
    }

    @Test("Long texts are cut, or refused when they must not be")
    func lengths() throws {
        let text = String(repeating: "hello ", count: 50)
        let encoding = try encoder.encode(text)
        #expect(encoding.count == 20)
        #expect(encoding.isTruncated)
        #expect(throws: LanguageError.self) { try encoder.encode(text, truncates: false) }
        #expect(try encoder.encode(tokens: Array(repeating: 4, count: 30)).count == 20)
        #expect(throws: LanguageError.self) {
            try encoder.encode(tokens: Array(repeating: 4, count: 30), truncates: false)
        }
    }

    @Test("Token ids outside the vocabulary are refused")
    func tokens() throws {
        #expect(try encoder.encode(tokens: [1, 4, 2]).ids == [1, 4, 2])
        for tokens in [[8], [-1], [Int.max], []] {
            #expect(throws: LanguageError.self) { try encoder.encode(tokens: tokens) }
        }
    }

    @Test("Buckets hold their length, never pass the maximum, and are few")
    func buckets() {
        var sizes: Set<Int> = []
        for length in 1...encoder.sequenceLengthMax {
            let bucket = encoder.bucket(length)
            #expect(bucket >= length && bucket <= encoder.sequenceLengthMax)
            sizes.insert(bucket)
        }
        #expect(sizes == [8, 16, 20])
    }

    @Test("Tensors of another shape, and texts longer than the bucket, are refused")
    func wrongTensors() throws {
        let encoding = try encoder.encode("hello world hello world hello world hello")
        let tensors = try encoder.makeInputs(count: 1, bucket: 8)
        #expect(throws: LanguageError.self) {
            try encoder.fill([encoding], bucket: 8, into: tensors)
        }
        #expect(throws: LanguageError.self) {
            try encoder.fill([encoding], bucket: 16, into: tensors)
        }
        #expect(throws: LanguageError.self) {
            try encoder.fill([encoding, encoding], bucket: 8, into: tensors)
        }
        #expect(throws: (any Error).self) {
            try encoder.makeInputs(count: 1 << 40, bucket: 1 << 40)
        }
    }
}
