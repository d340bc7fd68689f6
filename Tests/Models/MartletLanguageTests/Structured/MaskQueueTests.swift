// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletLanguage
internal import MartletTesting
internal import MartletTokenizers
internal import Synchronization
internal import Testing

@Suite("Masks beside the steps")
struct MaskQueueTests {
    private static func text() throws -> LanguageText {
        LanguageText(
            tokenizer: try TinyTokenizer.make(), endTokens: [TinyTokenizer.turnEnd],
            contextLength: 4096)
    }

    /// Grammars with more and more ways to read the same text.
    private static let ambiguous = [
        """
        root ::= a b
        a ::= [a-z] a a | [a-z] b | ""
        b ::= [a-z] b a b | a? "x" b | "y"
        """,
        "root ::= [a-z] root root root root | [a-z]",
    ]

    @Test("what an ambiguous grammar costs is bounded by its masks and its request")
    func bounds() throws {
        let text = try Self.text()
        let index = VocabularyIndex(text)
        for grammar in Self.ambiguous {
            var constraint = FormatConstraint(
                try CompiledFormat(.grammar(grammar), index), text)
            let began = processorSeconds()
            for _ in 0..<100 {
                let before = processorSeconds()
                guard case .ready(let mask) = constraint.mask(nil) else { break }
                #expect(processorSeconds() - before < 1, "\(grammar)")
                guard mask.contains(97) else { break }
                constraint.accept(97)
            }
            #expect(processorSeconds() - began < 6, "\(grammar)")
        }
    }

    @Test("whoever waits for a mask delays nobody, and goes on when it has come")
    func holding() throws {
        let tiny = try TinyCore()
        let gate = Gate()
        let held = Hearing()
        var options = GenerationOptions()
        options.tokensMax = 3
        _ = try tiny.core.submit(
            PreparedGeneration(
                tokens: [1, 2, 3], options: options, constraint: GatedConstraint(gate: gate),
                receive: held.receive), now: tiny.time.now())
        let other = try tiny.submit("others go on")
        tiny.run(steps: 100)
        #expect(other.tokens().count == 12 && other.usage != nil)
        #expect(held.tokens().isEmpty && held.reason() == nil && tiny.core.isHeld)
        gate.open(97)
        tiny.run()
        #expect(held.tokens() == [97, 97, 97] && held.reason() == .length)
        #expect(tiny.core.isIdle)
    }

    @Test("one that waits can be cancelled, runs out of time, or fails with its format")
    func ends() throws {
        for end in 0..<3 {
            let tiny = try TinyCore(likely: [])
            let gate = Gate()
            let held = Hearing()
            var options = GenerationOptions()
            options.tokensMax = 3
            if end == 1 { options.deadline = tiny.time.now().advanced(by: .seconds(1)) }
            let id = try tiny.core.submit(
                PreparedGeneration(
                    tokens: [1, 2, 3], options: options, constraint: GatedConstraint(gate: gate),
                    receive: held.receive), now: tiny.time.now())
            tiny.run(steps: 5)
            #expect(tiny.core.isHeld)
            switch end {
            case 0: tiny.core.cancel(id, now: tiny.time.now())
            case 1: tiny.time.advance(by: .seconds(2))
            default: gate.fail()
            }
            tiny.run(steps: 5)
            #expect(tiny.core.isIdle && held.tokens().isEmpty)
            #expect(held.reason() == [.cancelled, .deadline, nil][end])
            #expect((held.error != nil) == (end == 2))
        }
    }

    @Test("a thread of its own finds the same masks as are found at once")
    func queue() throws {
        let text = try Self.text()
        let format = try CompiledFormat(.regex("[a-f]{3}-(x|yy)+"), VocabularyIndex(text))
        let other = try CompiledFormat(.regex("[a-f]{3}-(x|yy)+"), VocabularyIndex(text))
        let ready = Monitor()
        let queue = MaskQueue { ready.withLock { ready.broadcast() } }
        var asked = FormatConstraint(format, text)
        var plain = FormatConstraint(other, text)
        for byte in "abc-xyyx".utf8 {
            var state = asked.mask(queue)
            while case .pending = state {
                ready.lock()
                ready.wait(until: SystemTime().now().advanced(by: .milliseconds(1)))
                ready.unlock()
                state = asked.mask(queue)
            }
            guard case .ready(let mask) = state, case .ready(let expected) = plain.mask(nil) else {
                Issue.record("no mask")
                return
            }
            #expect(mask == expected && mask.contains(Int(byte)))
            asked.accept(Int32(byte))
            plain.accept(Int32(byte))
        }
    }
}

/// Opens when the test says so.
private final class Gate: Sendable {
    private let state = Mutex<MaskState>(.pending)

    var mask: MaskState { state.withLock { $0 } }

    func open(_ token: Int) {
        var mask = TokenMask(tokenCount: TinyTokenizer.vocabularySize)
        mask.insert(token)
        state.withLock { [mask] in $0 = .ready(mask) }
    }

    func fail() {
        state.withLock { $0 = .failed(LanguageError(.limitExceeded, "too much")) }
    }
}

private struct GatedConstraint: TokenConstraint {
    let gate: Gate

    func mask(_ queue: MaskQueue?) -> MaskState { gate.mask }
    func accept(_ token: Int32) {}
    var isComplete: Bool { false }
}

/// This thread's processor time.
private func processorSeconds() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
