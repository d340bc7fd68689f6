// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import Synchronization

/// The answer: one message, or a stream of events.
final class MessagesAnswer: Sendable {
    /// A block of the message that is being sent.
    private enum Block: Equatable { case none, text, thinking, call(Int) }

    private struct State {
        var parser: AnswerParser
        var message = AnswerMessage()
        var stream: HTTPStream?
        var block = Block.none
        var blockCount = 0
        var reason: FinishReason?
        var stop: String?
    }

    private let pieces: AnswerPieces
    private let wishes: AnswerWishes
    private let responder: HTTPResponder
    private let state: Mutex<State>

    init(_ pieces: AnswerPieces, _ wishes: AnswerWishes, _ responder: HTTPResponder) {
        self.pieces = pieces
        self.wishes = wishes
        self.responder = responder
        state = Mutex(State(parser: AnswerParser(wishes)))
    }

    func receive(_ result: Result<GenerationEvent, ServingError>) {
        switch result {
        case .failure(let error): fail(error)
        case .success(.started(let promptTokens, let cachedTokens)):
            guard wishes.streams, let stream = responder.stream(.events) else { return }
            var usage = GenerationUsage()
            usage.promptTokens = promptTokens
            usage.cachedTokens = cachedTokens
            state.withLock { $0.stream = stream }
            event("message_start", stream) { writer in
                writer.key("message")
                write(AnswerMessage(), usage, reason: nil, stop: nil, &writer)
            }
        case .success(.delta(let delta)):
            state.withLock { state in
                let parts = state.parser.append(delta.text)
                emit(parts, &state)
            }
        case .success(.finished(_, let reason, let stop)):
            state.withLock { state in
                emit(state.parser.finish(), &state)
                state.reason = reason
                state.stop = stop?.text
            }
        case .success(.ended(let usage)): end(usage)
        case .success(.failed(let error)): fail(ServingError(failure: error))
        case .success(.promptScored): break
        }
    }

    private func event(
        _ name: String, _ stream: HTTPStream?, _ write: (inout JSONWriter) -> Void
    ) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("type")
        writer.string(name)
        write(&writer)
        writer.endObject()
        stream?.write(EventText.named(name, writer.bytes))
    }

    private func emit(_ parts: [AnswerPart], _ state: inout State) {
        state.message.append(parts)
        guard let stream = state.stream else { return }
        for part in parts {
            switch part {
            case .content(let text):
                open(.text, &state, ["type": "text", "text": ""])
                delta(stream, state, type: "text_delta", key: "text", text)
            case .reasoning(let text):
                open(.thinking, &state, ["type": "thinking", "thinking": "", "signature": ""])
                delta(stream, state, type: "thinking_delta", key: "thinking", text)
            case .call(let index, let id, let name):
                open(
                    .call(index), &state,
                    ["type": "tool_use", "id": .string(id), "name": .string(name), "input": [:]])
            case .arguments(_, let text):
                delta(stream, state, type: "input_json_delta", key: "partial_json", text)
            }
        }
    }

    private func delta(
        _ stream: HTTPStream, _ state: State, type: String, key: String, _ text: String
    ) {
        event("content_block_delta", stream) { writer in
            writer.key("index")
            writer.integer(state.blockCount - 1)
            writer.key("delta")
            writer.value(
                .object(JSONObject(pairs: [("type", .string(type)), (key, .string(text))])))
        }
    }

    private func open(_ block: Block, _ state: inout State, _ start: JSONValue) {
        guard state.block != block else { return }
        closeBlock(&state)
        state.block = block
        event("content_block_start", state.stream) { writer in
            writer.key("index")
            writer.integer(state.blockCount)
            writer.key("content_block")
            writer.value(start)
        }
        state.blockCount += 1
    }

    private func closeBlock(_ state: inout State) {
        guard state.block != .none else { return }
        state.block = .none
        event("content_block_stop", state.stream) { writer in
            writer.key("index")
            writer.integer(state.blockCount - 1)
        }
    }

    private func end(_ usage: GenerationUsage) {
        let final = state.withLock { state -> State in
            closeBlock(&state)
            return state
        }
        if final.reason == .deadline {
            return fail(
                ServingError(.deadlineExceeded, "model '\(wishes.model)': the time was over"))
        }
        let reason =
            final.message.calls.isEmpty
            ? final.reason == .length
                ? "max_tokens" : final.stop == nil ? "end_turn" : "stop_sequence"
            : "tool_use"
        guard let stream = final.stream else {
            var writer = JSONWriter()
            write(final.message, usage, reason: reason, stop: final.stop, &writer)
            responder.complete(.json(writer.bytes))
            return
        }
        event("message_delta", stream) { writer in
            writer.key("delta")
            writer.beginObject()
            writer.key("stop_reason")
            writer.string(reason)
            writer.key("stop_sequence")
            writer.optional(final.stop)
            writer.endObject()
            writer.key("usage")
            writer.beginObject()
            writer.key("output_tokens")
            writer.integer(usage.completionTokens)
            writer.endObject()
        }
        event("message_stop", stream) { _ in }
        stream.end()
    }

    private func fail(_ error: ServingError) {
        let response = HTTPResponse.anthropic(error)
        guard let stream = state.withLock({ $0.stream }) else {
            responder.complete(response)
            return
        }
        stream.write(EventText.named("error", response.bodyBytes))
        stream.end()
    }

    private func write(
        _ message: AnswerMessage, _ usage: GenerationUsage, reason: String?, stop: String?,
        _ writer: inout JSONWriter
    ) {
        var content: [JSONValue] = []
        if !message.reasoning.isEmpty {
            content.append([
                "type": "thinking", "thinking": .string(message.reasoning), "signature": "",
            ])
        }
        if !message.content.isEmpty {
            content.append(["type": "text", "text": .string(message.content)])
        }
        for call in message.calls {
            content.append([
                "type": "tool_use", "id": .string(call.id), "name": .string(call.name),
                "input": (try? JSONValue(parsing: call.arguments)) ?? [:],
            ])
        }
        writer.beginObject()
        writer.key("id")
        writer.string(pieces.id)
        writer.key("type")
        writer.string("message")
        writer.key("role")
        writer.string("assistant")
        writer.key("model")
        writer.string(pieces.model)
        writer.key("content")
        writer.value(.array(content))
        writer.key("stop_reason")
        writer.optional(reason)
        writer.key("stop_sequence")
        writer.optional(stop)
        writer.key("usage")
        writer.beginObject()
        writer.key("input_tokens")
        writer.integer(usage.promptTokens - usage.cachedTokens)
        writer.key("cache_read_input_tokens")
        writer.integer(usage.cachedTokens)
        writer.key("cache_creation_input_tokens")
        writer.integer(0)
        writer.key("output_tokens")
        writer.integer(usage.completionTokens)
        writer.endObject()
        writer.endObject()
    }
}

extension JSONObject {
    init(pairs: [(String, JSONValue)]) {
        self.init()
        for (key, value) in pairs { self[key] = value }
    }
}
