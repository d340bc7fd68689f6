// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Keeps the likeliest beginnings of an answer and extends each by its likeliest tokens, as vLLM's
/// beam search does: a pure value that is told what the model says of its beams.
///
/// Cost: a row of the model for each beam and token; beams share the cache of what they have in
/// common.
package struct BeamSearch: Sendable {
    package struct Beam: Sendable {
        /// The answer, with the end that the model chose.
        package var tokens: [Int32] = []
        package var logProbability = 0.0
        package var scores: [ScoredToken] = []
        package var isEnded = false
    }

    package let width: Int
    private let promptCount: Int
    private let tokensMax: Int
    private let lengthPenalty: Double
    private let endTokens: Set<Int32>
    /// Beams that go on, likeliest first.
    package private(set) var open = [Beam()]
    private var ended: [Beam] = []

    /// - Parameter lengthPenalty: the power of a text's length that its score is divided by.
    package init(
        width: Int, promptCount: Int, tokensMax: Int, lengthPenalty: Double,
        endTokens: Set<Int32>
    ) {
        self.width = max(width, 1)
        self.promptCount = promptCount
        self.tokensMax = tokensMax
        self.lengthPenalty = lengthPenalty
        self.endTokens = endTokens
        if tokensMax <= 0 { open = [] }
    }

    package var isOver: Bool { open.isEmpty || open[0].tokens.count >= tokensMax }

    /// Extends every open beam by what may follow it.
    /// - Parameter following: for each open beam the likeliest tokens, at least twice `width`.
    package mutating func advance(_ following: [[TokenProbability]]) {
        var candidates: [Beam] = []
        for (beam, tokens) in zip(open, following) {
            for (rank, next) in tokens.prefix(2 * width).enumerated() {
                var longer = beam
                longer.tokens.append(next.token)
                longer.logProbability += Double(next.logProbability)
                longer.scores.append(
                    ScoredToken(
                        token: next.token, logProbability: next.logProbability, rank: rank,
                        top: tokens))
                if endTokens.contains(next.token) {
                    longer.isEnded = true
                    ended.append(longer)
                } else {
                    candidates.append(longer)
                }
            }
        }
        // A stable order, so that equals do not change places from run to run.
        open = candidates.enumerated().sorted {
            $0.element.logProbability != $1.element.logProbability
                ? $0.element.logProbability > $1.element.logProbability : $0.offset < $1.offset
        }.prefix(width).map(\.element)
        ended = Array(ended.sorted { score($0) > score($1) }.prefix(4 * width))
    }

    /// The best answers so far, best first.
    package func best(_ count: Int) -> [Beam] {
        Array((ended + open).sorted { score($0) > score($1) }.prefix(count))
    }

    private func score(_ beam: Beam) -> Double {
        let length = promptCount + beam.tokens.count - (beam.isEnded ? 1 : 0)
        return beam.logProbability / pow(Double(max(length, 1)), lengthPenalty)
    }
}
