// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletLanguage
internal import MartletTesting
internal import Testing

@Suite("Generation on the engine")
struct EngineGenerationTests {
    @Test(
        "requests in company answer what each alone decodes greedily",
        arguments: [DecoderOptions.CacheType.float16, .int8], [1 << 30, 1 << 14])
    func company(cache: DecoderOptions.CacheType, cacheBytes: Int) throws {
        let folder = try TestFolder()
        try TinyDecoder().write(to: folder)
        let model = try DecoderModel(path: folder.path)
        var prompts: [[Int32]] = []
        for number in 0..<6 {
            let count = 5 + number * 9
            prompts.append((0..<count).map { place in Int32((place * 7 + number) % 50) })
        }
        let expected = try prompts.map {
            try GreedyDecoding(
                runner: try model.load(DecoderOptions(cacheType: cache)), chunk: 64
            ).run($0, count: 24) { _ in }
        }
        var policy = SchedulerPolicy()
        policy.promptRowsMax = 7
        policy.stepRowsMax = 20
        let options = DecoderOptions(cacheType: cache, cacheByteCountMax: cacheBytes)
        let core = GenerationCore(
            runner: try model.load(options), tokenizer: try TinyTokenizer.make(), endTokens: [],
            policy: policy)
        let time = ManualTime()
        func ask() throws -> [Hearing] {
            let hearings = try prompts.map { prompt in
                var options = GenerationOptions()
                options.tokensMax = 24
                options.sampling.temperature = 0
                let hearing = Hearing()
                _ = try core.submit(
                    PreparedGeneration(tokens: prompt, options: options, receive: hearing.receive),
                    now: time.now())
                return hearing
            }
            while core.step(time: time) {}
            return hearings
        }
        let first = try ask()
        #expect(first.map { $0.tokens() } == expected)
        // Again, with the beginnings in the cache, and with guesses that are checked.
        let second = try ask()
        #expect(second.map { $0.tokens() } == expected)
        let isSmall = cacheBytes < 1 << 20
        #expect(isSmall || second.contains { $0.usage?.cachedTokens ?? 0 > 0 })
        // A small cache makes some wait and others begin again.
        #expect((core.scheduler.counts.preemptions > 0) == isSmall)
    }
}
