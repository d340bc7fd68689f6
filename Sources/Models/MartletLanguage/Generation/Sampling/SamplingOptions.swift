// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How the next token is chosen. The defaults draw from the model's own distribution.
public struct SamplingOptions: Sendable, Hashable {
    /// Divides the logits; 0 always takes the likeliest token.
    public var temperature = 1.0
    /// Only the likeliest so many; 0 for all.
    public var topK = 0
    /// Only the likeliest that together have this probability.
    public var topP = 1.0
    /// Only those with at least this part of the likeliest one's probability.
    public var minP = 0.0
    /// Only the most typical that together have this probability (Meister et al.: Locally Typical
    /// Sampling, 2022).
    public var typicalP = 1.0
    /// Divides positive and multiplies negative logits of tokens in the prompt or the answer
    /// (Keskar et al.: CTRL, 2019).
    public var repetitionPenalty = 1.0
    /// Taken from a token's logit for each time the answer has it.
    public var frequencyPenalty = 0.0
    /// Taken once from the logits of tokens that the answer has.
    public var presencePenalty = 0.0
    /// Added to tokens' logits.
    public var logitBias: [Int32: Float] = [:]
    /// The same seed draws the same tokens, whatever else the model computes meanwhile.
    public var seed: UInt64?

    public init() {}

    /// What is wrong with the options; nil when nothing is.
    package var fault: (field: String, message: String)? {
        func outside(_ value: Double, _ range: ClosedRange<Double>) -> Bool {
            !range.contains(value)
        }
        if outside(temperature, 0...100) { return ("temperature", "must be from 0 to 100") }
        if topK < 0 { return ("top_k", "must not be negative") }
        if outside(topP, 0...1) || topP == 0 { return ("top_p", "must be above 0 and at most 1") }
        if outside(minP, 0...1) { return ("min_p", "must be from 0 to 1") }
        if outside(typicalP, 0...1) || typicalP == 0 {
            return ("typical_p", "must be above 0 and at most 1")
        }
        // Beyond, a few logits may leave what 32 bits can say.
        if outside(repetitionPenalty, 0.01...100) {
            return ("repetition_penalty", "must be from 0.01 to 100")
        }
        if outside(frequencyPenalty, -2...2) {
            return ("frequency_penalty", "must be from -2 to 2")
        }
        if outside(presencePenalty, -2...2) { return ("presence_penalty", "must be from -2 to 2") }
        if logitBias.count > 1024 { return ("logit_bias", "has more than 1024 tokens") }
        if logitBias.values.contains(where: { !(-100...100).contains($0) }) {
            return ("logit_bias", "has a value outside -100 to 100")
        }
        return nil
    }
}

/// A token with the natural logarithm of its probability before any option changed it.
public struct TokenProbability: Sendable, Hashable {
    public var token: Int32
    public var logProbability: Float

    public init(token: Int32, logProbability: Float) {
        self.token = token
        self.logProbability = logProbability
    }
}

/// A chosen token, and what else was likely in its place.
public struct ScoredToken: Sendable, Hashable {
    public var token: Int32
    public var logProbability: Float
    /// 0 for the likeliest token.
    public var rank: Int
    /// The likeliest, best first.
    public var top: [TokenProbability]
}
