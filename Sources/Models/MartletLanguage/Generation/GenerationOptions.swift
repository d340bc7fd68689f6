// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

/// What is wanted of an answer.
public struct GenerationOptions: Sendable {
    /// The most tokens of an answer; nil for as many as the context holds.
    public var tokensMax: Int?
    /// No end before so many tokens.
    public var tokensMin = 0
    public var sampling = SamplingOptions()
    /// Texts that end an answer; they are no part of it.
    public var stops: [String] = []
    public var stopTokens: [Int32] = []
    /// Goes on where the model would end.
    public var ignoresEnd = false
    public var includesStop = false
    public var skipsSpecialTokens = true
    /// Answers to one prompt.
    public var samples = 1
    /// Makes so many and answers the likeliest `samples` of them.
    public var bestOf: Int?
    /// Searches for the likeliest answers with so many beams, instead of drawing; bounded by
    /// `tokensMax`, without stop texts or a format. Nothing is drawn, so that temperature and the
    /// like and a repetition penalty change nothing; other penalties, biases and `tokensMin` are
    /// refused.
    public var beamWidth: Int?
    /// The power of a text's length that a beam's score is divided by.
    public var lengthPenalty = 1.0
    /// Answer each token's log-probability with those of the likeliest so many.
    public var topLogProbabilities: Int?
    /// Answer the prompt's tokens' log-probabilities too.
    public var scoresPrompt = false
    /// Higher goes first.
    public var priority = 0
    public var deadline: MonotonicInstant?
    /// Whose share of the model it is charged to; at most 256 bytes.
    public var tenant = ""
    /// Only requests of the same salt share cached prompts; at most 256 bytes.
    public var cacheSalt = ""
    public var adapter = ""

    public init() {}

    public static let topLogProbabilitiesMax = 20
    /// Each beam needs twice as many candidates.
    static let beamWidthMax = topLogProbabilitiesMax / 2
    static let stopCountMax = 16
    static let stopBytesMax = 1024
    /// Of names that are kept after their request.
    static let nameBytesMax = 256

    /// What is wrong with the options; nil when nothing is.
    package var fault: (field: String, message: String)? {
        if let fault = sampling.fault { return fault }
        if let tokensMax, tokensMax < 0 { return ("max_tokens", "must not be negative") }
        if tokensMin < 0 { return ("min_tokens", "must not be negative") }
        if samples < 1 { return ("n", "must be at least 1") }
        if let bestOf, bestOf < samples { return ("best_of", "must be at least n") }
        if let fault = beamFault { return fault }
        let most = GenerationOptions.nameBytesMax
        if tenant.utf8.count > most { return ("user", "has more than \(most) bytes") }
        if cacheSalt.utf8.count > most { return ("cache_salt", "has more than \(most) bytes") }
        if stops.count > GenerationOptions.stopCountMax {
            return ("stop", "has more than \(GenerationOptions.stopCountMax) texts")
        }
        if stops.contains(where: { $0.utf8.count > GenerationOptions.stopBytesMax }) {
            return ("stop", "has a text of more than \(GenerationOptions.stopBytesMax) bytes")
        }
        if stops.contains("") { return ("stop", "has an empty text") }
        if stopTokens.count > 64 { return ("stop_token_ids", "has more than 64 tokens") }
        if let top = topLogProbabilities,
            !(0...GenerationOptions.topLogProbabilitiesMax).contains(top)
        {
            return (
                "top_logprobs", "must be from 0 to \(GenerationOptions.topLogProbabilitiesMax)"
            )
        }
        return nil
    }

    private var beamFault: (field: String, message: String)? {
        guard let beamWidth else { return nil }
        let most = GenerationOptions.beamWidthMax
        if !(1...most).contains(beamWidth) { return ("best_of", "must be from 1 to \(most)") }
        if samples > beamWidth { return ("n", "must be at most the number of beams") }
        if !(-10...10).contains(lengthPenalty) {
            return ("length_penalty", "must be from -10 to 10")
        }
        let unsupported = [
            ("stop", stops.isEmpty), ("min_tokens", tokensMin == 0),
            ("logit_bias", sampling.logitBias.isEmpty),
            ("frequency_penalty", sampling.frequencyPenalty == 0),
            ("presence_penalty", sampling.presencePenalty == 0),
        ]
        for (field, isAbsent) in unsupported where !isAbsent {
            return (field, "is not supported with beam search")
        }
        return nil
    }
}

/// What of a request's stops ended an answer.
public enum StopCause: Sendable, Hashable {
    case text(String)
    /// One of `GenerationOptions.stopTokens`.
    case token(Int32)

    public var text: String? {
        if case .text(let text) = self { text } else { nil }
    }
}

/// Why an answer ended.
public enum FinishReason: Sendable, Hashable {
    /// The model ended it, or a stop text or token came.
    case stop
    /// It has as many tokens as it may.
    case length
    /// Nobody wants it any more.
    case cancelled
    /// Its time was over.
    case deadline
}

/// What a request took, and when; instants are the generator's clock's.
public struct GenerationUsage: Sendable, Hashable {
    public var promptTokens = 0
    /// Prompt tokens that were in the cache.
    public var cachedTokens = 0
    public var completionTokens = 0
    public var arrived = MonotonicInstant(nanoseconds: 0)
    /// When its first row was computed.
    public var started: MonotonicInstant?
    public var firstToken: MonotonicInstant?
    public var ended = MonotonicInstant(nanoseconds: 0)

    public init() {}
}

/// A stretch of an answer.
public struct GenerationDelta: Sendable, Hashable {
    /// Which of the samples.
    public var index: Int
    public var text: String
    public var tokens: [Int32]
    /// One for each token, when asked for.
    public var scores: [ScoredToken]

    public init(index: Int, text: String, tokens: [Int32], scores: [ScoredToken] = []) {
        self.index = index
        self.text = text
        self.tokens = tokens
        self.scores = scores
    }
}

/// What happens to a request, in this order: started once, then deltas and ends of its samples,
/// and as the last ended or failed, once.
public enum GenerationEvent: Sendable {
    /// `scores` has one for each prompt token but the first, when asked for.
    case started(promptTokens: Int, cachedTokens: Int)
    case promptScored([ScoredToken])
    case delta(GenerationDelta)
    case finished(index: Int, FinishReason, stop: StopCause?)
    case ended(GenerationUsage)
    case failed(LanguageError)
}
