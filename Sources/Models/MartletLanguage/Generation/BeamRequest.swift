// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletTokenizers
internal import Synchronization

/// Runs a beam search on a model's thread: a round of one-token requests for each token, whose
/// prompts the prefix cache holds; then hands out the best answers as a request's events.
final class BeamRequest: Sendable {
    private struct State {
        var search: BeamSearch
        var following: [[TokenProbability]] = []
        var left = 0
        var usage: GenerationUsage?
        var isOver = false
        var tickets: [GenerationThread.Ticket] = []
    }

    private let prepared: PreparedGeneration
    private let tokenizer: Tokenizer
    private let thread: GenerationThread
    private let cancellation: Cancellation
    private let state: Mutex<State>

    /// - Parameter sequenceTokensMax: what a prompt and its answer may have together.
    init(
        _ prepared: PreparedGeneration, width: Int, text: LanguageText, thread: GenerationThread,
        sequenceTokensMax: Int, cancellation: Cancellation
    ) {
        self.prepared = prepared
        self.thread = thread
        self.cancellation = cancellation
        tokenizer = text.tokenizer
        let room = sequenceTokensMax - prepared.tokens.count
        state = Mutex(
            State(
                search: BeamSearch(
                    width: width, promptCount: prepared.tokens.count,
                    tokensMax: max(0, min(prepared.options.tokensMax ?? room, room)),
                    lengthPenalty: prepared.options.lengthPenalty,
                    endTokens: prepared.options.ignoresEnd
                        ? [] : text.endTokens.union(prepared.options.stopTokens))))
    }

    func start() throws(LanguageError) {
        // A search without a token to find: the prompt alone, which is scored or refused as any.
        if state.withLock({ $0.search.isOver }) {
            var plain = prepared
            plain.options.beamWidth = nil
            plain.options.tokensMax = 0
            let ticket = try thread.submit(plain)
            cancellation.onCancel { [thread] in thread.cancel(ticket) }
            return
        }
        cancellation.onCancel { [self] in cancelRound() }
        do throws(LanguageError) {
            try round(isFirst: true)
        } catch {
            cancelRound()
            // Beams that are in line already must not be heard after the error.
            if claim() { throw error }
        }
    }

    private func cancelRound() {
        for ticket in state.withLock({ $0.tickets }) { thread.cancel(ticket) }
    }

    private func round(isFirst: Bool = false) throws(LanguageError) {
        let beams = state.withLock { state in
            state.following = Array(repeating: [], count: state.search.open.count)
            state.left = state.search.open.count
            state.tickets = []
            return state.search.open.map(\.tokens)
        }
        // Between two rounds there was nothing to cancel.
        if cancellation.isCancelled { return finish(.cancelled) }
        var options = prepared.options
        options.tokensMax = 1
        options.tokensMin = 0
        options.samples = 1
        options.beamWidth = nil
        options.stops = []
        options.stopTokens = []
        options.scoresPrompt = isFirst && prepared.options.scoresPrompt
        options.sampling = SamplingOptions()
        options.sampling.temperature = 0
        options.topLogProbabilities = 2 * state.withLock { $0.search.width }
        for (index, tokens) in beams.enumerated() {
            let request = PreparedGeneration(
                tokens: prepared.tokens + tokens, options: options
            ) { [self] in receive(index, $0) }
            let ticket = try thread.submit(request)
            state.withLock { $0.tickets.append(ticket) }
        }
        // Who cancelled meanwhile may have seen some of the tickets only.
        if cancellation.isCancelled { cancelRound() }
    }

    private func receive(_ index: Int, _ event: GenerationEvent) {
        switch event {
        case .started:
            if state.withLock({ $0.usage == nil && !$0.isOver }) { prepared.receive(event) }
        case .promptScored(let scores):
            guard state.withLock({ !$0.isOver }) else { return }
            prepared.receive(.promptScored(scores.map(trimmed)))
        case .delta(let delta):
            guard let score = delta.scores.first else { return }
            state.withLock { $0.following[index] = score.top }
        case .finished(_, .cancelled, _), .finished(_, .deadline, _):
            guard case .finished(_, let reason, _) = event else { return }
            finish(reason)
        case .ended(let usage): ended(usage)
        case .failed:
            guard claim() else { return }
            cancelRound()
            prepared.receive(event)
        case .finished: break
        }
    }

    /// Without what only the search had to know.
    private func trimmed(_ score: ScoredToken) -> ScoredToken {
        var score = score
        score.top = Array(score.top.prefix(prepared.options.topLogProbabilities ?? 0))
        return score
    }

    private func claim() -> Bool {
        state.withLock { state in
            defer { state.isOver = true }
            return !state.isOver
        }
    }

    private func ended(_ usage: GenerationUsage) {
        let isRoundOver = state.withLock { state -> Bool in
            if state.usage == nil { state.usage = usage }
            state.usage?.ended = usage.ended
            state.left -= 1
            guard state.left == 0, !state.isOver else { return false }
            state.search.advance(state.following)
            return true
        }
        guard isRoundOver else { return }
        if state.withLock({ $0.search.isOver }) { return finish(nil) }
        do throws(LanguageError) {
            try round()
        } catch {
            guard claim() else { return }
            cancelRound()
            prepared.receive(.failed(error))
        }
    }

    /// Hands out the best answers.
    private func finish(_ reason: FinishReason?) {
        guard claim() else { return }
        let (beams, found) = state.withLock { state in
            (state.search.best(prepared.options.samples), state.usage)
        }
        var usage = found ?? GenerationUsage()
        usage.completionTokens = 0
        for (index, beam) in beams.enumerated() {
            var detokenizer = StreamingDetokenizer(
                tokenizer, skipsSpecialTokens: prepared.options.skipsSpecialTokens,
                continuesText: prepared.continuesText)
            var text = ""
            for token in beam.isEnded ? beam.tokens.dropLast() : beam.tokens[...] {
                text += detokenizer.append(token)
            }
            text += detokenizer.finish()
            usage.completionTokens += beam.tokens.count
            let isScored = prepared.options.topLogProbabilities != nil
            prepared.receive(
                .delta(
                    GenerationDelta(
                        index: index, text: text, tokens: beam.tokens,
                        scores: isScored ? beam.scores.map(trimmed) : [])))
            prepared.receive(
                .finished(index: index, reason ?? (beam.isEnded ? .stop : .length), stop: nil))
        }
        prepared.receive(.ended(usage))
    }
}
