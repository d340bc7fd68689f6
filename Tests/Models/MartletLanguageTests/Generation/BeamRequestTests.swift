// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import MartletTesting
internal import MartletTokenizers
internal import Synchronization
internal import Testing

@Suite("Beam requests", .timeLimit(.minutes(1)))
struct BeamRequestTests {
    private static func generator(
        blocks: Int = 256, beforeStep: (@Sendable () -> Void)? = nil
    ) throws -> TextGenerator {
        let shape = DecoderShape(
            vocabularySize: TinyTokenizer.vocabularySize, contextLength: 128, blockLength: 16,
            blockCount: blocks)
        let decoder = ScriptedDecoder(shape: shape, likely: TinyTokenizer.letters)
        decoder.beforeStep = beforeStep
        let text = LanguageText(
            tokenizer: try TinyTokenizer.make(), endTokens: [TinyTokenizer.turnEnd],
            contextLength: shape.contextLength)
        return try TextGenerator(
            LoadedDecoder(runner: decoder, text: text), policy: SchedulerPolicy(),
            time: SystemTime())
    }

    /// What a search of so many tokens after a prompt of so many is told until it is over.
    private static func search(
        _ generator: TextGenerator, prompt: Int, tokensMax: Int?,
        cancellation: Cancellation = Cancellation(),
        _ change: (inout GenerationOptions) -> Void = { _ in }
    ) async throws -> Hearing {
        var options = GenerationOptions()
        options.tokensMax = tokensMax
        options.beamWidth = 3
        change(&options)
        let hearing = Hearing()
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        let prepared = try generator.prepare(
            GenerationInput(
                prompt: .tokens((0..<prompt).map { Int32($0 % 5 + 97) }), options: options),
            wallSeconds: 0
        ) { event in
            hearing.receive(event)
            switch event {
            case .ended, .failed: end.finish()
            default: break
            }
        }
        try generator.start(prepared, cancellation)
        for await _ in ends {}
        return hearing
    }

    @Test("a search without a token to find ends at once")
    func empty() async throws {
        let hearing = try await Self.search(try Self.generator(), prompt: 10, tokensMax: 0)
        #expect(hearing.reason() == .length && hearing.tokens().isEmpty)
        #expect(hearing.usage?.promptTokens == 10)
    }

    @Test("a prompt that leaves room for one token gets one; one without room is refused")
    func context() async throws {
        let generator = try Self.generator()
        for tokensMax in [nil, 1, 50] {
            let last = try await Self.search(generator, prompt: 127, tokensMax: tokensMax)
            #expect(last.tokens().count == 1 && last.usage != nil, "\(last.events)")
            for prompt in [128, 129, 500] {
                let over = try await Self.search(generator, prompt: prompt, tokensMax: tokensMax)
                #expect(over.error?.code == .contextExceeded)
                #expect(over.error?.message.contains("the model's context") == true)
            }
        }
        let whole = try await Self.search(generator, prompt: 100, tokensMax: nil) {
            $0.ignoresEnd = true
        }
        #expect(whole.tokens().count == 28)
    }

    @Test("a cache that is smaller than the context bounds a search, and is what is named")
    func smallCache() async throws {
        let generator = try Self.generator(blocks: 3)
        let whole = try await Self.search(generator, prompt: 40, tokensMax: nil) {
            $0.ignoresEnd = true
            $0.beamWidth = 1
        }
        #expect(whole.tokens().count == 8, "\(whole.events)")
        let over = try await Self.search(generator, prompt: 48, tokensMax: 1)
        #expect(over.error?.code == .contextExceeded)
        #expect(over.error?.message.contains("cache of keys and values") == true)
    }

    @Test("a search that was cancelled before its first round, or in one, ends")
    func cancelled() async throws {
        let early = Cancellation()
        early.cancel()
        let none = try await Self.search(
            try Self.generator(), prompt: 10, tokensMax: 100, cancellation: early)
        #expect(none.reason() == .cancelled && none.usage != nil)
        #expect(none.tokens().isEmpty)

        let late = Cancellation()
        let steps = StepCount()
        let generator = try Self.generator(beforeStep: {
            if steps.next() == 9 { late.cancel() }
        })
        let some = try await Self.search(
            generator, prompt: 10, tokensMax: 100, cancellation: late)
        #expect(some.reason() == .cancelled)
        #expect(some.tokens().count < 20)
    }

    @Test("the prompt's scores come with the search, once, and the answer's with them")
    func scores() async throws {
        func change(_ options: inout GenerationOptions) {
            options.scoresPrompt = true
            options.topLogProbabilities = 2
        }
        let generator = try Self.generator()
        let plain = try await Self.search(generator, prompt: 12, tokensMax: 4) {
            change(&$0)
            $0.beamWidth = nil
        }
        for tokensMax in [0, 4] {
            let beams = try await Self.search(
                generator, prompt: 12, tokensMax: tokensMax, change)
            #expect(beams.promptScores.count == 1)
            #expect(beams.promptScores == plain.promptScores)
        }
        #expect(plain.promptScores.first?.count == 11)
    }

    @Test("what a search does not heed is refused by name")
    func refused() async throws {
        let generator = try Self.generator()
        let changes: [(String, @Sendable (inout GenerationOptions) -> Void)] = [
            ("logit_bias", { $0.sampling.logitBias = [97: 5] }),
            ("frequency_penalty", { $0.sampling.frequencyPenalty = 1 }),
            ("presence_penalty", { $0.sampling.presencePenalty = 1 }),
            ("min_tokens", { $0.tokensMin = 3 }), ("stop", { $0.stops = ["a"] }),
        ]
        for (name, change) in changes {
            do {
                _ = try await Self.search(generator, prompt: 5, tokensMax: 5, change)
                Issue.record("\(name) was taken")
            } catch let error as LanguageError {
                #expect(error.code == .invalidInput && error.message.hasPrefix(name))
            }
        }
    }
}

/// Counts from one thread after the other.
private final class StepCount: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }
}

extension Hearing {
    fileprivate var promptScores: [[ScoredToken]] {
        events.compactMap { event -> [ScoredToken]? in
            if case .promptScored(let scores) = event { scores } else { nil }
        }
    }
}
