// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import Synchronization

/// `/v1/responses`, the answer: one object, or a stream of named and numbered events.
final class ResponsesAnswer: Sendable {
    /// One item of the answer, as far as it has come.
    private struct Item {
        enum Kind: Equatable { case message, reasoning, call(Int) }

        var kind: Kind
        var id: String
        var text = ""
        var scores: [ScoredToken] = []
        var callID = ""
        var name = ""
    }

    private struct State {
        var parser: AnswerParser
        var items: [Item] = []
        var isOpen = false
        var stream: HTTPStream?
        var reason: FinishReason?
        /// Tokens' scores that came without text.
        var scores: [ScoredToken] = []
        var eventCount = 0
    }

    private let pieces: AnswerPieces
    private let wishes: AnswerWishes
    private let echo: ResponsesCoding.Echo
    private let responder: HTTPResponder
    private let state: Mutex<State>

    init(
        _ pieces: AnswerPieces, _ wishes: AnswerWishes, _ echo: ResponsesCoding.Echo,
        _ responder: HTTPResponder
    ) {
        self.pieces = pieces
        self.wishes = wishes
        self.echo = echo
        self.responder = responder
        state = Mutex(State(parser: AnswerParser(wishes)))
    }

    func receive(_ result: Result<GenerationEvent, ServingError>) {
        switch result {
        case .failure(let error): fail(error)
        case .success(.started): start()
        case .success(.delta(let delta)):
            state.withLock { state in
                if wishes.wantsLogProbabilities { state.scores += delta.scores }
                emit(state.parser.append(delta.text), &state)
            }
        case .success(.finished(_, let reason, _)):
            state.withLock { state in
                emit(state.parser.finish(), &state)
                state.reason = reason
            }
        case .success(.ended(let usage)): end(usage)
        case .success(.failed(let error)): fail(ServingError(failure: error))
        case .success(.promptScored): break
        }
    }

    private func start() {
        guard wishes.streams, let stream = responder.stream(.events) else { return }
        state.withLock { state in
            state.stream = stream
            for name in ["response.created", "response.in_progress"] {
                send(name, ["response": whole(state, "in_progress", nil)], &state)
            }
        }
    }

    // MARK: Parts

    private func send(_ name: String, _ members: JSONValue, _ state: inout State) {
        guard let stream = state.stream else { return }
        var event = JSONObject(pairs: [
            ("type", .string(name)), ("sequence_number", .integer(Int64(state.eventCount))),
        ])
        for (key, value) in members.objectValue ?? JSONObject() { event[key] = value }
        state.eventCount += 1
        stream.write(EventText.named(name, JSONValue.object(event).serialized()))
    }

    private func emit(_ parts: [AnswerPart], _ state: inout State) {
        for part in parts {
            switch part {
            case .content(let text): append(text, .message, &state)
            case .reasoning(let text): append(text, .reasoning, &state)
            case .call(let index, let id, let name):
                open(.call(index), &state, callID: id, name: name)
            case .arguments(let index, let text): append(text, .call(index), &state)
            }
        }
    }

    /// Where an event belongs: its item, and the item's only part.
    private func place(_ state: State, _ more: [(String, JSONValue)]) -> JSONValue {
        let index = state.items.count - 1
        let item = state.items[index]
        var pairs: [(String, JSONValue)] = [
            ("item_id", .string(item.id)), ("output_index", .integer(Int64(index))),
        ]
        if case .message = item.kind { pairs.append(("content_index", 0)) }
        if case .reasoning = item.kind { pairs.append(("content_index", 0)) }
        return .object(JSONObject(pairs: pairs + more))
    }

    private func append(_ text: String, _ kind: Item.Kind, _ state: inout State) {
        if !state.isOpen || state.items.last?.kind != kind {
            open(kind, &state, callID: "", name: "")
        }
        let last = state.items.count - 1
        state.items[last].text += text
        var more: [(String, JSONValue)] = [("delta", .string(text))]
        if kind == .message {
            more.append(("logprobs", pieces.scores(state.scores)))
            state.items[last].scores += state.scores
        }
        state.scores = []
        send(ResponsesAnswer.word(kind) + ".delta", place(state, more), &state)
    }

    private static func word(_ kind: Item.Kind) -> String {
        switch kind {
        case .message: "response.output_text"
        case .reasoning: "response.reasoning_text"
        case .call: "response.function_call_arguments"
        }
    }

    private func open(
        _ kind: Item.Kind, _ state: inout State, callID: String, name: String
    ) {
        close(&state)
        let prefix =
            switch kind {
            case .message: "msg_"
            case .reasoning: "rs_"
            case .call: "fc_"
            }
        var item = Item(kind: kind, id: "\(prefix)\(pieces.id.dropFirst(5))_\(state.items.count)")
        item.callID = callID
        item.name = name
        state.items.append(item)
        state.isOpen = true
        send(
            "response.output_item.added",
            [
                "output_index": .integer(Int64(state.items.count - 1)),
                "item": value(item, "in_progress", isBegun: false),
            ], &state)
        guard let part = part(item) else { return }
        send("response.content_part.added", place(state, [("part", part)]), &state)
    }

    private func close(_ state: inout State, _ status: String = "completed") {
        guard state.isOpen, let item = state.items.last else { return }
        state.isOpen = false
        var more: [(String, JSONValue)]
        switch item.kind {
        case .message:
            more = [("text", .string(item.text)), ("logprobs", pieces.scores(item.scores))]
        case .reasoning: more = [("text", .string(item.text))]
        case .call: more = [("name", .string(item.name)), ("arguments", .string(item.text))]
        }
        send(ResponsesAnswer.word(item.kind) + ".done", place(state, more), &state)
        if let part = part(item) {
            send("response.content_part.done", place(state, [("part", part)]), &state)
        }
        send(
            "response.output_item.done",
            [
                "output_index": .integer(Int64(state.items.count - 1)),
                "item": value(item, status),
            ], &state)
    }

    // MARK: Ends

    private func end(_ usage: GenerationUsage) {
        let reason = state.withLock { $0.reason }
        if reason == .deadline || reason == .cancelled {
            return fail(
                ServingError(.deadlineExceeded, "model '\(wishes.model)': the time was over"))
        }
        let status = reason == .length ? "incomplete" : "completed"
        let answer = state.withLock { state -> JSONValue in
            // An answer of no text is a message all the same.
            if state.items.isEmpty { open(.message, &state, callID: "", name: "") }
            close(&state, status)
            let answer = whole(state, status, usage)
            send("response.\(status)", ["response": answer], &state)
            state.stream?.end()
            return answer
        }
        if !wishes.streams { responder.complete(.json(answer.serialized())) }
    }

    private func fail(_ error: ServingError) {
        let isStreamed = state.withLock { state -> Bool in
            guard let stream = state.stream else { return false }
            let told = try? JSONValue(parsing: HTTPResponse.openAI(error).bodyBytes)["error"]
            var answer = whole(state, "failed", nil).objectValue ?? JSONObject()
            answer["error"] = [
                "code": "server_error", "message": told?["message"] ?? .string(error.message),
            ]
            send("response.failed", ["response": .object(answer)], &state)
            stream.end()
            return true
        }
        if !isStreamed { responder.complete(.openAI(error)) }
    }

    // MARK: Writing

    private func part(_ item: Item) -> JSONValue? {
        switch item.kind {
        case .message:
            [
                "type": "output_text", "text": .string(item.text), "annotations": [],
                "logprobs": pieces.scores(item.scores),
            ]
        case .reasoning: ["type": "reasoning_text", "text": .string(item.text)]
        case .call: nil
        }
    }

    private func value(_ item: Item, _ status: String, isBegun: Bool = true) -> JSONValue {
        let content: JSONValue = .array(isBegun ? [part(item)].compactMap(\.self) : [])
        switch item.kind {
        case .message:
            return [
                "id": .string(item.id), "type": "message", "role": "assistant",
                "status": .string(status), "content": content,
            ]
        case .reasoning:
            return [
                "id": .string(item.id), "type": "reasoning", "summary": [],
                "status": .string(status), "content": content,
            ]
        case .call:
            return [
                "id": .string(item.id), "type": "function_call", "call_id": .string(item.callID),
                "name": .string(item.name), "arguments": .string(item.text),
                "status": .string(status),
            ]
        }
    }

    private func whole(_ state: State, _ status: String, _ usage: GenerationUsage?) -> JSONValue {
        var answer = JSONObject(pairs: [
            ("id", .string(pieces.id)), ("object", "response"),
            ("created_at", .integer(pieces.created)), ("status", .string(status)),
            ("error", .null), ("model", .string(pieces.model)),
            (
                "incomplete_details",
                status == "incomplete" ? ["reason": "max_output_tokens"] : .null
            ),
        ])
        answer["output"] = .array(
            state.items.enumerated().map { index, item in
                value(item, index == state.items.count - 1 ? status : "completed")
            })
        for (name, value) in echo.members { answer[name] = value }
        guard let usage else {
            answer["usage"] = .null
            return .object(answer)
        }
        answer["usage"] = [
            "input_tokens": .integer(Int64(usage.promptTokens)),
            "input_tokens_details": ["cached_tokens": .integer(Int64(usage.cachedTokens))],
            "output_tokens": .integer(Int64(usage.completionTokens)),
            "output_tokens_details": ["reasoning_tokens": 0],
            "total_tokens": .integer(Int64(usage.promptTokens + usage.completionTokens)),
        ]
        return .object(answer)
    }
}

extension AnswerPieces {
    /// Tokens' scores as `/v1/responses` lists them.
    fileprivate func scores(_ scores: [ScoredToken]) -> JSONValue {
        func token(_ token: Int32, _ logProbability: Float) -> [(String, JSONValue)] {
            let bytes = language.bytes(of: token)
            return [
                ("token", .string(String(decoding: bytes, as: UTF8.self))),
                ("logprob", .number(max(Double(logProbability), -9999))),
                ("bytes", .array(bytes.map { .integer(Int64($0)) })),
            ]
        }
        return .array(
            scores.map { score in
                let top = score.top.map {
                    JSONValue.object(JSONObject(pairs: token($0.token, $0.logProbability)))
                }
                return .object(
                    JSONObject(
                        pairs: token(score.token, score.logProbability) + [
                            ("top_logprobs", .array(top))
                        ]))
            })
    }
}
