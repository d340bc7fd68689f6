// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import ServiceContextModule

/// The request, as a chat completion's.
enum MessagesCoding {
    static func decode(
        _ fields: GenerationFields, _ language: LanguageText, context: ServiceContext,
        countsOnly: Bool = false
    ) throws -> (GenerationRequest, AnswerWishes) {
        var wishes = AnswerWishes(model: try fields.model())
        guard let messages = try fields.list("messages"), !messages.isEmpty else {
            throw OpenAIError.invalid("messages: at least one is needed", parameter: "messages")
        }
        var prompt = ChatPrompt(messages: [])
        if let system = fields.value("system") {
            prompt.messages.append([
                "role": "system", "content": .string(try text(system, "system")),
            ])
        }
        for (index, message) in messages.enumerated() {
            prompt.messages += try turn(message, "messages.\(index)")
        }
        var options = try fields.options(language.sampling)
        guard options.tokensMax != nil || countsOnly else {
            throw OpenAIError.invalid("max_tokens: Field required", parameter: "max_tokens")
        }
        options.stops = try fields.stops("stop_sequences")
        wishes.streams = try fields.flag("stream")
        let tools = try fields.list("tools") ?? []
        if !tools.isEmpty {
            prompt.tools = try tools.map { tool in
                guard let name = tool["name"]?.stringValue else {
                    throw OpenAIError.invalid("tools: a tool has no name", parameter: "tools")
                }
                wishes.toolNames.append(name)
                wishes.toolParameters[name] = tool["input_schema"]
                return [
                    "type": "function",
                    "function": [
                        "name": .string(name), "description": tool["description"] ?? "",
                        "parameters": tool["input_schema"] ?? [:],
                    ],
                ]
            }
            wishes.tools = .auto
            switch fields.value("tool_choice")?["type"] {
            case "any": wishes.tools = .required
            case "none":
                wishes.tools = .none
                prompt.tools = []
            case "tool":
                if let name = fields.value("tool_choice")?["name"]?.stringValue {
                    wishes.tools = .named(name)
                }
            default: break
            }
            if fields.value("tool_choice")?["disable_parallel_tool_use"] == true {
                wishes.callsInParallel = false
            }
        }
        wishes.prepare(&prompt, &options)
        return (
            GenerationRequest(
                model: wishes.model, prompt: .chat(prompt), options: options,
                format: ChatRequestCoding.forcedFormat(wishes, prompt.tools) ?? .text,
                context: context),
            wishes
        )
    }

    private static func text(_ value: JSONValue, _ name: String) throws(OpenAIError) -> String {
        if let text = value.stringValue { return text }
        var texts: [String] = []
        for part in value.arrayValue ?? [] {
            guard let text = part["text"]?.stringValue else {
                throw OpenAIError.invalid(
                    "\(name): the model reads text only, not "
                        + "'\(part["type"]?.stringValue ?? "unknown")'", parameter: "messages")
            }
            texts.append(text)
        }
        return texts.joined(separator: "\n")
    }

    /// A message; tools' results become messages of their own.
    private static func turn(
        _ message: JSONValue, _ name: String
    ) throws(OpenAIError) -> [JSONValue] {
        guard let role = message["role"]?.stringValue,
            ["user", "assistant", "system"].contains(role)
        else {
            throw OpenAIError.invalid("\(name).role: user or assistant", parameter: "messages")
        }
        guard let content = message["content"] else {
            throw OpenAIError.invalid("\(name).content: Field required", parameter: "messages")
        }
        guard let parts = content.arrayValue else {
            return [["role": .string(role), "content": .string(try text(content, name))]]
        }
        var turns: [JSONValue] = []
        var plain: [JSONValue] = []
        var calls: [JSONValue] = []
        for part in parts {
            switch part["type"] {
            case "tool_result":
                turns.append([
                    "role": "tool", "tool_call_id": part["tool_use_id"] ?? "",
                    "content": .string(try text(part["content"] ?? "", name)),
                ])
            case "tool_use":
                calls.append([
                    "id": part["id"] ?? "", "type": "function",
                    "function": [
                        "name": part["name"] ?? "", "arguments": part["input"] ?? [:],
                    ],
                ])
            case "thinking", "redacted_thinking": break
            default: plain.append(part)
            }
        }
        if !plain.isEmpty || !calls.isEmpty {
            var object = JSONObject()
            object["role"] = .string(role)
            object["content"] = .string(try text(.array(plain), name))
            if !calls.isEmpty { object["tool_calls"] = .array(calls) }
            turns.append(.object(object))
        }
        return turns
    }
}
