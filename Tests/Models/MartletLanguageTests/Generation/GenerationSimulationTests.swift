// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import MartletTesting
internal import MartletTokenizers
internal import Testing

@Suite("Generation simulation")
struct GenerationSimulationTests {
    /// One random life of a core: requests come, are cancelled, run out of time; the cache is
    /// small; in the end every request has ended as it would have alone.
    private struct Life {
        struct Request {
            var prompt: [Int32]
            var options: GenerationOptions
            var hearing: Hearing
            var isCancelled = false
            var id: GenerationCore.RequestID
        }

        var random: SeededRandom
        let tiny: TinyCore
        var requests: [Request] = []
        let shape: DecoderShape

        init(seed: UInt64) throws {
            random = SeededRandom(seed: seed)
            var policy = SchedulerPolicy()
            policy.runningMax = Int.random(in: 1...8, using: &random)
            policy.samplesMax = 3
            policy.waitingMax = 40
            policy.stepRowsMax = Int.random(in: 1...24, using: &random)
            policy.promptRowsMax = Int.random(in: 1...12, using: &random)
            policy.agingInterval = .milliseconds(Int.random(in: 1...50, using: &random))
            policy.reusesPrefixes = Int.random(in: 0..<8, using: &random) > 0
            let blockLength = Int.random(in: 1...5, using: &random)
            let blocks = Int.random(in: 4...24, using: &random)
            tiny = try TinyCore(
                blocks: blocks, blockLength: blockLength,
                context: Int.random(in: 16...64, using: &random),
                likely: Bool.random(using: &random) ? [97, 98] : TinyTokenizer.letters,
                policy: policy, drafts: Bool.random(using: &random))
            shape = tiny.decoder.shape
        }

        mutating func come() throws {
            let most = tiny.core.scheduler.sequenceTokensMax
            let count = Int.random(in: 1..<max(2, most), using: &random)
            // Few beginnings, so that many are shared.
            var prompt = (0..<count).map { Int32($0 % 5 + 97) }
            if count > 3, Bool.random(using: &random) {
                prompt[Int.random(in: count / 2..<count, using: &random)] = 120
            }
            var options = GenerationOptions()
            options.tokensMax = Int.random(in: 0...16, using: &random)
            options.sampling.seed = UInt64(Int.random(in: 0..<4, using: &random))
            options.sampling.temperature = Bool.random(using: &random) ? 0 : 1
            if Int.random(in: 0..<4, using: &random) == 0 {
                options.samples = min(
                    Int.random(in: 1...3, using: &random), tiny.core.scheduler.policy.runningMax)
            }
            options.priority = Int.random(in: 0...2, using: &random)
            options.tenant = "tenant \(Int.random(in: 0..<3, using: &random))"
            options.cacheSalt = Int.random(in: 0..<4, using: &random) == 0 ? "salt" : ""
            options.scoresPrompt = Int.random(in: 0..<10, using: &random) == 0
            if Int.random(in: 0..<12, using: &random) == 0 {
                options.deadline = tiny.time.now().advanced(
                    by: .milliseconds(Int.random(in: 1...40, using: &random)))
            }
            let hearing = Hearing()
            do {
                let id = try tiny.core.submit(
                    PreparedGeneration(
                        tokens: prompt, options: options, receive: hearing.receive),
                    now: tiny.time.now())
                requests.append(
                    Request(prompt: prompt, options: options, hearing: hearing, id: id))
            } catch {
                #expect(error.code == .overloaded, "\(error)")
            }
        }

        /// What becomes of a request when nobody else is there.
        func fresh(_ request: Request) throws -> Hearing {
            let alone = try TinyCore(
                blocks: 200, blockLength: 7, context: tiny.core.scheduler.sequenceTokensMax,
                likely: tiny.decoder.likely, drafts: false)
            let hearing = Hearing()
            var options = request.options
            options.deadline = nil
            _ = try alone.core.submit(
                PreparedGeneration(
                    tokens: request.prompt, options: options, receive: hearing.receive),
                now: alone.time.now())
            alone.run()
            return hearing
        }

        mutating func live(steps: Int) throws {
            for _ in 0..<steps {
                while Int.random(in: 0..<3, using: &random) == 0 { try come() }
                if Int.random(in: 0..<30, using: &random) == 0, !requests.isEmpty {
                    let pick = Int.random(in: requests.indices, using: &random)
                    requests[pick].isCancelled = requests[pick].hearing.usage == nil
                    tiny.core.cancel(requests[pick].id, now: tiny.time.now())
                }
                _ = tiny.core.step(time: tiny.time)
                tiny.time.advance(by: .milliseconds(1))
            }
        }
    }

    @Test("every request ends as it would have alone, and no block is lost", arguments: 0..<300)
    func lives(seed: Int) throws {
        var life = try Life(seed: UInt64(seed))
        for _ in 0..<6 {
            try life.live(steps: 10)
            #expect(life.tiny.core.scheduler.inconsistency == nil, "seed \(seed)")
        }
        // Nothing starves: what is left has a bounded number of steps.
        var left = 20_000
        while life.tiny.core.step(time: life.tiny.time), left > 0 {
            life.tiny.time.advance(by: .milliseconds(1))
            left -= 1
            if left % 64 == 0 {
                #expect(life.tiny.core.scheduler.inconsistency == nil, "seed \(seed)")
            }
        }
        #expect(left > 0, "seed \(seed): still running")
        let decoder = life.tiny.decoder
        #expect(decoder.complaint == nil, "seed \(seed)")
        #expect(life.tiny.core.scheduler.counts.blocksUsed == 0, "seed \(seed)")
        #expect(life.tiny.core.scheduler.inconsistency == nil, "seed \(seed)")
        for request in life.requests {
            let hearing = request.hearing
            #expect(hearing.usage != nil, "seed \(seed)")
            let expected = try life.fresh(request)
            for index in 0..<request.options.samples {
                let tokens = hearing.tokens(index)
                let whole = expected.tokens(index)
                switch hearing.reason(index) {
                case .stop, .length: #expect(tokens == whole, "seed \(seed)")
                case .cancelled, .deadline:
                    #expect(whole.starts(with: tokens), "seed \(seed)")
                case nil: Issue.record("seed \(seed): a sample has no end")
                }
            }
        }
    }

    @Test("a tenant with one request is not kept waiting by one with a hundred")
    func fairness() throws {
        var policy = SchedulerPolicy()
        policy.runningMax = 4
        let tiny = try TinyCore(blocks: 64, policy: policy)
        let many = try (0..<100).map { number in
            try tiny.submit("a prompt of the busy one, \(number)") {
                $0.tenant = "busy"
                $0.ignoresEnd = true
            }
        }
        tiny.run(steps: 20)
        let one = try tiny.submit("a prompt of the quiet one") {
            $0.tenant = "quiet"
            $0.ignoresEnd = true
        }
        tiny.run(steps: 40)
        #expect(one.usage != nil)
        #expect(many.count { $0.usage != nil } < 30)
        tiny.run()
        #expect(many.allSatisfy { $0.usage != nil })
    }

    @Test("higher priority goes first, and waiting raises the lower")
    func priorities() throws {
        var policy = SchedulerPolicy()
        policy.runningMax = 1
        policy.agingInterval = .milliseconds(500)
        let tiny = try TinyCore(policy: policy)
        func submit(_ priority: Int) throws -> Hearing {
            try tiny.submit("priority \(priority)") {
                $0.priority = priority
                $0.ignoresEnd = true
            }
        }
        let running = try submit(0)
        tiny.run(steps: 4)
        let low = try submit(0)
        let high = try submit(1)
        tiny.run(steps: 13)
        #expect(high.usage != nil)
        #expect(running.usage == nil && low.usage == nil)
        // Now a stream of urgent ones, each as long as the other.
        var urgent: [Hearing] = []
        for _ in 0..<200 where low.usage == nil {
            urgent.append(try submit(1))
            tiny.run(steps: 13)
            tiny.time.advance(by: .milliseconds(20))
        }
        #expect(low.usage != nil)
        tiny.run()
        #expect(urgent.allSatisfy { $0.usage != nil })
    }
}
