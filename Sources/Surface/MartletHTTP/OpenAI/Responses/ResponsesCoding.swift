// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import ServiceContextModule

/// `/v1/responses`, the request: read as the chat completion that it amounts to.
enum ResponsesCoding {
    /// What an answer repeats of its request.
    struct Echo: Sendable {
        var members = JSONObject()
    }

    /// Members that a chat completion has under other names, or not at all.
    private static let ownNames: Set<String> = [
        "input", "instructions", "text", "tools", "tool_choice", "max_output_tokens", "store",
        "metadata", "reasoning", "include", "parallel_tool_calls", "truncation", "background",
        "previous_response_id", "conversation", "prompt", "n", "messages", "response_format",
        "stream_options", "top_logprobs", "logprobs",
    ]

    static func decode(
        _ fields: GenerationFields, _ language: LanguageText, context: ServiceContext
    ) throws -> (GenerationRequest, AnswerWishes, Echo) {
        for name in ["previous_response_id", "conversation", "prompt"]
        where fields.value(name) != nil {
            throw OpenAIError.invalid(
                "'\(name)' is not supported: nothing is stored here, send the whole input",
                parameter: name)
        }
        if try fields.flag("background") {
            throw OpenAIError.invalid("'background' is not supported", parameter: "background")
        }
        var chat = JSONObject()
        for (name, value) in fields.object where !ownNames.contains(name) { chat[name] = value }
        chat["messages"] = .array(try messages(fields))
        if let most = try fields.integer("max_output_tokens") {
            guard most > 0 else { throw fields.wrong("max_output_tokens", "at least 1") }
            chat["max_completion_tokens"] = .integer(Int64(most))
        }
        chat["tools"] = try fields.list("tools").map { .array(try $0.map { try tool($0, fields) }) }
        if let choice = fields.value("tool_choice") {
            let name = choice["name"]?.stringValue
            chat["tool_choice"] =
                name.map { ["type": "function", "function": ["name": .string($0)]] } ?? choice
        }
        chat["parallel_tool_calls"] = fields.value("parallel_tool_calls")
        if let format = fields.value("text")?["format"] { chat["response_format"] = format }
        if let top = try fields.integer("top_logprobs"), top > 0 {
            chat["logprobs"] = true
            chat["top_logprobs"] = .integer(Int64(top))
        }
        let (request, wishes) = try ChatRequestCoding.decode(
            GenerationFields(chat), language, context: context)
        return (request, wishes, try echo(fields, request))
    }

    // MARK: Messages

    private static func messages(_ fields: GenerationFields) throws -> [JSONValue] {
        var messages: [JSONValue] = []
        if let instructions = try fields.string("instructions") {
            messages.append(["role": "system", "content": .string(instructions)])
        }
        guard let input = fields.value("input") else { throw EmbeddingCoding.missing("input") }
        if let text = input.stringValue {
            return messages + [["role": "user", "content": .string(text)]]
        }
        guard let items = input.arrayValue, !items.isEmpty else {
            throw fields.wrong("input", "a string or a list of items")
        }
        // Calls that were made together are one turn.
        var calls: [JSONValue] = []
        func close() {
            guard !calls.isEmpty else { return }
            messages.append([
                "role": "assistant", "content": .null, "tool_calls": .array(calls),
            ])
            calls = []
        }
        for (index, item) in items.enumerated() {
            switch item["type"]?.stringValue ?? "message" {
            case "function_call":
                calls.append([
                    "id": item["call_id"] ?? "", "type": "function",
                    "function": [
                        "name": item["name"] ?? "", "arguments": item["arguments"] ?? "{}",
                    ],
                ])
                continue
            case "function_call_output":
                close()
                messages.append([
                    "role": "tool", "tool_call_id": item["call_id"] ?? "",
                    "content": item["output"] ?? "",
                ])
            case "reasoning": continue
            case "message":
                close()
                guard let role = item["role"], let content = item["content"] else {
                    throw fields.wrong("input", "a list of items with role and content")
                }
                messages.append(["role": role, "content": content])
            case let type:
                throw OpenAIError.invalid(
                    "'input[\(index)]' is of the type '\(type)', which is not supported",
                    parameter: "input")
            }
        }
        close()
        return messages
    }

    /// A tool as chat completions have it: its members one level down.
    private static func tool(
        _ tool: JSONValue, _ fields: GenerationFields
    ) throws(OpenAIError) -> JSONValue {
        guard tool["type"] == "function", case .object(var function) = tool else {
            throw OpenAIError.invalid(
                "'tools' has a '\(tool["type"]?.stringValue ?? "unknown")': only functions of the "
                    + "client's own are supported", parameter: "tools")
        }
        if function["function"] != nil { return tool }
        function["type"] = nil
        if function["strict"]?.isNull == true { function["strict"] = nil }
        return ["type": "function", "function": .object(function)]
    }

    // MARK: What is repeated

    private static func echo(
        _ fields: GenerationFields, _ request: GenerationRequest
    ) throws(OpenAIError) -> Echo {
        var echo = Echo()
        func keep(_ name: String, else missing: JSONValue) {
            echo.members[name] = fields.value(name) ?? missing
        }
        keep("instructions", else: .null)
        keep("max_output_tokens", else: .null)
        keep("metadata", else: [:])
        keep("parallel_tool_calls", else: true)
        keep("reasoning", else: .null)
        keep("text", else: ["format": ["type": "text"]])
        keep("tool_choice", else: "auto")
        keep("tools", else: [])
        keep("top_logprobs", else: 0)
        keep("user", else: .null)
        echo.members["temperature"] = .number(request.options.sampling.temperature)
        echo.members["top_p"] = .number(request.options.sampling.topP)
        echo.members["truncation"] = "disabled"
        echo.members["previous_response_id"] = .null
        echo.members["background"] = false
        echo.members["store"] = false
        return echo
    }
}
