// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// A stretch of an answer by what it means.
package enum AnswerPart: Sendable, Hashable {
    case content(String)
    case reasoning(String)
    /// A call of a tool begins.
    case call(index: Int, id: String, name: String)
    /// A further stretch of the call's arguments.
    case arguments(index: Int, String)

    /// The members of a chunk's delta.
    func write(_ writer: inout JSONWriter) {
        switch self {
        case .content(let text):
            writer.key("content")
            writer.string(text)
        case .reasoning(let text):
            writer.key("reasoning_content")
            writer.string(text)
        case .call(let index, let id, let name):
            writer.key("tool_calls")
            writer.beginArray()
            writer.beginObject()
            writer.key("index")
            writer.integer(index)
            writer.key("id")
            writer.string(id)
            writer.key("type")
            writer.string("function")
            writer.key("function")
            writer.beginObject()
            writer.key("name")
            writer.string(name)
            writer.key("arguments")
            writer.string("")
            writer.endObject()
            writer.endObject()
            writer.endArray()
        case .arguments(let index, let text):
            writer.key("tool_calls")
            writer.beginArray()
            writer.beginObject()
            writer.key("index")
            writer.integer(index)
            writer.key("function")
            writer.beginObject()
            writer.key("arguments")
            writer.string(text)
            writer.endObject()
            writer.endObject()
            writer.endArray()
        }
    }
}

/// A whole answer, put together of its parts.
struct AnswerMessage: Sendable {
    struct Call: Sendable {
        var id: String
        var name: String
        var arguments = ""
    }

    var content = ""
    var reasoning = ""
    var calls: [Call] = []

    mutating func append(_ parts: [AnswerPart]) {
        for part in parts {
            switch part {
            case .content(let text): content += text
            case .reasoning(let text): reasoning += text
            case .call(_, let id, let name): calls.append(Call(id: id, name: name))
            case .arguments(let index, let text):
                if calls.indices.contains(index) { calls[index].arguments += text }
            }
        }
    }

    /// As a chat completion's message.
    func write(_ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("role")
        writer.string("assistant")
        writer.key("content")
        if content.isEmpty, !calls.isEmpty { writer.null() } else { writer.string(content) }
        if !reasoning.isEmpty {
            writer.key("reasoning_content")
            writer.string(reasoning)
        }
        if !calls.isEmpty {
            writer.key("tool_calls")
            writer.beginArray()
            for call in calls {
                writer.beginObject()
                writer.key("id")
                writer.string(call.id)
                writer.key("type")
                writer.string("function")
                writer.key("function")
                writer.beginObject()
                writer.key("name")
                writer.string(call.name)
                writer.key("arguments")
                writer.string(call.arguments)
                writer.endObject()
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
    }
}

extension ToolChoice {
    /// Whether the model chose to call at all.
    var isOpen: Bool {
        switch self {
        case .none, .named: false
        case .auto, .required: true
        }
    }
}
