// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import ServiceContextModule
internal import Synchronization

/// What a client wants beside the answer itself.
package struct AnswerWishes: Sendable {
    var model: String
    var streams = false
    var includesUsage = false
    var wantsLogProbabilities = false
    /// Completions: begin each answer with its prompt.
    var echo: String?
    /// Chat: calls of these tools are looked for in the answer.
    package var toolNames: [String] = []
    package var tools = ToolChoice.none
    /// The tools' schemas, by name.
    package var toolParameters: [String: JSONValue] = [:]
    /// More than one call may be made.
    package var callsInParallel = true
    /// Whether the prompt ended in reasoning that the answer goes on with.
    package let opening = ReasoningOpening()

    package init(model: String) { self.model = model }

    /// What is looked for in the answer.
    struct Tools: Sendable {
        var names: [String]
        var parameters: [String: JSONValue]
    }

    var toolSet: Tools { Tools(names: toolNames, parameters: toolParameters) }

    /// Has the prompt tell how it ends, and the answer keep the marks of calls that are tokens of
    /// their own.
    func prepare(_ prompt: inout ChatPrompt, _ options: inout GenerationOptions) {
        prompt.onRender = { [opening] in opening.read($0) }
        if tools == .auto { options.skipsSpecialTokens = false }
    }
}

/// Learns from a rendered prompt whether its end opens the answer's reasoning.
package final class ReasoningOpening: Sendable {
    private let state = Mutex(false)

    var isOpen: Bool { state.withLock { $0 } }

    /// - Parameter text: the end of the prompt is enough.
    package func read(_ text: String) {
        let end = Array("<think>".utf8)
        let rest = text.utf8.reversed().drop { $0 == 0x0A || $0 == 0x20 || $0 == 0x0D }
        let isOpen = rest.starts(with: end.reversed())
        state.withLock { $0 = isOpen }
    }
}

/// Which tools an answer may or must call.
package enum ToolChoice: Sendable, Hashable {
    case none, auto, required
    case named(String)
}

/// `/v1/chat/completions`, the request.
enum ChatRequestCoding {
    private static let toolCountMax = 256

    static func decode(
        _ fields: GenerationFields, _ language: LanguageText, context: ServiceContext
    ) throws -> (GenerationRequest, AnswerWishes) {
        var wishes = AnswerWishes(model: try fields.model())
        guard let messages = try fields.list("messages") else {
            throw EmbeddingCoding.missing("messages")
        }
        guard !messages.isEmpty else {
            throw OpenAIError.invalid("'messages' must not be empty", parameter: "messages")
        }
        var prompt = ChatPrompt(messages: [])
        for (index, message) in messages.enumerated() {
            prompt.messages.append(try self.message(message, index))
        }
        var options = try fields.options(
            language.sampling, tokensMax: ["max_completion_tokens", "max_tokens"])
        if try fields.flag("logprobs") {
            options.topLogProbabilities = try fields.integer("top_logprobs") ?? 0
            wishes.wantsLogProbabilities = true
        } else if let top = try fields.integer("top_logprobs"), top > 0 {
            throw OpenAIError.invalid(
                "'top_logprobs' needs 'logprobs' to be true", parameter: "top_logprobs")
        }
        if let fault = options.fault {
            throw OpenAIError.invalid("'\(fault.field)' \(fault.message)", parameter: fault.field)
        }
        wishes.streams = try fields.flag("stream")
        wishes.includesUsage = try fields.includesUsage()
        if let begins = fields.value("add_generation_prompt") {
            guard let flag = begins.boolValue else {
                throw fields.wrong("add_generation_prompt", "a boolean")
            }
            prompt.addsGenerationPrompt = flag
        }
        prompt.continuesFinalMessage = try fields.flag("continue_final_message")
        if let extra = fields.value("chat_template_kwargs") {
            guard let members = extra.objectValue else {
                throw fields.wrong("chat_template_kwargs", "an object")
            }
            prompt.variables = members
        }
        try readTools(fields, &prompt, &wishes)
        wishes.prepare(&prompt, &options)
        var request = GenerationRequest(
            model: wishes.model, prompt: .chat(prompt), options: options,
            format: try forcedFormat(wishes, prompt.tools) ?? fields.format(), context: context)
        request.truncatesPromptTo = try fields.integer("truncate_prompt_tokens")
        return (request, wishes)
    }

    private static func readTools(
        _ fields: GenerationFields, _ prompt: inout ChatPrompt, _ wishes: inout AnswerWishes
    ) throws {
        guard let tools = try fields.list("tools"), !tools.isEmpty else { return }
        guard tools.count <= toolCountMax else {
            throw OpenAIError.invalid("'tools' has more than \(toolCountMax)", parameter: "tools")
        }
        wishes.toolNames = try tools.map { tool in
            guard let name = tool["function"]?["name"]?.stringValue else {
                throw fields.wrong("tools", "a list of functions with names")
            }
            return name
        }
        wishes.tools = .auto
        switch fields.value("tool_choice") {
        case nil, "auto": break
        case "none": wishes.tools = .none
        case "required": wishes.tools = .required
        case .some(let choice):
            guard let name = choice["function"]?["name"]?.stringValue,
                wishes.toolNames.contains(name)
            else {
                throw fields.wrong("tool_choice", "none, auto, required or one of the tools")
            }
            wishes.tools = .named(name)
        }
        for tool in tools {
            guard let name = tool["function"]?["name"]?.stringValue else { continue }
            wishes.toolParameters[name] = tool["function"]?["parameters"]
        }
        if fields.value("parallel_tool_calls") != nil {
            wishes.callsInParallel = try fields.flag("parallel_tool_calls")
        }
        if wishes.tools != .none { prompt.tools = tools }
    }

    /// What an answer that must call a tool looks like; nil where it need not.
    static func forcedFormat(
        _ wishes: AnswerWishes, _ tools: [JSONValue]
    ) -> AnswerFormat? {
        func parameters(_ tool: JSONValue) -> JSONValue {
            tool["function"]?["parameters"] ?? ["type": "object", "additionalProperties": false]
        }
        switch wishes.tools {
        case .none, .auto: return nil
        case .named(let name):
            return tools.first { $0["function"]?["name"]?.stringValue == name }
                .map { .schema(parameters($0)) }
        case .required:
            let calls = tools.map { tool -> JSONValue in
                [
                    "type": "object", "required": ["name", "arguments"],
                    "properties": [
                        "name": ["const": tool["function"]?["name"] ?? ""],
                        "arguments": parameters(tool),
                    ],
                ]
            }
            return .schema(["anyOf": .array(calls)])
        }
    }

    /// A message as templates read it: its content one text, its calls' arguments as values.
    static func message(_ message: JSONValue, _ index: Int) throws(OpenAIError) -> JSONValue {
        let name = "messages[\(index)]"
        guard case .object(var object) = message else {
            throw OpenAIError.invalid("'\(name)' must be an object", parameter: "messages")
        }
        guard object["role"]?.stringValue != nil else {
            throw OpenAIError.invalid("'\(name)' needs a role", parameter: "messages")
        }
        // The newer name of an instruction; templates know the older.
        if object["role"] == "developer" { object["role"] = "system" }
        switch object["content"] {
        case .array(let parts): object["content"] = .string(try text(parts, name))
        case .string: break
        case nil, .some(.null): object["content"] = object["tool_calls"] == nil ? "" : .null
        default:
            throw OpenAIError.invalid(
                "'\(name).content' must be a string or a list of parts", parameter: "messages")
        }
        if case .array(let calls)? = object["tool_calls"] {
            object["tool_calls"] = .array(calls.map(callWithValues))
        }
        return .object(object)
    }

    private static func text(
        _ parts: [JSONValue], _ name: String
    ) throws(OpenAIError) -> String {
        var texts: [String] = []
        for part in parts {
            guard let text = part["text"]?.stringValue ?? part.stringValue else {
                throw OpenAIError.invalid(
                    "'\(name).content' has a part of the type "
                        + "'\(part["type"]?.stringValue ?? "unknown")': the model reads text only",
                    parameter: "messages")
            }
            texts.append(text)
        }
        return texts.joined(separator: "\n")
    }

    /// Arguments come as JSON in a string; templates write them themselves.
    private static func callWithValues(_ call: JSONValue) -> JSONValue {
        guard case .object(var object) = call, case .object(var function)? = object["function"],
            let text = function["arguments"]?.stringValue,
            let value = try? JSONValue(parsing: text)
        else { return call }
        function["arguments"] = value
        object["function"] = .object(function)
        return .object(object)
    }
}
