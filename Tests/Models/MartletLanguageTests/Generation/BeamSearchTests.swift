// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletLanguage
internal import MartletTesting
internal import Testing

@Suite("Beam search")
struct BeamSearchTests {
    /// A model of three tokens, the last an end: what may follow a text, likeliest first.
    private static func following(_ text: [Int32], _ seed: UInt64) -> [TokenProbability] {
        var random = SeededRandom(
            seed: text.reduce(seed) { ($0 &* 31 &+ UInt64($1) &+ 7) &* 0x9E37_79B9 })
        let weights = (0..<3).map { _ in Double.random(in: 0.05...1, using: &random) }
        let sum = weights.reduce(0, +)
        return weights.enumerated()
            .map { TokenProbability(token: Int32($0), logProbability: Float(log($1 / sum))) }
            .sorted { $0.logProbability > $1.logProbability }
    }

    /// Every text of up to three tokens with its score.
    private static func all(
        _ seed: UInt64, _ penalty: Double, prompt: Int
    ) -> [(tokens: [Int32], score: Double)] {
        var open: [(tokens: [Int32], sum: Double)] = [([], 0)]
        var found: [([Int32], Double)] = []
        for _ in 0..<3 {
            var next: [(tokens: [Int32], sum: Double)] = []
            for text in open {
                for step in following(text.tokens, seed) {
                    let longer = (
                        tokens: text.tokens + [step.token],
                        sum: text.sum + Double(step.logProbability)
                    )
                    if step.token == 2 {
                        let length = Double(prompt + longer.tokens.count - 1)
                        found.append((longer.tokens, longer.sum / pow(length, penalty)))
                    } else {
                        next.append(longer)
                    }
                }
            }
            open = next
        }
        found += open.map { ($0.tokens, $0.sum / pow(Double(prompt + 3), penalty)) }
        return found.sorted { $0.1 > $1.1 }.map { (tokens: $0.0, score: $0.1) }
    }

    @Test("wide enough, it finds the best of all texts", arguments: 0..<20)
    func exhaustive(seed: Int) {
        for penalty in [0.0, 1.0, 2.0] {
            var search = BeamSearch(
                width: 4, promptCount: 5, tokensMax: 3, lengthPenalty: penalty, endTokens: [2])
            while !search.isOver {
                search.advance(search.open.map { Self.following($0.tokens, UInt64(seed)) })
            }
            let best = search.best(4).map(\.tokens)
            #expect(best == Self.all(UInt64(seed), penalty, prompt: 5).prefix(4).map(\.tokens))
        }
    }

    @Test("one beam is greedy, and none needs no model")
    func narrow() {
        var search = BeamSearch(
            width: 1, promptCount: 1, tokensMax: 5, lengthPenalty: 1, endTokens: [])
        var greedy: [Int32] = []
        while !search.isOver {
            greedy.append(Self.following(greedy, 3)[0].token)
            search.advance(search.open.map { Self.following($0.tokens, 3) })
        }
        #expect(search.best(1)[0].tokens == greedy && greedy.count == 5)
        let none = BeamSearch(
            width: 3, promptCount: 1, tokensMax: 0, lengthPenalty: 1, endTokens: [])
        #expect(none.isOver && none.best(2).isEmpty)
    }
}
