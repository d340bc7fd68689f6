// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTokenizers

/// What a core has done so far, and holds now.
package struct GenerationLoad: Sendable, Hashable {
    package var counts = SchedulerCounts()
    /// The names of adapters in use, in order.
    package var runningAdapters: [String] = []
    package var waitingAdapters: [String] = []

    package init() {}

    init(counts: SchedulerCounts, runningAdapters: [String], waitingAdapters: [String]) {
        self.counts = counts
        self.runningAdapters = runningAdapters
        self.waitingAdapters = waitingAdapters
    }
}

/// A request in a `GenerationCore`.
struct RequestState {
    let prepared: PreparedGeneration
    let seed: UInt64
    var sequences: [SequenceID] = []
    var usage = GenerationUsage()
    var isForked = false
    var adapter: Int32 = -1
    var isScoring: Bool
    var promptScores: [ScoredToken] = []

    init(_ prepared: PreparedGeneration, seed: UInt64) {
        self.prepared = prepared
        self.seed = seed
        isScoring = prepared.options.scoresPrompt
    }

    var options: GenerationOptions { prepared.options }
    var receive: @Sendable (GenerationEvent) -> Void { prepared.receive }
}

/// One answer of a request: what its tokens have become so far.
struct SampleState {
    let request: GenerationCore.RequestID
    let index: Int
    private let options: GenerationOptions
    private var sampler: TokenSampler
    private var detokenizer: StreamingDetokenizer
    private var stops: StopMatcher
    private var constraint: (any TokenConstraint)?
    private let masks: MaskQueue?
    private var count = 0
    var lookup = PromptLookup()
    /// Tokens that a draft model guesses at a time: more while all are right, fewer while none is.
    private(set) var draftWidth = 4

    init(
        request: GenerationCore.RequestID, index: Int, prepared: PreparedGeneration, seed: UInt64,
        tokenizer: Tokenizer, masks: MaskQueue?
    ) {
        self.request = request
        self.index = index
        options = prepared.options
        sampler = TokenSampler(
            prepared.options.sampling, prompt: prepared.tokens, seed: seed, sample: index)
        detokenizer = StreamingDetokenizer(
            tokenizer, skipsSpecialTokens: options.skipsSpecialTokens,
            continuesText: prepared.continuesText)
        stops = StopMatcher(options.stops, includesStop: options.includesStop)
        constraint = prepared.constraint
        self.masks = masks
    }

    /// The tokens that may come next; nil for all. Where they are not known, the queue is at work
    /// on them from here on.
    mutating func mask() -> MaskState? {
        let masks = masks
        return constraint?.mask(masks)
    }

    /// - Parameter allowed: of `mask`.
    func choose(
        _ logits: Span<Float>, _ allowed: TokenMask?, _ ends: Set<Int32>,
        scratch: inout TokenSampler.Scratch
    ) throws(SamplingFailure) -> Int32 {
        var forbidden: [Int32] = []
        if count < options.tokensMin { forbidden = ends + options.stopTokens }
        return try sampler.sample(
            logits, allowed: allowed, forbidden: forbidden, scratch: &scratch)
    }

    /// Enters a token and adds what is certain of its text.
    /// - Returns: why the answer ends here, if it does.
    mutating func take(
        _ token: Int32, _ ends: Set<Int32>, text: inout String
    ) -> (reason: FinishReason, stop: StopCause?)? {
        sampler.accept(token)
        count += 1
        if !options.ignoresEnd, ends.contains(token) { return (.stop, nil) }
        if options.stopTokens.contains(token) { return (.stop, .token(token)) }
        constraint?.accept(token)
        let found = stops.append(detokenizer.append(token))
        text += found.text
        if let stop = found.stop { return (.stop, .text(stop)) }
        if constraint?.isComplete == true { return (.stop, nil) }
        return nil
    }

    mutating func learn(guessed: Int, right: Int) {
        lookup.learn(guessed: guessed, right: right)
        guard guessed > 0 else { return }
        if right == guessed { draftWidth = min(draftWidth + 2, 16) }
        if right * 2 < guessed { draftWidth = max(draftWidth - 1, 1) }
    }

    /// The text that was held back, once nothing follows.
    mutating func flush(_ stop: StopCause?) -> String {
        guard stop?.text == nil else { return "" }
        let found = stops.append(detokenizer.finish())
        return found.text + (found.stop == nil ? stops.finish() : "")
    }
}

extension LanguageError {
    init(refusal: SchedulerRefusal) {
        switch refusal {
        case .queueFull(let waiting):
            self.init(.overloaded, "\(waiting) requests wait already")
        case .tooLong(let tokens, let most, let isCacheFull):
            let limit = isCacheFull ? "the cache of keys and values" : "the model's context"
            self.init(
                .contextExceeded,
                "the prompt has \(tokens) tokens, \(limit) takes at most \(most)")
        case .tooManySamples(let most):
            self.init(.invalidInput, "n: at most \(most) answers to one prompt")
        case .empty: self.init(.invalidInput, "the prompt is empty")
        }
    }

    init(sampling: SamplingFailure) {
        switch sampling {
        case .notFinite: self.init(.internal, "the model answered numbers that are not finite")
        case .nothingAllowed: self.init(.internal, "no token may follow")
        }
    }
}
