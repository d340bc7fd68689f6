// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletTokenizers

/// A prompt in tokens, and who hears what becomes of it.
package struct PreparedGeneration: Sendable {
    package var tokens: [Int32]
    package var options: GenerationOptions
    /// The answer goes on where the prompt's text ends.
    package var continuesText: Bool
    package var constraint: (any TokenConstraint)?
    package var receive: @Sendable (GenerationEvent) -> Void

    package init(
        tokens: [Int32], options: GenerationOptions, continuesText: Bool = false,
        constraint: (any TokenConstraint)? = nil,
        receive: @escaping @Sendable (GenerationEvent) -> Void
    ) {
        self.tokens = tokens
        self.options = options
        self.continuesText = continuesText
        self.constraint = constraint
        self.receive = receive
    }
}

/// Runs a decoder for many requests at once: a scheduler's plans on a runner, tokens sampled, text
/// handed out. For one thread, never the cooperative pool's; whoever owns it calls `step` while
/// there is work.
package final class GenerationCore {
    /// Names a request while it runs.
    package typealias RequestID = UInt64

    package let tokenizer: Tokenizer
    let runner: any DecoderRunner
    let endTokens: Set<Int32>
    package private(set) var scheduler: GenerationScheduler
    var samples: [SequenceID: SampleState] = [:]
    var requests: [RequestID: RequestState] = [:]
    private var nextRequest: RequestID = 1
    private var adapters = AdapterTable()
    private let seeds: @Sendable () -> UInt64
    private var logits: [Float] = []
    private var scratch = TokenSampler.Scratch()
    private let vocabularySize: Int
    /// Guesses are made: by the draft model, or looked up in the text itself.
    private let drafts: Bool
    private let draftModel: DraftModel?
    /// Finds the masks of answers' formats beside the steps; without one, steps do it.
    package var masks: MaskQueue?
    /// Sequences whose next token waits for its mask, with their rows of logits.
    private var held: [SequenceID: [Float]] = [:]
    /// Nothing can be done until a mask is there.
    package private(set) var isHeld = false
    /// Sequences that go on and may have guesses checked.
    private var undrafted: [SequenceID] = []

    /// - Parameter seeds: makes the seed of requests that bring none.
    package init(
        runner: any DecoderRunner, tokenizer: Tokenizer, endTokens: Set<Int32>,
        policy: SchedulerPolicy = SchedulerPolicy(), drafts: Bool = true,
        draftModel: DraftModel? = nil,
        seeds: @escaping @Sendable () -> UInt64 = { .random(in: .min ... .max) }
    ) {
        self.runner = runner
        self.tokenizer = tokenizer
        self.endTokens = endTokens
        self.seeds = seeds
        self.drafts = drafts && policy.draftMax > 0
        self.draftModel = draftModel
        vocabularySize = runner.shape.vocabularySize
        scheduler = GenerationScheduler(policy: policy, shape: runner.shape)
    }

    package var isIdle: Bool { scheduler.isIdle }

    /// What was done so far and is held now.
    package var load: GenerationLoad {
        let counts = scheduler.counts
        return GenerationLoad(
            counts: counts, runningAdapters: adapters.names(of: counts.runningAdapters),
            waitingAdapters: adapters.names(of: counts.waitingAdapters))
    }

    package var requestCount: Int { requests.count }

    package func isRunning(_ id: RequestID) -> Bool { requests[id] != nil }

    // MARK: Requests

    /// Takes a request; its events begin with the next steps.
    /// - Throws: `LanguageError`; then it has no events.
    package func submit(
        _ request: PreparedGeneration, now: MonotonicInstant
    ) throws(LanguageError) -> RequestID {
        try check(request)
        let options = request.options
        var scheduled = ScheduledRequest(
            tokens: request.tokens, newTokensMax: options.tokensMax ?? Int.max)
        scheduled.samples = options.samples
        scheduled.priority = options.priority
        scheduled.tenant = options.tenant
        let adapter = try adapters.find(options.adapter)
        scheduled.namespace = CacheNamespace(salt: options.cacheSalt, adapter: adapter.key)
        scheduled.adapter = adapter.number
        scheduled.deadline = options.deadline
        if options.scoresPrompt { scheduled.scoredFrom = 0 }
        let id: SequenceID
        do throws(SchedulerRefusal) {
            id = try scheduler.submit(scheduled, now: now)
        } catch {
            throw LanguageError(refusal: error)
        }
        let number = nextRequest
        nextRequest += 1
        var state = RequestState(request, seed: seeds())
        state.usage.promptTokens = request.tokens.count
        state.usage.arrived = now
        state.sequences = [id]
        state.adapter = adapter.number
        adapters.enter(adapter.number)
        requests[number] = state
        samples[id] = SampleState(
            request: number, index: 0, prepared: request, seed: state.seed, tokenizer: tokenizer,
            masks: masks)
        if masks != nil { _ = samples[id]?.mask() }
        return number
    }

    private func check(_ request: PreparedGeneration) throws(LanguageError) {
        if let fault = request.options.fault {
            throw LanguageError(.invalidInput, "\(fault.field): \(fault.message)")
        }
        func check(_ name: String, _ tokens: some Sequence<Int32>) throws(LanguageError) {
            guard let token = tokens.first(where: { $0 < 0 || $0 >= vocabularySize })
            else { return }
            throw LanguageError(
                .invalidInput,
                "\(name): the token \(token) is not from 0 to \(vocabularySize - 1)")
        }
        try check("prompt", request.tokens)
        try check("logit_bias", request.options.sampling.logitBias.keys)
        try check("stop_token_ids", request.options.stopTokens)
    }

    /// Ends a request at once; its last event is its end.
    package func cancel(_ id: RequestID, now: MonotonicInstant) {
        guard let state = requests[id] else { return }
        for sequence in state.sequences { finish(sequence, .cancelled, stop: nil, now: now) }
    }

    // MARK: Adapters

    /// Makes an adapter ready under a name; one that has it already gives way once the requests
    /// that use it are over.
    package func loadAdapter(_ name: String, _ file: AdapterFile) throws(LanguageError) {
        let number = try runner.load(file)
        if let free = adapters.enter(name, number) { runner.unload(adapter: free) }
    }

    /// - Returns: false where there is none of the name.
    package func unloadAdapter(_ name: String) -> Bool {
        guard adapters.contains(name) else { return false }
        if let free = adapters.remove(name) { runner.unload(adapter: free) }
        return true
    }

    private func leave(_ adapter: Int32) {
        if adapters.leave(adapter) { runner.unload(adapter: adapter) }
    }

    // MARK: Ends of all

    /// Ends every request with an error.
    package func failAll(_ error: LanguageError) {
        for id in requests.keys.sorted() { fail(id, error) }
    }

    // MARK: Steps

    /// Runs one step.
    /// - Returns: false when there was nothing to do.
    package func step(time: some TimeSource) -> Bool {
        isHeld = false
        if scheduler.isIdle { return false }
        resumeHeld(now: time.now())
        let plan = scheduler.plan(now: time.now())
        for id in plan.expired { end(id, .deadline, stop: nil, now: time.now()) }
        for id in plan.started { start(id, now: time.now()) }
        if !plan.copies.isEmpty { runner.copyBlocks(plan.copies) }
        if plan.isEmpty {
            isHeld = !held.isEmpty
            return true
        }
        do {
            try runner.run(plan.step, logits: &logits)
            guard logits.count >= plan.step.logitRows.count * vocabularySize else {
                throw LanguageError(
                    .invalidInput,
                    "the decoder answered \(logits.count) logits for "
                        + "\(plan.step.logitRows.count) rows of \(vocabularySize)")
            }
        } catch {
            scheduler.abandon(plan)
            let failure = LanguageError(.internal, "the model failed: \(error)", cause: error)
            for id in Set(plan.slices.compactMap { samples[$0.sequence]?.request }).sorted() {
                fail(id, failure)
            }
            return true
        }
        scheduler.complete(plan)
        let now = time.now()
        for output in plan.outputs { take(output, now: now) }
        draft()
        return true
    }

    private func start(_ id: SequenceID, now: MonotonicInstant) {
        guard let number = samples[id]?.request else { return }
        let cached = scheduler.cachedCount(of: id)
        requests[number]?.usage.cachedTokens = cached
        requests[number]?.usage.started = now
        guard let state = requests[number] else { return }
        state.receive(
            .started(promptTokens: state.usage.promptTokens, cachedTokens: cached))
    }

    private func withRow<Result, Failure: Error>(
        _ row: Int, of all: [Float],
        _ body: (Span<Float>, inout TokenSampler.Scratch) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        return try body(
            all.span.extracting(row * vocabularySize..<(row + 1) * vocabularySize), &scratch)
    }

    private func take(_ output: StepPlan.Output, now: MonotonicInstant) {
        guard let number = samples[output.sequence]?.request else { return }
        if requests[number]?.isScoring == true { scorePrompt(output, number) }
        guard output.samples, let state = requests[number] else { return }
        if state.options.tokensMax == 0 {
            finish(output.sequence, .length, stop: nil, now: now)
            return
        }
        let row = output.firstLogit + output.logitCount - 1 - output.draft.count
        if !state.isForked, state.options.samples > 1 {
            requests[number]?.isForked = true
            for (offset, id) in scheduler.fork(output.sequence).enumerated() {
                samples[id] = SampleState(
                    request: number, index: offset + 1, prepared: state.prepared,
                    seed: state.seed, tokenizer: tokenizer, masks: masks)
                requests[number]?.sequences.append(id)
                sample(id, logits, row: row, draft: [], now: now)
            }
        }
        sample(output.sequence, logits, row: row, draft: output.draft, now: now)
    }

    /// Chooses a sequence's next tokens: one, and further ones as long as its draft was right.
    private func sample(
        _ id: SequenceID, _ logits: [Float], row: Int, draft: [Int32], now: MonotonicInstant
    ) {
        held[id] = nil
        guard var state = samples[id], let request = requests[state.request] else { return }
        // Its own again at the end: nobody else holds its buffers meanwhile.
        samples[id] = nil
        var tokens: [Int32] = []
        var scores: [ScoredToken] = []
        var text = ""
        var ending: (reason: FinishReason, stop: StopCause?)?
        let room = scheduler.room(of: id)
        do throws(SamplingFailure) {
            choosing: for place in 0...draft.count {
                var allowed: TokenMask?
                switch state.mask() {
                case nil: break
                case .ready(let tokens): allowed = tokens
                case .failed(let error):
                    samples[id] = state
                    return fail(state.request, error)
                case .pending where place > 0:
                    // The rest of the draft is passed over as if it were wrong.
                    break choosing
                case .pending:
                    samples[id] = state
                    held[id] = Array(
                        logits[row * vocabularySize..<(row + 1) * vocabularySize])
                    return
                }
                let token = try withRow(row + place, of: logits) {
                    (logits, scratch) throws(SamplingFailure) in
                    let token = try state.choose(logits, allowed, endTokens, scratch: &scratch)
                    if let top = request.options.topLogProbabilities {
                        scores.append(
                            TokenSampler.score(logits, token, top: top, scratch: &scratch))
                    }
                    return token
                }
                tokens.append(token)
                ending = state.take(token, endTokens, text: &text)
                if ending == nil, tokens.count >= room { ending = (.length, nil) }
                if ending != nil || place == draft.count || token != draft[place] { break }
            }
        } catch {
            samples[id] = state
            fail(state.request, LanguageError(sampling: error))
            return
        }
        state.learn(guessed: draft.count, right: tokens.count - 1)
        if let ending {
            text += state.flush(ending.stop)
        } else if masks != nil {
            // Found while the next step runs.
            _ = state.mask()
        }
        samples[id] = state
        _ = scheduler.append(tokens, to: id)
        deliver(
            GenerationDelta(index: state.index, text: text, tokens: tokens, scores: scores),
            state.request, now: now)
        if let ending {
            finish(id, ending.reason, stop: ending.stop, now: now)
        } else if drafts {
            undrafted.append(id)
        }
    }

    /// Goes on with the sequences whose masks have come.
    private func resumeHeld(now: MonotonicInstant) {
        for (id, row) in held.sorted(by: { $0.key < $1.key }) {
            // One that lost its blocks has its row computed again.
            guard scheduler.isRunning(id) else {
                held[id] = nil
                continue
            }
            if case .pending? = samples[id]?.mask() { continue }
            sample(id, row, row: 0, draft: [], now: now)
        }
    }

    /// Guesses what the sequences of this step go on with, while few run.
    private func draft() {
        let ids = undrafted
        undrafted.removeAll(keepingCapacity: true)
        guard scheduler.takesDrafts else { return }
        var wishes: [DraftModel.Wish] = []
        for id in ids {
            guard let state = samples[id] else { continue }
            scheduler.draft(for: id) { tokens, countMax in
                let found = samples[id]?.lookup.propose(tokens, countMax: countMax) ?? []
                // A text that repeats itself is guessed for nothing.
                if draftModel != nil, found.isEmpty {
                    let count = min(countMax, state.draftWidth)
                    wishes.append(
                        DraftModel.Wish(id: id, tokens: tokens, countMax: count, state: state))
                }
                return found
            }
        }
        guard let draftModel, !wishes.isEmpty else { return }
        for wish in draftModel.propose(wishes, ends: endTokens, scratch: &scratch) {
            scheduler.draft(for: wish.id) { _, _ in wish.made }
        }
    }

    private func deliver(_ delta: GenerationDelta, _ number: RequestID, now: MonotonicInstant) {
        requests[number]?.usage.completionTokens += delta.tokens.count
        if requests[number]?.usage.firstToken == nil { requests[number]?.usage.firstToken = now }
        requests[number]?.receive(.delta(delta))
    }

    private func scorePrompt(_ output: StepPlan.Output, _ number: RequestID) {
        guard let state = requests[number] else { return }
        let prompt = state.prepared.tokens
        let top = state.options.topLogProbabilities ?? 0
        var scores: [ScoredToken] = []
        for offset in 0..<output.logitCount {
            // The row of a position says what follows it.
            let position = output.firstPosition + offset + 1
            guard position == state.promptScores.count + scores.count + 1, position < prompt.count
            else { continue }
            scores.append(
                withRow(output.firstLogit + offset, of: logits) { logits, scratch in
                    TokenSampler.score(logits, prompt[position], top: top, scratch: &scratch)
                })
        }
        requests[number]?.promptScores += scores
        guard let done = requests[number], done.promptScores.count >= prompt.count - 1
        else { return }
        requests[number]?.isScoring = false
        done.receive(.promptScored(done.promptScores))
    }

    // MARK: Ends

    /// Ends a sequence that the scheduler still has.
    private func finish(
        _ id: SequenceID, _ reason: FinishReason, stop: StopCause?, now: MonotonicInstant
    ) {
        scheduler.finish(id)
        end(id, reason, stop: stop, now: now)
    }

    private func end(
        _ id: SequenceID, _ reason: FinishReason, stop: StopCause?, now: MonotonicInstant
    ) {
        draftModel?.forget(id)
        held[id] = nil
        guard let state = samples.removeValue(forKey: id),
            let request = requests[state.request]
        else { return }
        // A request that never came to its samples ends them all.
        let count = request.isForked ? 1 : request.options.samples
        for index in state.index..<state.index + count {
            request.receive(.finished(index: index, reason, stop: stop))
        }
        requests[state.request]?.sequences.removeAll { $0 == id }
        guard requests[state.request]?.sequences.isEmpty == true else { return }
        requests[state.request]?.usage.ended = now
        guard let done = requests.removeValue(forKey: state.request) else { return }
        leave(done.adapter)
        done.receive(.ended(done.usage))
    }

    private func fail(_ number: RequestID, _ error: LanguageError) {
        guard let state = requests.removeValue(forKey: number) else { return }
        leave(state.adapter)
        for id in state.sequences {
            scheduler.finish(id)
            draftModel?.forget(id)
            held[id] = nil
            samples[id] = nil
        }
        state.receive(.failed(error))
    }
}
