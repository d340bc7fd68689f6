// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletEngine
internal import MartletJSON
internal import MartletLanguage
internal import MartletStorage
internal import MartletTensor
internal import MartletTokenizers
internal import Testing

/// The folder that Conformance/encoders/make_encoder_cases.py wrote; without it nothing is run.
private var casesFolder: String? {
    guard let value = unsafe getenv("MARTLET_ENCODER_CASES") else { return nil }
    return unsafe String(cString: value)
}

@Suite("Encoder conformance", .enabled(if: casesFolder != nil), .serialized)
struct EncoderConformanceTests {
    /// Runs encodings as one batch, padded to their bucket.
    private func run(
        _ encoder: TextEncoder, _ context: any ExecutionContext, _ encodings: [Encoding],
        padding: Int = 0
    ) throws -> [[Float]] {
        let longest = encodings.map(\.count).max() ?? 1
        let bucket = min(encoder.bucket(longest) + padding, encoder.sequenceLengthMax)
        let inputs = try encoder.makeInputs(count: encodings.count, bucket: bucket)
        try encoder.fill(encodings, bucket: bucket, into: inputs)
        var outputs: [Tensor] = []
        try context.run(inputs, outputs: &outputs, cancellation: nil)
        let values = try outputs[encoder.outputIndex].elements(as: Float.self)
        return stride(from: 0, to: values.count, by: encoder.outputSize)
            .map { Array(values[$0..<$0 + encoder.outputSize]) }
    }

    @Test("Small random encoders answer what transformers answers, alone and padded in a batch")
    func smallEncoders() throws {
        let root = try #require(casesFolder)
        for name in try FileSystem.list(root) where !name.hasSuffix(".json") {
            let folder = PathName.join(root, name)
            let cases = try #require(
                try JSONValue(
                    parsing: try FileSystem.readAll(
                        PathName.join(folder, "cases.json"), limit: 1 << 28)
                ).arrayValue)
            let encoder = try TextEncoder(folder: folder, engine: NativeEngine())
            let context = try encoder.session.makeContext()
            var encodings: [Encoding] = []
            for item in cases {
                let text = try #require(item["text"]?.stringValue)
                let encoding =
                    if let pair = item["pair"]?.stringValue {
                        try encoder.encode(text, pair: pair)
                    } else {
                        try encoder.encode(text)
                    }
                let ids = try #require(item["ids"]?.arrayValue).compactMap(\.intValue)
                #expect(encoding.ids.map(Int.init) == ids, "\(name): \(text)")
                encodings.append(encoding)
            }
            let batch = try run(encoder, context, encodings)
            var worst: Float = 0
            for (index, item) in cases.enumerated() {
                let expected = try #require(item["output"]?.arrayValue)
                    .compactMap(\.doubleValue).map { Float($0) }
                let alone = try run(encoder, context, [encodings[index]], padding: index % 3 * 8)
                for (found, wanted) in zip(batch[index] + alone[0], expected + expected) {
                    worst = max(worst, abs(found - wanted))
                }
                #expect(batch[index].count == expected.count)
            }
            #expect(worst < 1e-4, "\(name): differs by \(worst)")
        }
    }

    @Test("MiniLM's vectors are sentence-transformers'")
    func miniLM() throws {
        let root = try #require(casesFolder)
        let file = try JSONValue(
            parsing: try FileSystem.readAll(PathName.join(root, "minilm.json"), limit: 1 << 28))
        let encoder = try TextEncoder(
            folder: try #require(file["folder"]?.stringValue), engine: NativeEngine())
        let context = try encoder.session.makeContext()
        let texts = try #require(file["texts"]?.arrayValue).compactMap(\.stringValue)
        let vectors = try #require(file["vectors"]?.arrayValue)
        var worst: Float = 1
        for start in stride(from: 0, to: texts.count, by: 10) {
            let encodings = try texts[start..<min(start + 10, texts.count)]
                .map { try encoder.encode($0) }
            for (row, found) in try run(encoder, context, encodings).enumerated() {
                let expected = try #require(vectors[start + row].arrayValue)
                    .compactMap(\.doubleValue).map { Float($0) }
                worst = min(worst, cosine(found, expected))
            }
        }
        #expect(worst >= 0.9999, "the worst cosine is \(worst)")
    }

    private func cosine(_ left: [Float], _ right: [Float]) -> Float {
        var dot: Float = 0
        var leftSquares: Float = 0
        var rightSquares: Float = 0
        for (first, second) in zip(left, right) {
            dot += first * second
            leftSquares += first * first
            rightSquares += second * second
        }
        return dot / (leftSquares * rightSquares).squareRoot()
    }
}
