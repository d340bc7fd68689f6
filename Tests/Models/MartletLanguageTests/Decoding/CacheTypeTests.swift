// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletEngine
internal import MartletLanguage
internal import MartletTesting
internal import Testing

@Suite("What keys and values are kept as")
struct CacheTypeTests {
    private func model() throws -> DecoderModel {
        let folder = try TestFolder()
        try TinyDecoder().write(to: folder)
        return try DecoderModel(path: folder.path)
    }

    /// Log-probabilities of every row of a prompt, decoded in chunks.
    private func scores(_ model: DecoderModel, _ cache: DecoderOptions.CacheType) throws -> [Float]
    {
        let runner = try model.load(DecoderOptions(precision: .float32, cacheType: cache))
        let prompt = (0..<120).map { Int32(($0 * 13 + $0 / 7) % 50) }
        var scores: [Float] = []
        _ = try GreedyDecoding(runner: runner, chunk: 16).run(prompt, count: 0) { rows in
            for start in stride(from: 0, to: rows.count, by: 50) {
                let row = rows[start..<start + 50]
                let most = row.max() ?? 0
                let sum = row.reduce(Float(0)) { $0 + exp($1 - most) }
                scores += row.map { $0 - most - log(sum) }
            }
        }
        return scores
    }

    @Test("log-probabilities stay near those of a cache in f32: int8 within 0.02, halves nearer")
    func accuracy() throws {
        let model = try model()
        let exact = try scores(model, .float32)
        #expect(exact.count == 120 * 50)
        let bounds: [(DecoderOptions.CacheType, worst: Float, mean: Float)] = [
            (.int8, 0.02, 0.003), (.bfloat16, 0.02, 0.003), (.float16, 0.002, 0.0003),
        ]
        for bound in bounds {
            let errors = zip(try scores(model, bound.0), exact).map { abs($0 - $1) }
            let mean = errors.reduce(0, +) / Float(errors.count)
            let worst = errors.max() ?? .infinity
            #expect(worst > 0 && worst < bound.worst, "\(bound.0): \(worst)")
            #expect(mean < bound.mean, "\(bound.0): \(mean)")
        }
    }

    @Test("the same memory holds more blocks of narrower keys and values")
    func blocks() throws {
        let model = try model()
        func count(_ cache: DecoderOptions.CacheType) throws -> Int {
            let options = DecoderOptions(cacheType: cache, cacheByteCountMax: 1 << 17)
            return try model.load(options).shape.blockCount
        }
        // One head of 16: a position takes 64, 32 and 20 bytes, twice in each of two layers.
        #expect(try count(.float32) == (1 << 17) / (16 * 4 * 64))
        #expect(try count(.float16) == (1 << 17) / (16 * 4 * 32))
        #expect(try count(.int8) == (1 << 17) / (16 * 4 * 20))
    }

    @Test(
        "a copied block goes on as the one it was copied from",
        arguments: DecoderOptions.CacheType.allCases)
    func copies(cache: DecoderOptions.CacheType) throws {
        let runner = try model().load(DecoderOptions(cacheType: cache))
        var logits: [Float] = []
        try runner.run(
            DecoderStep(
                tokens: (0..<16).map { $0 },
                slices: [.init(firstRow: 0, rowCount: 16, firstPosition: 0, firstBlock: 0)],
                blocks: [3], logitRows: []), logits: &logits)
        runner.copyBlocks([(from: 3, to: 8)])
        func next(_ block: Int32) throws -> [Float] {
            var logits: [Float] = []
            try runner.run(
                DecoderStep(
                    tokens: [5],
                    slices: [.init(firstRow: 0, rowCount: 1, firstPosition: 16, firstBlock: 0)],
                    blocks: [block, 1], logitRows: [0]), logits: &logits)
            return logits
        }
        #expect(try next(3).map(\.bitPattern) == next(8).map(\.bitPattern))
    }
}
