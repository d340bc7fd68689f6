// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletLanguage
internal import MartletTesting
internal import Testing

@Suite("Token sampler")
struct TokenSamplerTests {
    private static func logits(_ count: Int, _ random: inout SeededRandom) -> [Float] {
        (0..<count).map { _ in Float.random(in: -6...3, using: &random) }
    }

    /// So many tokens drawn from the same logits.
    private static func draw(
        _ logits: [Float], _ count: Int, seed: UInt64, allowed: TokenMask? = nil,
        forbidden: [Int32] = [], _ change: (inout SamplingOptions) -> Void = { _ in }
    ) throws -> [Int32] {
        var options = SamplingOptions()
        change(&options)
        var sampler = TokenSampler(options, prompt: [], seed: seed, sample: 0)
        var scratch = TokenSampler.Scratch()
        return try (0..<count).map { _ in
            let token = try sampler.sample(
                logits.span, allowed: allowed, forbidden: forbidden, scratch: &scratch)
            sampler.accept(token)
            return token
        }
    }

    @Test(
        "draws follow the probabilities, for any size of vocabulary",
        arguments: [1, 7, 63, 64, 65, 200])
    func distribution(count: Int) throws {
        var random = SeededRandom(seed: UInt64(count))
        let logits = Self.logits(count, &random)
        for temperature in [0.3, 1, 2.5] {
            let weights = logits.map { exp(Double($0) / temperature) }
            let total = weights.reduce(0, +)
            let draws = 40_000
            var counts = [Int](repeating: 0, count: count)
            for token in try Self.draw(
                logits, draws, seed: 5, { $0.temperature = temperature })
            {
                counts[Int(token)] += 1
            }
            for token in 0..<count {
                let expected = Double(draws) * weights[token] / total
                let deviation = abs(Double(counts[token]) - expected)
                #expect(
                    deviation <= 5 * expected.squareRoot() + 5,
                    "token \(token) of \(count) at \(temperature): \(counts[token]), not \(expected)"
                )
            }
        }
    }

    @Test("a draw among all is the one that filters which leave all make")
    func filters() throws {
        var random = SeededRandom(seed: 3)
        let logits = Self.logits(5000, &random)
        let plain = try Self.draw(logits, 2000, seed: 9)
        #expect(try Self.draw(logits, 2000, seed: 9) == plain)
        #expect(try Self.draw(logits, 2000, seed: 10) != plain)
        // In the vocabulary's order too, in double precision.
        let filtered = try Self.draw(logits, 2000, seed: 9) { $0.minP = 1e-30 }
        let same = zip(plain, filtered).count { $0 == $1 }
        #expect(same >= 1995)
    }

    @Test(
        "top-p draws among the likeliest that reach it, and all of them",
        arguments: [0.05, 0.5, 0.9])
    func nucleus(topP: Double) throws {
        var random = SeededRandom(seed: 8)
        for count in [5, 60, 400] {
            let logits = Self.logits(count, &random)
            let weights = logits.map { exp(Double($0)) }
            let total = weights.reduce(0, +)
            var expected: Set<Int32> = []
            var sum = 0.0
            for token in weights.indices.sorted(by: { weights[$0] > weights[$1] })
            where sum < topP * total {
                expected.insert(Int32(token))
                sum += weights[token]
            }
            let drawn = Set(try Self.draw(logits, 60_000, seed: 3) { $0.topP = topP })
            #expect(drawn == expected, "\(count) tokens, \(topP)")
        }
    }

    @Test("what is forbidden is never drawn, nor what no mask allows")
    func forbidden() throws {
        var random = SeededRandom(seed: 4)
        for count in [70, 128, 1000] {
            var logits = Self.logits(count, &random)
            logits[5] = 40
            var mask = TokenMask(tokenCount: count)
            for token in stride(from: 2, to: count, by: 3) { mask.insert(token) }
            let drawn = try Self.draw(logits, 3000, seed: 1, allowed: mask, forbidden: [5, 8]) {
                $0.temperature = 3
            }
            #expect(drawn.allSatisfy { $0 % 3 == 2 && $0 != 5 && $0 != 8 })
            #expect(Set(drawn).count > 10)
        }
        // Far below the rest, nothing is left of a probability.
        let far = [Float](repeating: -500, count: 300) + [0]
        #expect(try Self.draw(far, 500, seed: 2).allSatisfy { $0 == 300 })
    }

    @Test(
        "the likeliest is the first of equals; what is no number is told",
        arguments: [1, 15, 16, 17, 100])
    func greedy(count: Int) throws {
        func choose(_ logits: [Float]) throws -> Int32 {
            try Self.draw(logits, 1, seed: 1) { $0.temperature = 0 }[0]
        }
        for place in 0..<count {
            var logits = [Float](repeating: -1, count: count)
            for later in place..<count where (later - place) % 3 == 0 { logits[later] = 2 }
            #expect(try choose(logits) == Int32(place))
            logits[place] = .nan
            #expect(throws: SamplingFailure.notFinite) { _ = try choose(logits) }
            logits[place] = .infinity
            #expect(throws: SamplingFailure.notFinite) { _ = try choose(logits) }
        }
        #expect(throws: SamplingFailure.nothingAllowed) {
            _ = try choose([Float](repeating: -.infinity, count: count))
        }
    }

    @Test("log-probabilities are those of a softmax in double precision")
    func scores() {
        var random = SeededRandom(seed: 6)
        let logits = Self.logits(3001, &random)
        let norm = log(logits.reduce(0.0) { $0 + exp(Double($1)) })
        var scratch = TokenSampler.Scratch()
        for token: Int32 in [0, 17, 3000] {
            let score = TokenSampler.score(logits.span, token, top: 5, scratch: &scratch)
            let expected = Double(logits[Int(token)]) - norm
            #expect(abs(Double(score.logProbability) - expected) < 2e-6)
            let rank = logits.count { $0 > logits[Int(token)] }
            #expect(score.rank == rank)
            #expect(score.top.count == 5)
        }
    }
}
