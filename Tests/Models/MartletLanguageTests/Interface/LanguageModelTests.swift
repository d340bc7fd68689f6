// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import MartletTesting
internal import MartletTokenizers
internal import Synchronization
internal import Testing

@Suite("Language models in a program", .timeLimit(.minutes(5)))
struct LanguageModelTests {
    private static let shape = DecoderShape(
        vocabularySize: TinyTokenizer.vocabularySize, contextLength: 128, blockLength: 16,
        blockCount: 256)

    /// A scripted decoder of letters with a template.
    private static func model(
        policy: SchedulerPolicy = SchedulerPolicy(), beforeStep: (@Sendable () -> Void)? = nil
    ) throws -> LanguageModel {
        let decoder = ScriptedDecoder(shape: shape, likely: TinyTokenizer.letters)
        decoder.beforeStep = beforeStep
        let text = LanguageText(
            tokenizer: try TinyTokenizer.make(),
            templates: ["": try ChatTemplate(ChatTemplate.plain)],
            endTokens: [TinyTokenizer.turnEnd], contextLength: shape.contextLength)
        return try LanguageModel(LoadedDecoder(runner: decoder, text: text), policy: policy)
    }

    private static func options(_ count: Int, seed: UInt64? = 7) -> GenerationOptions {
        var options = GenerationOptions()
        options.tokensMax = count
        options.sampling.seed = seed
        return options
    }

    /// The error that `body` throws.
    private static func failure(
        _ body: () async throws(LanguageError) -> Void
    ) async -> LanguageError? {
        do throws(LanguageError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    @Test("the same seed gives the same text, alone and in company; another gives another")
    func seeds() async throws {
        let model = try Self.model()
        let first = try await model.answer(.text("abc"), options: Self.options(40))
        #expect(first.usage.completionTokens == 40)
        #expect(first.finishReason == .length)
        async let others = withThrowingTaskGroup(of: String.self) { group in
            for seed in UInt64(20)..<32 {
                group.addTask {
                    try await model.answer(.text("x"), options: Self.options(40, seed: seed)).text
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        let second = try await model.answer(.text("abc"), options: Self.options(40))
        #expect(second.text == first.text)
        #expect(try await others.count == 12)
        await model.close()
    }

    @Test("requests of several tasks are answered by the same steps")
    func company() async throws {
        let gate = StepGate(closedAt: 1)
        let model = try Self.model(beforeStep: gate.pass)
        let first = model.generate(.text("prompt"), options: Self.options(30))
        await gate.reached()
        let others = (0..<7).map { number in
            model.generate(.text("prompt \(number)"), options: Self.options(30))
        }
        // Prompts are read by other threads.
        while model.generator.waitingCount < 7 { await Task.yield() }
        gate.open()
        for stream in [first] + others {
            #expect(try await stream.collect().samples.first?.tokens.count == 30)
        }
        // One by one they would take 8 times 30 steps.
        #expect(gate.steps < 80)
        await model.close()
    }

    @Test("pieces join to the answer; the last says why it ended and what it took")
    func pieces() async throws {
        let model = try Self.model()
        var pieces: [TextPiece] = []
        for try await piece in model.generate(.text("abc"), options: Self.options(20)) {
            pieces.append(piece)
        }
        let whole = try await model.answer(.text("abc"), options: Self.options(20))
        #expect(pieces.map(\.text).joined() == whole.text)
        #expect(pieces.flatMap(\.tokens) == whole.samples[0].tokens)
        #expect(pieces.dropLast().allSatisfy { $0.finishReason == nil && $0.usage == nil })
        #expect(pieces.last?.finishReason == .length)
        #expect(pieces.last?.usage?.completionTokens == 20)
        #expect(pieces.last?.usage?.promptTokens == 3)
    }

    @Test("a stop text ends the answer and is no part of it")
    func stops() async throws {
        let model = try Self.model()
        let whole = try await model.answer(.text("abc"), options: Self.options(30)).text
        var options = Self.options(30)
        let stop = String(whole.dropFirst(10).prefix(3))
        options.stops = [stop]
        let cut = try await model.answer(.text("abc"), options: options)
        #expect(cut.finishReason == .stop)
        #expect(cut.samples[0].stop == stop)
        #expect(whole.hasPrefix(cut.text + stop))
    }

    @Test("an answer of a form has that form; samples are told apart")
    func forms() async throws {
        let model = try Self.model()
        var options = Self.options(60)
        options.samples = 3
        let answer = try await model.answer(
            .text("abc"), options: options, format: .regex("(yes|no) [0-9]{4}"))
        #expect(answer.samples.count == 3)
        for sample in answer.samples {
            #expect(sample.text.wholeMatch(of: /(yes|no) [0-9]{4}/) != nil)
            #expect(sample.finishReason == .stop)
        }
        let schema = try AnswerFormat.schema(json: #"{"enum": [{"a": 1}, "b"]}"#)
        let value = try await model.answer(.text("abc"), options: options, format: schema)
        #expect(value.samples.allSatisfy { [#"{"a":1}"#, #""b""#].contains($0.text) })
        #expect(
            await Self.failure { () async throws(LanguageError) in
                _ = try await model.answer(.text("abc"), format: .regex("("))
            }?.code == .invalidInput)
    }

    @Test("a conversation goes through the model's template")
    func chat() async throws {
        let model = try Self.model()
        var chat: ChatPrompt = [.system("Be brief."), .user("Hello")]
        let expected =
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
        #expect(try model.render(chat) == expected + "<|im_start|>assistant\n")
        let answer = try await model.answer(.chat(chat), options: Self.options(5))
        let tokens = try model.tokenize(try model.render(chat), addsSpecialTokens: false)
        #expect(answer.usage.promptTokens == tokens.count)
        chat.append(.assistant(answer.text))
        #expect(chat.messages.count == 3)
    }

    @Test("tokens become the text they came from; a number that is no token is refused")
    func tokens() throws {
        let model = try Self.model()
        let text = "Grüße, <|im_end|> 東京"
        let tokens = try model.tokenize(text)
        #expect(tokens.contains(TinyTokenizer.turnEnd))
        #expect(try model.detokenize(tokens, skipsSpecialTokens: false) == text)
        #expect(throws: LanguageError.self) { try model.detokenize([5000]) }
        #expect(throws: LanguageError.self) { try model.detokenize([-1]) }
    }

    @Test("a prompt over the context is refused with both lengths, or cut when asked")
    func tooLong() async throws {
        let model = try Self.model()
        let prompt = GenerationPrompt.text(String(repeating: "a", count: 500))
        let error = await Self.failure { () async throws(LanguageError) in
            _ = try await model.answer(prompt)
        }
        #expect(error?.code == .contextExceeded)
        #expect(error?.message.contains("500") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("127") == true, "\(error?.message ?? "")")
        let cut = try await model.answer(
            prompt, options: Self.options(2), truncatesPromptTo: 100)
        #expect(cut.usage.promptTokens == 100)
    }

    @Test("wrong options and empty prompts are told by name")
    func wrongOptions() async throws {
        let model = try Self.model()
        var options = Self.options(5)
        options.sampling.topP = 0
        let error = await Self.failure { () async throws(LanguageError) in
            _ = try await model.answer(.text("a"), options: options)
        }
        #expect(error?.code == .invalidInput)
        #expect(error?.message.contains("top_p") == true)
        let empty = await Self.failure { () async throws(LanguageError) in
            _ = try await model.answer(.tokens([]))
        }
        #expect(empty?.code == .invalidInput)
    }

    @Test("cancelling the task that reads ends the request; others go on")
    func cancellation() async throws {
        let gate = StepGate(closedAt: 10)
        let model = try Self.model(beforeStep: gate.pass)
        let reading = Task {
            for try await _ in model.generate(.text("abc"), options: Self.options(100)) {}
        }
        await gate.reached()
        let other = model.generate(.text("xyz"), options: Self.options(10))
        while model.generator.waitingCount < 1 { await Task.yield() }
        reading.cancel()
        // The reader is told at once, though the model stands still.
        do {
            try await reading.value
            Issue.record("a reading that was cancelled ended as if it were whole")
        } catch {
            #expect((error as? LanguageError)?.code == .cancelled)
        }
        gate.open()
        #expect(try await other.collect().usage.completionTokens == 10)
        #expect(gate.steps < 60)
        await model.close()
    }

    @Test("an answer that nobody can read any more is not made")
    func dropped() async throws {
        let gate = StepGate(closedAt: 10)
        let model = try Self.model(beforeStep: gate.pass)
        func begin() async throws {
            for try await _ in model.generate(.text("abc"), options: Self.options(120)) { break }
        }
        try await begin()
        await gate.reached()
        gate.open()
        _ = try await model.answer(.text("x"), options: Self.options(5))
        #expect(gate.steps < 60)
    }

    @Test("closing ends requests with an error, and later ones; the decoder's memory is free")
    func closing() async throws {
        let gate = StepGate(closedAt: 10)
        var witness: Witness? = Witness()
        weak let decoder = witness
        let model = try Self.model { [witness] in
            withExtendedLifetime(witness) { gate.pass() }
        }
        witness = nil
        let stream = model.generate(.text("abc"), options: Self.options(120))
        await gate.reached()
        #expect(decoder != nil)
        async let end = Self.failure { () async throws(LanguageError) in
            _ = try await stream.collect()
        }
        async let closing: Void = model.close()
        while !model.generator.isStopped { await Task.yield() }
        gate.open()
        await closing
        #expect(decoder == nil)
        #expect(await end?.code == .closed)
        let later = await Self.failure { () async throws(LanguageError) in
            _ = try await model.answer(.text("abc"))
        }
        #expect(later?.code == .closed)
        await model.close()
    }

    @Test("an answer outlives the last reference to its model")
    func outlives() async throws {
        func begin() throws -> GeneratedText {
            try Self.model().generate(.text("abc"), options: Self.options(30))
        }
        #expect(try await begin().collect().usage.completionTokens == 30)
    }

    @Test("what waits is bounded")
    func bounded() async throws {
        var policy = SchedulerPolicy()
        policy.waitingMax = 4
        let gate = StepGate(closedAt: 1)
        let model = try Self.model(policy: policy, beforeStep: gate.pass)
        let first = model.generate(.text("abc"), options: Self.options(2))
        await gate.reached()
        let refused = Tally()
        await withTaskGroup { group in
            for _ in 0..<20 {
                group.addTask {
                    let error = await Self.failure { () async throws(LanguageError) in
                        _ = try await model.answer(.text("abc"), options: Self.options(2))
                    }
                    guard let error else { return }
                    #expect(error.code == .overloaded)
                    refused.count.add(1, ordering: .relaxed)
                }
            }
            while refused.count.load(ordering: .relaxed) < 16 { await Task.yield() }
            gate.open()
        }
        #expect(refused.count.load(ordering: .relaxed) == 16)
        #expect(try await first.collect().samples[0].tokens.count == 2)
    }

    @Test("a folder on disk is opened and generates; what is none says why")
    func opening() async throws {
        let folder = try TestFolder()
        try TinyDecoder(vocabulary: TinyTokenizer.vocabularySize).write(to: folder)
        try folder.write("tokenizer.json", TinyTokenizer.json)
        var options = LanguageModelOptions()
        options.contextLength = 64
        options.cacheBytesMax = 16 << 20
        let model = try await LanguageModel(contentsOf: folder.path, options: options)
        #expect(model.contextLength == 64)
        let greedy = try await model.answer(.text("abc"), options: Self.options(8))
        #expect(greedy.usage.completionTokens > 0)
        await model.close()

        let missing = await Self.failure { () async throws(LanguageError) in
            _ = try await LanguageModel(contentsOf: folder.path + "/none.gguf")
        }
        #expect(missing?.code == .missingFile)
        try folder.write("bad.gguf", "GGUF and nothing else")
        let bad = await Self.failure { () async throws(LanguageError) in
            _ = try await LanguageModel(contentsOf: folder.path + "/bad.gguf")
        }
        #expect(bad?.code == .invalidFile)
        options.runningMax = 0
        let wrong = await Self.failure { [options] () async throws(LanguageError) in
            _ = try await LanguageModel(contentsOf: folder.path, options: options)
        }
        #expect(wrong?.message.contains("runningMax") == true)
    }
}

/// Counts from several tasks.
private final class Tally: Sendable { let count = Atomic(0) }

/// Freed with the decoder whose steps hold it.
private final class Witness: Sendable {}

/// Counts a decoder's steps and lets none pass from one on, until opened.
private final class StepGate: Sendable {
    // Sendable: read and written under `monitor` only.
    private final class State: @unchecked Sendable {
        var steps = 0
        var isOpen = false
    }

    private let closedAt: Int
    private let monitor = Monitor()
    private let state = State()

    init(closedAt: Int) { self.closedAt = closedAt }

    var steps: Int { monitor.withLock { state.steps } }

    @Sendable func pass() {
        monitor.withLock {
            state.steps += 1
            while state.steps >= closedAt, !state.isOpen { monitor.wait() }
        }
    }

    func open() {
        monitor.withLock {
            state.isOpen = true
            monitor.broadcast()
        }
    }

    /// Returns when a step stands before the gate.
    func reached() async {
        while steps < closedAt { await Task.yield() }
    }
}
