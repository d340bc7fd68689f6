// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import MartletTesting
internal import MartletTokenizers
internal import Synchronization
internal import Testing

/// Keeps what a request was told.
final class Hearing: Sendable {
    private let heard = Mutex<[GenerationEvent]>([])

    var receive: @Sendable (GenerationEvent) -> Void {
        { [self] event in heard.withLock { $0.append(event) } }
    }
    var events: [GenerationEvent] { heard.withLock { $0 } }

    func tokens(_ index: Int = 0) -> [Int32] {
        events.flatMap { event -> [Int32] in
            if case .delta(let delta) = event, delta.index == index { delta.tokens } else { [] }
        }
    }
    func text(_ index: Int = 0) -> String {
        events.compactMap { event -> String? in
            if case .delta(let delta) = event, delta.index == index { delta.text } else { nil }
        }.joined()
    }
    func reason(_ index: Int = 0) -> FinishReason? {
        for case .finished(index, let reason, _) in events { return reason }
        return nil
    }
    var stop: StopCause? {
        for case .finished(_, _, let stop) in events { return stop }
        return nil
    }
    var usage: GenerationUsage? {
        if case .ended(let usage)? = events.last { usage } else { nil }
    }
    var error: LanguageError? {
        if case .failed(let error)? = events.last { error } else { nil }
    }
}

/// A core over a scripted decoder.
struct TinyCore {
    let decoder: ScriptedDecoder
    let core: GenerationCore
    let time = ManualTime()

    init(
        blocks: Int = 64, blockLength: Int = 4, context: Int = 200,
        likely: Set<Int32> = TinyTokenizer.letters, policy: SchedulerPolicy = SchedulerPolicy(),
        drafts: Bool = true
    ) throws {
        decoder = ScriptedDecoder(
            shape: DecoderShape(
                vocabularySize: TinyTokenizer.vocabularySize, contextLength: context,
                blockLength: blockLength, blockCount: blocks), likely: likely)
        core = GenerationCore(
            runner: decoder, tokenizer: try TinyTokenizer.make(),
            endTokens: [TinyTokenizer.turnEnd], policy: policy, drafts: drafts, seeds: { 7 })
    }

    func submit(
        _ text: String, _ change: (inout GenerationOptions) -> Void = { _ in }
    ) throws -> Hearing {
        var options = GenerationOptions()
        options.tokensMax = 12
        change(&options)
        let hearing = Hearing()
        _ = try core.submit(
            PreparedGeneration(
                tokens: text.utf8.map { Int32($0) }, options: options, receive: hearing.receive),
            now: time.now())
        return hearing
    }

    func run(steps: Int = 10_000) {
        for _ in 0..<steps where !core.step(time: time) { return }
    }
}

@Suite("Generation core")
struct GenerationCoreTests {
    @Test("generates until its length and counts")
    func length() throws {
        let tiny = try TinyCore()
        let hearing = try tiny.submit("hello there, you")
        tiny.run()
        #expect(hearing.tokens().count == 12)
        #expect(hearing.text().utf8.count == 12)
        #expect(hearing.reason() == .length)
        #expect(hearing.usage?.promptTokens == 16)
        #expect(hearing.usage?.completionTokens == 12)
        #expect(tiny.decoder.complaint == nil)
        #expect(tiny.core.isIdle)
    }

    @Test("answers the same alone and in company, with one seed, whatever the batch")
    func company() throws {
        func change(_ options: inout GenerationOptions) {
            options.sampling.seed = 42
            options.sampling.temperature = 0.9
            options.sampling.topP = 0.9
            options.tokensMax = 40
        }
        let alone = try TinyCore()
        let expected = try alone.submit("the first of all", change)
        alone.run()
        let crowd = try TinyCore(
            blocks: 26,
            policy: {
                var policy = SchedulerPolicy()
                policy.stepRowsMax = 9
                policy.promptRowsMax = 5
                return policy
            }())
        let others = try (0..<7).map {
            try crowd.submit("the first of \($0) others") { $0.tokensMax = 40 }
        }
        let heard = try crowd.submit("the first of all", change)
        crowd.run()
        #expect(heard.tokens() == expected.tokens())
        #expect(others.allSatisfy { $0.usage != nil })
        #expect(crowd.core.scheduler.counts.preemptions > 0)
        #expect(crowd.decoder.complaint == nil)
    }

    @Test("takes a prompt's beginning from the cache, and only its own tenant's")
    func prefixes() throws {
        let tiny = try TinyCore()
        let first = try tiny.submit("a common beginning, then this")
        tiny.run()
        let rows = tiny.decoder.rowCount
        let second = try tiny.submit("a common beginning, then that")
        tiny.run()
        #expect(first.usage?.cachedTokens == 0)
        #expect(second.usage?.cachedTokens == 24)
        #expect(tiny.decoder.rowCount - rows < rows)
        let other = try tiny.submit("a common beginning, then that") { $0.cacheSalt = "other" }
        tiny.run()
        #expect(other.usage?.cachedTokens == 0)
        #expect(other.tokens() == second.tokens())
    }

    @Test("what is kept of a request after it is bounded: long names are refused, others share")
    func names() throws {
        let tiny = try TinyCore()
        let long = String(repeating: "ü", count: 128)
        _ = try tiny.submit("abc") { ($0.tenant, $0.cacheSalt) = (long, long) }
        for isTenant in [true, false] {
            let error = #expect(throws: LanguageError.self) {
                _ = try tiny.submit("abc") {
                    if isTenant { $0.tenant = long + "x" } else { $0.cacheSalt = long + "x" }
                }
            }
            #expect(error?.code == .invalidInput)
            #expect(error?.message.hasPrefix(isTenant ? "user" : "cache_salt") == true)
        }
        tiny.run()
    }

    @Test("biases and stops of tokens that are none are refused; tiny penalties too")
    func strangeTokens() throws {
        let tiny = try TinyCore()
        let size = Int32(TinyTokenizer.vocabularySize)
        _ = try tiny.submit("abc") { $0.sampling.logitBias = [size - 1: 1] }
        let changes: [(String, (inout GenerationOptions) -> Void)] = [
            ("logit_bias", { $0.sampling.logitBias = [size: 1] }),
            ("stop_token_ids", { $0.stopTokens = [size] }),
            ("stop_token_ids", { $0.stopTokens = [-1] }),
            ("repetition_penalty", { $0.sampling.repetitionPenalty = 1e-300 }),
        ]
        for (name, change) in changes {
            let error = #expect(throws: LanguageError.self) { _ = try tiny.submit("abc", change) }
            #expect(error?.code == .invalidInput)
            #expect(error?.message.hasPrefix(name) == true, "\(error?.message ?? "")")
        }
        let stopped = try tiny.submit("abc") {
            $0.stopTokens = Array(TinyTokenizer.letters)
            $0.sampling.repetitionPenalty = 0.01
        }
        tiny.run()
        #expect(stopped.reason() == .stop && stopped.tokens().count == 1)
        let token = try #require(stopped.tokens().first)
        #expect(stopped.stop == .token(token))
    }

    @Test("makes several samples of one prompt, each as it would be alone")
    func samples() throws {
        func change(_ options: inout GenerationOptions) { options.sampling.seed = 5 }
        let tiny = try TinyCore(blocks: 24)
        let hearing = try tiny.submit("tell me a story") {
            change(&$0)
            $0.samples = 4
        }
        tiny.run()
        let texts = (0..<4).map { hearing.text($0) }
        #expect(Set(texts).count == 4)
        let alone = try TinyCore()
        let single = try alone.submit("tell me a story", change)
        alone.run()
        #expect(single.text() == texts[0])
        #expect(hearing.usage?.completionTokens == 48)
        #expect(tiny.decoder.complaint == nil)
        #expect(tiny.core.scheduler.counts.blocksUsed == 0)
    }

    @Test("speculation changes no token")
    func speculation() throws {
        func generate(_ drafts: Bool) throws -> (tokens: [Int32], steps: Int, accepted: UInt64) {
            // Nearly one token only: what came before comes again.
            let tiny = try TinyCore(likely: [97], drafts: drafts)
            let hearing = try tiny.submit("aaaaaaaaaa aaaaaaaaaaaaaa") {
                $0.sampling.seed = 9
                $0.tokensMax = 60
            }
            tiny.run()
            return (
                hearing.tokens(), tiny.decoder.stepCount,
                tiny.core.scheduler.counts.acceptedTokens
            )
        }
        let plain = try generate(false)
        let drafted = try generate(true)
        #expect(drafted.tokens == plain.tokens)
        #expect(drafted.accepted > 12)
        #expect(drafted.steps < plain.steps * 4 / 5)
    }

    @Test("ends at a stop text and hands out nothing of it")
    func stops() throws {
        let whole = try TinyCore()
        let all = try whole.submit("once upon a time") { $0.tokensMax = 30 }
        whole.run()
        let text = all.text()
        let stop = String(text.dropFirst(10).prefix(3))
        let tiny = try TinyCore()
        let hearing = try tiny.submit("once upon a time") {
            $0.tokensMax = 30
            $0.stops = [stop]
        }
        tiny.run()
        let place = try #require(text.utf8.count > 13 ? text.range(of: stop) : nil)
        #expect(hearing.text() == String(text[..<place.lowerBound]))
        #expect(hearing.reason() == .stop)
    }

    @Test("ends when cancelled or too late, at the next step")
    func ends() throws {
        let tiny = try TinyCore()
        let late = try tiny.submit("too late") {
            $0.deadline = MonotonicInstant(nanoseconds: 5)
            $0.tokensMax = 100
        }
        let hearing = Hearing()
        var options = GenerationOptions()
        options.tokensMax = 100
        let id = try tiny.core.submit(
            PreparedGeneration(tokens: [1, 2, 3], options: options, receive: hearing.receive),
            now: tiny.time.now())
        tiny.run(steps: 3)
        tiny.core.cancel(id, now: tiny.time.now())
        #expect(hearing.reason() == .cancelled)
        #expect(hearing.usage != nil)
        tiny.time.advance(by: .seconds(1))
        tiny.run()
        #expect(late.reason() == .deadline)
        #expect(tiny.core.isIdle)
    }

    @Test("a failing step and numbers that are none fail their requests only")
    func failures() throws {
        for isBroken in [false, true] {
            let tiny = try TinyCore()
            if isBroken { tiny.decoder.breaksAtStep = 2 } else { tiny.decoder.failsAtStep = 2 }
            let hearing = try tiny.submit("this one fails")
            tiny.run()
            #expect(hearing.error?.code == .internal)
            let next = try tiny.submit("this one does not")
            tiny.run()
            #expect(next.usage != nil)
            #expect(tiny.core.scheduler.inconsistency == nil)
        }
    }

    @Test("scores a prompt's tokens and the answer's")
    func scores() throws {
        let tiny = try TinyCore()
        let hearing = try tiny.submit("score me please, all of it") {
            $0.scoresPrompt = true
            $0.topLogProbabilities = 3
            $0.tokensMax = 2
        }
        tiny.run()
        var scored: [ScoredToken] = []
        for case .promptScored(let scores) in hearing.events { scored += scores }
        #expect(scored.map(\.token) == "core me please, all of it".utf8.map { Int32($0) })
        #expect(scored.allSatisfy { $0.logProbability < 0 && $0.top.count == 3 })
        for case .delta(let delta) in hearing.events {
            #expect(delta.scores.map(\.token) == delta.tokens)
        }
        // From the cache and without it, the same.
        let again = try tiny.submit("score me please, all of it") {
            $0.scoresPrompt = true
            $0.topLogProbabilities = 3
            $0.tokensMax = 0
        }
        tiny.run()
        for case .promptScored(let scores) in again.events { #expect(scores == scored) }
        #expect(again.tokens().isEmpty)
    }

    @Test("refuses what cannot be run")
    func refusals() throws {
        let tiny = try TinyCore(context: 20)
        #expect(throws: LanguageError.self) { try tiny.submit("") }
        let long = String(repeating: "x", count: 20)
        let error = #expect(throws: LanguageError.self) { try tiny.submit(long) }
        #expect(error?.code == .contextExceeded)
        #expect(error?.message.contains("20 tokens") == true)
        #expect(throws: LanguageError.self) {
            try tiny.submit("a") { $0.sampling.temperature = .nan }
        }
        #expect(throws: LanguageError.self) { try tiny.submit("a") { $0.samples = 1000 } }
    }
}

extension String {
    fileprivate func range(of other: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) {
                return start..<index(start, offsetBy: other.count)
            }
            start = index(after: start)
        }
        return nil
    }
}
