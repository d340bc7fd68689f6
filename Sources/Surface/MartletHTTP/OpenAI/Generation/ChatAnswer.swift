// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import Synchronization

/// `/v1/chat/completions`, the answer: one object, or a stream of chunks.
final class ChatAnswer: Sendable {
    /// One choice as it has come so far.
    private struct Choice {
        var parser: AnswerParser
        var message = AnswerMessage()
        var scores: [ScoredToken] = []
        var reason: FinishReason?
        var stop: StopCause?
        var hasBegun = false
    }

    private struct State {
        var choices: [Int: Choice] = [:]
        var stream: HTTPStream?
        var usage = GenerationUsage()
        var isOver = false
    }

    private let pieces: AnswerPieces
    private let wishes: AnswerWishes
    private let responder: HTTPResponder
    private let state = Mutex(State())

    init(_ pieces: AnswerPieces, _ wishes: AnswerWishes, _ responder: HTTPResponder) {
        self.pieces = pieces
        self.wishes = wishes
        self.responder = responder
    }

    func receive(_ result: Result<GenerationEvent, ServingError>) {
        switch result {
        case .failure(let error): fail(error)
        case .success(.started):
            guard wishes.streams else { return }
            let stream = responder.stream(.events)
            state.withLock { $0.stream = stream }
        case .success(.promptScored): break
        case .success(.delta(let delta)): take(delta)
        case .success(.finished(let index, let reason, let stop)): finish(index, reason, stop)
        case .success(.ended(let usage)): end(usage)
        case .success(.failed(let error)): fail(ServingError(failure: error))
        }
    }

    private func choice(_ state: inout State, _ index: Int) -> Choice {
        state.choices[index] ?? Choice(parser: AnswerParser(wishes))
    }

    private func take(_ delta: GenerationDelta) {
        state.withLock { state in
            var choice = choice(&state, delta.index)
            let parts = choice.parser.append(delta.text)
            emit(parts, delta.scores, delta.index, &choice, &state)
            state.choices[delta.index] = choice
        }
    }

    /// Adds parts to a choice, and sends them where the answer is streamed.
    private func emit(
        _ parts: [AnswerPart], _ scores: [ScoredToken], _ index: Int, _ choice: inout Choice,
        _ state: inout State
    ) {
        choice.message.append(parts)
        guard wishes.streams else {
            choice.scores += scores
            return
        }
        if !choice.hasBegun {
            choice.hasBegun = true
            state.stream?.write(
                chunk(index) { writer in
                    writer.key("role")
                    writer.string("assistant")
                    writer.key("content")
                    writer.string("")
                })
        }
        // Scores that come without text wait for the next chunk.
        choice.scores += scores
        for part in parts {
            var scores: [ScoredToken] = []
            swap(&scores, &choice.scores)
            state.stream?.write(chunk(index, scores: scores) { part.write(&$0) })
        }
    }

    private func finish(_ index: Int, _ reason: FinishReason, _ stop: StopCause?) {
        state.withLock { state in
            var choice = choice(&state, index)
            emit(choice.parser.finish(), [], index, &choice, &state)
            choice.reason = reason
            choice.stop = stop
            if wishes.streams {
                state.stream?.write(
                    chunk(index, scores: choice.scores, reason: word(choice), stop: stop) { _ in
                    })
            }
            state.choices[index] = choice
        }
    }

    private func word(_ choice: Choice) -> String {
        if !choice.message.calls.isEmpty, choice.reason == .stop, wishes.tools.isOpen {
            return "tool_calls"
        }
        return choice.reason?.openAI ?? "stop"
    }

    private func end(_ usage: GenerationUsage) {
        let state = state.withLock { state in
            state.usage = usage
            state.isOver = true
            return state
        }
        if state.choices.values.contains(where: { $0.reason == .deadline }) {
            return fail(
                ServingError(.deadlineExceeded, "model '\(wishes.model)': the time was over"))
        }
        guard wishes.streams else {
            responder.complete(.json(whole(state)))
            return
        }
        if wishes.includesUsage {
            var writer = JSONWriter()
            pieces.begin(&writer, object: "chat.completion.chunk")
            writer.key("choices")
            writer.beginArray()
            writer.endArray()
            AnswerPieces.usage(usage, &writer)
            writer.endObject()
            state.stream?.write(EventText.data(writer.bytes))
        }
        state.stream?.write(EventText.done)
        state.stream?.end()
    }

    private func fail(_ error: ServingError) {
        guard let stream = state.withLock({ $0.stream }) else {
            responder.complete(.openAI(error))
            return
        }
        stream.write(EventText.data(HTTPResponse.openAI(error).bodyBytes))
        stream.write(EventText.done)
        stream.end()
    }

    // MARK: Writing

    private func chunk(
        _ index: Int, scores: [ScoredToken] = [], reason: String? = nil, stop: StopCause? = nil,
        _ writeDelta: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var writer = JSONWriter()
        pieces.begin(&writer, object: "chat.completion.chunk")
        writer.key("choices")
        writer.beginArray()
        writer.beginObject()
        writer.key("index")
        writer.integer(index)
        writer.key("delta")
        writer.beginObject()
        writeDelta(&writer)
        writer.endObject()
        if wishes.wantsLogProbabilities, !scores.isEmpty {
            pieces.chatScores(scores, &writer)
        } else {
            writer.key("logprobs")
            writer.null()
        }
        writer.key("finish_reason")
        writer.optional(reason)
        if reason != nil { AnswerPieces.stop(stop, &writer) }
        writer.endObject()
        writer.endArray()
        if wishes.includesUsage {
            writer.key("usage")
            writer.null()
        }
        writer.endObject()
        return EventText.data(writer.bytes)
    }

    private func whole(_ state: State) -> [UInt8] {
        var writer = JSONWriter()
        pieces.begin(&writer, object: "chat.completion")
        writer.key("choices")
        writer.beginArray()
        for (index, choice) in state.choices.sorted(by: { $0.key < $1.key }) {
            writer.beginObject()
            writer.key("index")
            writer.integer(index)
            writer.key("message")
            choice.message.write(&writer)
            if wishes.wantsLogProbabilities {
                pieces.chatScores(choice.scores, &writer)
            } else {
                writer.key("logprobs")
                writer.null()
            }
            writer.key("finish_reason")
            writer.string(word(choice))
            AnswerPieces.stop(choice.stop, &writer)
            writer.endObject()
        }
        writer.endArray()
        AnswerPieces.usage(state.usage, &writer)
        writer.endObject()
        return writer.bytes
    }
}
