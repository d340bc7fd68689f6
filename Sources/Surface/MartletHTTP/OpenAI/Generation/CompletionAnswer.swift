// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import Synchronization

/// `/v1/completions`, the answer: all prompts' choices in one object, or a stream of chunks.
final class CompletionAnswer: Sendable {
    private struct Choice {
        var text = ""
        var scores: [ScoredToken] = []
        var reason: FinishReason?
        var stop: StopCause?
        /// The prompt's first token and the scores of those behind it, when echoed.
        var prompt: (first: Int32?, scores: [ScoredToken])?
        var offset = 0
        var hasBegun = false
    }

    private struct State {
        var choices: [Int: Choice] = [:]
        var stream: HTTPStream?
        var usage = GenerationUsage()
        var open: Int
        var isFailed = false
        var promptScores: [Int: [ScoredToken]] = [:]

        /// About what it is as text.
        var byteCount: Int {
            choices.values.reduce(0) {
                $0 + $1.text.utf8.count + ($1.scores.count + ($1.prompt?.scores.count ?? 0)) * 100
            }
        }
    }

    private let pieces: AnswerPieces
    private let wishes: AnswerWishes
    private let responder: HTTPResponder
    private let samples: Int
    /// Each prompt's text and first token, for an echo.
    private let echoes: [(text: String, first: Int32?)]
    private let state: Mutex<State>

    init(
        _ pieces: AnswerPieces, _ wishes: AnswerWishes, _ responder: HTTPResponder,
        prompts: Int, samples: Int, echoes: [(text: String, first: Int32?)]
    ) {
        self.pieces = pieces
        self.wishes = wishes
        self.responder = responder
        self.samples = samples
        self.echoes = echoes
        state = Mutex(State(open: prompts))
    }

    /// Takes what happened to the prompt of that number.
    func receive(_ prompt: Int, _ result: Result<GenerationEvent, ServingError>) {
        switch result {
        case .failure(let error): fail(error)
        case .success(.started):
            guard wishes.streams, state.withLock({ $0.stream == nil && !$0.isFailed }) else {
                return
            }
            let stream = responder.stream(.events)
            state.withLock { if $0.stream == nil { $0.stream = stream } }
        case .success(.promptScored(let scores)):
            state.withLock { $0.promptScores[prompt] = scores }
        case .success(.delta(let delta)): take(prompt, delta)
        case .success(.finished(let index, let reason, let stop)):
            finish(prompt * samples + index, prompt, reason, stop)
        case .success(.ended(let usage)): end(usage)
        case .success(.failed(let error)): fail(ServingError(failure: error))
        }
    }

    private func begin(_ choice: inout Choice, _ prompt: Int, _ state: State) {
        guard !choice.hasBegun else { return }
        choice.hasBegun = true
        guard wishes.echo != nil else { return }
        choice.text = echoes[prompt].text
        if wishes.wantsLogProbabilities {
            choice.prompt = (echoes[prompt].first, state.promptScores[prompt] ?? [])
        }
    }

    private func take(_ prompt: Int, _ delta: GenerationDelta) {
        state.withLock { state in
            let index = prompt * samples + delta.index
            var choice = state.choices[index] ?? Choice()
            begin(&choice, prompt, state)
            choice.text += delta.text
            choice.scores += delta.scores
            if wishes.streams, !choice.text.isEmpty {
                state.stream?.write(EventText.data(chunk(index, &choice)))
                choice.text = ""
                choice.scores = []
            }
            state.choices[index] = choice
        }
    }

    private func finish(_ index: Int, _ prompt: Int, _ reason: FinishReason, _ stop: StopCause?) {
        state.withLock { state in
            var choice = state.choices[index] ?? Choice()
            begin(&choice, prompt, state)
            choice.reason = reason
            choice.stop = stop
            if wishes.streams { state.stream?.write(EventText.data(chunk(index, &choice))) }
            state.choices[index] = choice
        }
    }

    private func end(_ usage: GenerationUsage) {
        let last = state.withLock { state -> State? in
            state.usage.promptTokens += usage.promptTokens
            state.usage.cachedTokens += usage.cachedTokens
            state.usage.completionTokens += usage.completionTokens
            state.open -= 1
            return state.open == 0 && !state.isFailed ? state : nil
        }
        guard let last else { return }
        if last.choices.values.contains(where: { $0.reason == .deadline }) {
            return fail(
                ServingError(.deadlineExceeded, "model '\(wishes.model)': the time was over"))
        }
        guard wishes.streams else {
            // Long prompts that are echoed are not written on the thread that generates.
            responder.complete(writing: last.byteCount) { [self] in .json(whole(last)) }
            return
        }
        if wishes.includesUsage {
            var writer = JSONWriter()
            pieces.begin(&writer, object: "text_completion")
            writer.key("choices")
            writer.beginArray()
            writer.endArray()
            AnswerPieces.usage(last.usage, &writer)
            writer.endObject()
            last.stream?.write(EventText.data(writer.bytes))
        }
        last.stream?.write(EventText.done)
        last.stream?.end()
    }

    private func fail(_ error: ServingError) {
        let (isFirst, stream) = state.withLock { state -> (Bool, HTTPStream?) in
            defer { state.isFailed = true }
            return (!state.isFailed, state.stream)
        }
        guard isFirst else { return }
        guard let stream else {
            responder.complete(.openAI(error))
            return
        }
        stream.write(EventText.data(HTTPResponse.openAI(error).bodyBytes))
        stream.write(EventText.done)
        stream.end()
    }

    // MARK: Writing

    private func write(_ index: Int, _ choice: inout Choice, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("index")
        writer.integer(index)
        writer.key("text")
        writer.string(choice.text)
        if wishes.wantsLogProbabilities, !choice.scores.isEmpty || choice.prompt != nil {
            let prompt = choice.prompt
            choice.prompt = nil
            pieces.completionScores(
                (prompt?.scores ?? []) + choice.scores, first: prompt?.first,
                offset: &choice.offset, &writer)
        } else {
            writer.key("logprobs")
            writer.null()
        }
        writer.key("finish_reason")
        writer.optional(choice.reason?.openAI)
        AnswerPieces.stop(choice.stop, &writer)
        writer.endObject()
    }

    private func chunk(_ index: Int, _ choice: inout Choice) -> [UInt8] {
        var writer = JSONWriter()
        pieces.begin(&writer, object: "text_completion")
        writer.key("choices")
        writer.beginArray()
        write(index, &choice, &writer)
        writer.endArray()
        if wishes.includesUsage {
            writer.key("usage")
            writer.null()
        }
        writer.endObject()
        return writer.bytes
    }

    private func whole(_ state: State) -> [UInt8] {
        var writer = JSONWriter()
        pieces.begin(&writer, object: "text_completion")
        writer.key("choices")
        writer.beginArray()
        for (index, choice) in state.choices.sorted(by: { $0.key < $1.key }) {
            var choice = choice
            write(index, &choice, &writer)
        }
        writer.endArray()
        AnswerPieces.usage(state.usage, &writer)
        writer.endObject()
        return writer.bytes
    }
}
