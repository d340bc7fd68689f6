// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletLanguage
internal import MartletTesting
internal import Testing

@Suite("Decoders on the engine")
struct EngineDecoderRunnerTests {
    private func runner(
        _ tiny: TinyDecoder = TinyDecoder(), _ options: DecoderOptions = DecoderOptions()
    ) throws -> EngineDecoderRunner {
        let folder = try TestFolder()
        try tiny.write(to: folder)
        return try DecoderModel(path: folder.path).load(options)
    }

    private func greedy(
        _ runner: EngineDecoderRunner, _ prompt: [Int32], _ count: Int, chunk: Int = 64
    ) throws -> (tokens: [Int32], logits: [Float]) {
        var logits: [Float] = []
        let tokens = try GreedyDecoding(runner: runner, chunk: chunk).run(prompt, count: count) {
            logits += $0
        }
        return (tokens, logits)
    }

    @Test("a prompt's logits do not depend on its chunks, to the bit")
    func chunks() throws {
        let runner = try runner()
        let prompt = (0..<37).map { Int32($0 * 7 % 50) }
        let whole = try greedy(runner, prompt, 20)
        for chunk in [1, 5, 16] {
            let parts = try greedy(runner, prompt, 20, chunk: chunk)
            #expect(parts.logits.map(\.bitPattern) == whole.logits.map(\.bitPattern))
            #expect(parts.tokens == whole.tokens)
        }
    }

    @Test("a sequence's logits do not depend on the others of its step, nor on its blocks")
    func company() throws {
        let runner = try runner()
        let prompts: [[Int32]] = [
            (0..<21).map { Int32($0 * 3 % 50) }, [4], (0..<9).map { Int32(49 - $0) },
        ]
        var alone: [Float] = []
        for prompt in prompts {
            var logits: [Float] = []
            let rows = Int32(prompt.count)
            try runner.run(
                DecoderStep(
                    tokens: prompt,
                    slices: [.init(firstRow: 0, rowCount: rows, firstPosition: 0, firstBlock: 0)],
                    blocks: [0, 1], logitRows: [rows - 1]), logits: &logits)
            alone += logits
        }
        var together: [Float] = []
        try runner.run(
            DecoderStep(
                tokens: prompts.flatMap { $0 },
                slices: [
                    .init(firstRow: 0, rowCount: 21, firstPosition: 0, firstBlock: 0),
                    .init(firstRow: 21, rowCount: 1, firstPosition: 0, firstBlock: 2),
                    .init(firstRow: 22, rowCount: 9, firstPosition: 0, firstBlock: 3),
                ], blocks: [9, 4, 7, 2], logitRows: [20, 21, 30]), logits: &together)
        #expect(together.map(\.bitPattern) == alone.map(\.bitPattern))
    }

    @Test("a copied block continues as the one it was copied from")
    func copies() throws {
        let runner = try runner()
        var logits: [Float] = []
        let prompt = (0..<16).map { Int32($0) }
        try runner.run(
            DecoderStep(
                tokens: prompt,
                slices: [.init(firstRow: 0, rowCount: 16, firstPosition: 0, firstBlock: 0)],
                blocks: [3], logitRows: []), logits: &logits)
        #expect(logits.isEmpty)
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
        #expect(try next(3) == next(8))
        #expect(try next(8) != next(2))
    }

    @Test("a GGUF file gives what the folder gives, its heads read in the file's order")
    func gguf() throws {
        let folder = try TestFolder()
        // One head of keys and no permutation: pairs are neighbours here, so only the sizes agree.
        try folder.write("tiny.gguf", TinyDecoder().gguf())
        let model = try DecoderModel(path: folder.path + "/tiny.gguf")
        #expect(model.configuration.rotary.isInterleaved)
        #expect(model.configuration.headSize == 16)
        let runner = try model.load()
        let made = try greedy(runner, [1, 2, 3], 8)
        #expect(made.tokens.count == 8 && made.logits.allSatisfy(\.isFinite))
        // The first position turns nothing: there both files agree to the bit.
        let other = try greedy(self.runner(), [1], 1)
        #expect(try greedy(runner, [1], 1).logits == other.logits)
    }

    @Test("steps that do not fit are refused by name and the runner goes on")
    func refusals() throws {
        let runner = try runner()
        let good = DecoderStep(
            tokens: [1, 2],
            slices: [.init(firstRow: 0, rowCount: 2, firstPosition: 0, firstBlock: 0)],
            blocks: [0], logitRows: [1])
        var logits: [Float] = []
        func refuses(_ change: (inout DecoderStep) -> Void) {
            var step = good
            change(&step)
            #expect(throws: EngineError.self) { try runner.run(step, logits: &logits) }
        }
        refuses { $0.tokens[0] = 50 }
        refuses { $0.tokens[1] = -1 }
        refuses { $0.blocks = [1 << 20] }
        refuses { $0.blocks = [-1] }
        refuses { $0.blocks = [] }
        refuses { $0.slices = [] }
        refuses { $0.slices[0].firstPosition = 127 }
        refuses { $0.slices[0].firstPosition = .max }
        refuses { $0.slices[0].rowCount = 1 }
        refuses { $0.slices[0].firstBlock = .max }
        refuses { $0.logitRows = [2] }
        refuses { $0.tokens = [] }
        try runner.run(good, logits: &logits)
        #expect(logits.count == 50 && logits.allSatisfy(\.isFinite))
    }

    @Test("what is wrong with weights is listed at once; limits have their own error")
    func problems() throws {
        let missing: Set = [
            "model.layers.1.self_attn.k_proj.weight", "model.norm.weight",
        ]
        let error = #expect(throws: LanguageError.self) {
            _ = try runner(TinyDecoder(without: missing))
        }
        for name in missing { #expect(error?.message.contains(name) == true) }
        let small = #expect(throws: LanguageError.self) {
            _ = try runner(TinyDecoder(), DecoderOptions(cacheByteCountMax: 100))
        }
        #expect(small?.code == .limitExceeded)
        let memory = #expect(throws: EngineError.self) {
            _ = try runner(TinyDecoder(), DecoderOptions(memoryByteCountMax: 1000))
        }
        #expect(memory?.code == .limitExceeded)
    }

    @Test("every precision and cache answers near the exact one")
    func precisions() throws {
        let prompt = (0..<20).map { Int32($0 * 11 % 50) }
        let exact = try greedy(
            runner(TinyDecoder(), DecoderOptions(precision: .float32, cacheType: .float32)),
            prompt, 1
        ).logits
        let largest = exact.reduce(0) { max($0, abs($1)) }
        for precision in DecoderOptions.Precision.allCases {
            for cache in DecoderOptions.CacheType.allCases {
                let options = DecoderOptions(precision: precision, cacheType: cache)
                let got = try greedy(runner(TinyDecoder(), options), prompt, 1).logits
                let worst = zip(got, exact).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
                #expect(worst < 0.05 * largest, "\(precision) \(cache): \(worst) of \(largest)")
            }
        }
    }
}

@Suite("Decoder fuzz")
struct DecoderFuzzTests {
    @Test("no config.json crashes the reader or the builder of graphs")
    func configurations() throws {
        let folder = try TestFolder()
        let tiny = TinyDecoder(layers: 1)
        try tiny.write(to: folder)
        let seeds = [
            tiny.config(),
            tiny.config(
                #""rope_scaling":{"rope_type":"yarn","factor":4.0,"beta_fast":32,"mscale":1},"#),
            tiny.config(
                #""rope_scaling":{"type":"longrope","long_factor":[1,2],"short_factor":[1,2]},"#),
            tiny.config(#""sliding_window":8,"layer_types":["sliding_attention"],"#),
        ].map { Array($0.utf8) }
        fuzz("decoder config.json", seeds: seeds, sizeMax: 4_096) { bytes in
            try folder.write("config.json", bytes)
            let model = try DecoderModel(path: folder.path)
            _ = try model.makeGraph(DecoderOptions())
        }
    }

    @Test("no GGUF file crashes the reader, the builder of graphs or a run")
    func files() throws {
        let folder = try TestFolder()
        let tiny = TinyDecoder(layers: 1, vocabulary: 20)
        fuzz("decoder gguf", seeds: [tiny.gguf()], sizeMax: 1 << 16) { bytes in
            try folder.write("model.gguf", bytes)
            let model = try DecoderModel(path: folder.path + "/model.gguf")
            let runner = try model.load(
                DecoderOptions(
                    contextLength: 64, cacheByteCountMax: 1 << 22, memoryByteCountMax: 1 << 26))
            _ = try GreedyDecoding(runner: runner, chunk: 8).run([1, 2], count: 2) { _ in }
        }
    }
}
