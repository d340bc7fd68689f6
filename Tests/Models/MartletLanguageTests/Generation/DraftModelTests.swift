// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import MartletTesting
internal import Testing

@Suite("A draft model")
struct DraftModelTests {
    private struct Run {
        var answers: [[Int32]]
        var drafted: UInt64
        var accepted: UInt64
        var complaints: [String?]
    }

    private static func decoder(_ seed: UInt64, blocks: Int) -> ScriptedDecoder {
        ScriptedDecoder(
            shape: DecoderShape(
                vocabularySize: TinyTokenizer.vocabularySize, contextLength: 200, blockLength: 4,
                blockCount: blocks), seed: seed, likely: TinyTokenizer.letters)
    }

    /// Several requests at once, with a draft of that seed.
    private static func run(
        draftSeed: UInt64?, seed: UInt64, draftBlocks: Int = 200,
        _ change: (inout GenerationOptions) -> Void = { _ in }
    ) throws -> Run {
        let large = decoder(1, blocks: 200)
        let small = draftSeed.map { decoder($0, blocks: draftBlocks) }
        let core = GenerationCore(
            runner: large, tokenizer: try TinyTokenizer.make(),
            endTokens: [TinyTokenizer.turnEnd], drafts: small != nil,
            draftModel: try small.map {
                try DraftModel($0, vocabularySize: TinyTokenizer.vocabularySize)
            }, seeds: { seed })
        let time = ManualTime()
        let hearings = try (0..<4).map { number in
            var options = GenerationOptions()
            options.tokensMax = 40
            options.samples = number == 3 ? 2 : 1
            change(&options)
            let hearing = Hearing()
            let prompt = (0..<(3 + number * 11)).map { Int32(97 + ($0 * 7 + number) % 26) }
            _ = try core.submit(
                PreparedGeneration(tokens: prompt, options: options, receive: hearing.receive),
                now: time.now())
            return hearing
        }
        while core.step(time: time) {}
        let counts = core.scheduler.counts
        return Run(
            answers: hearings.map { $0.tokens() } + [hearings[3].tokens(1)],
            drafted: counts.draftedTokens, accepted: counts.acceptedTokens,
            complaints: [large.complaint, small?.complaint])
    }

    @Test("changes no answer, whatever it guesses", arguments: 0..<12)
    func sameAnswers(seed: Int) throws {
        let plain = try Self.run(draftSeed: nil, seed: UInt64(seed))
        for (draft, blocks) in [(UInt64(1), 200), (9, 200), (9, 20)] {
            let drafted = try Self.run(
                draftSeed: draft, seed: UInt64(seed), draftBlocks: blocks)
            #expect(drafted.answers == plain.answers, "draft \(draft), \(blocks) blocks")
            #expect(drafted.complaints == [nil, nil])
        }
    }

    @Test("one that knows the model is always right")
    func acceptance() throws {
        let same = try Self.run(draftSeed: 1, seed: 3) { $0.samples = 1 }
        #expect(same.drafted > 60 && same.accepted * 10 >= same.drafted * 9)
        let other = try Self.run(draftSeed: 9, seed: 3) { $0.samples = 1 }
        #expect(other.accepted < other.drafted)
    }

    @Test("knows the options that tokens are chosen by")
    func options() throws {
        func change(_ options: inout GenerationOptions) {
            options.samples = 1
            options.sampling.temperature = 0.7
            options.sampling.topK = 5
            options.sampling.repetitionPenalty = 1.3
            options.tokensMin = 20
        }
        let plain = try Self.run(draftSeed: nil, seed: 5, change)
        let drafted = try Self.run(draftSeed: 1, seed: 5, change)
        #expect(drafted.answers == plain.answers)
        // Guesses behind an answer's end are none of them.
        #expect(drafted.accepted * 10 >= drafted.drafted * 8)
    }

    @Test("refuses more tokens than the model has")
    func vocabulary() throws {
        let small = Self.decoder(1, blocks: 8)
        #expect(throws: LanguageError.self) { try DraftModel(small, vocabularySize: 10) }
    }

    @Test("on the engine, a layer less guesses for the whole model")
    func engine() throws {
        let (large, small) = (try TestFolder(), try TestFolder())
        try TinyDecoder(layers: 3).write(to: large)
        try TinyDecoder(layers: 1).write(to: small)
        let model = try DecoderModel(path: large.path)
        let prompts = (0..<3).map { number in
            (0..<(6 + number * 9)).map { Int32(($0 * 5 + number) % 50) }
        }
        let expected = try prompts.map {
            try GreedyDecoding(runner: try model.load(), chunk: 64).run($0, count: 30) { _ in }
        }
        let core = GenerationCore(
            runner: try model.load(), tokenizer: try TinyTokenizer.make(), endTokens: [],
            draftModel: try DraftModel(
                try DecoderModel(path: small.path).load(), vocabularySize: 50))
        let time = ManualTime()
        let hearings = try prompts.map { prompt in
            var options = GenerationOptions()
            options.tokensMax = 30
            options.sampling.temperature = 0
            let hearing = Hearing()
            _ = try core.submit(
                PreparedGeneration(tokens: prompt, options: options, receive: hearing.receive),
                now: time.now())
            return hearing
        }
        while core.step(time: time) {}
        #expect(hearings.map { $0.tokens() } == expected)
        #expect(core.scheduler.counts.draftedTokens > 0)
    }
}
