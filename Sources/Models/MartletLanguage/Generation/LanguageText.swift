// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletJSON
public import MartletTokenizers

/// What a language model makes of text: its tokenizer, its chat template and its special tokens.
/// Immutable; any number of threads may use it at once.
public struct LanguageText: Sendable {
    public let tokenizer: Tokenizer
    /// Its parts by name; "" is the one for plain conversations.
    public var templates: [String: ChatTemplate]
    /// Names that templates see: `bos_token`, `eos_token` and the like.
    public var specialTokens: JSONObject
    /// Tokens that end an answer.
    public var endTokens: Set<Int32>
    /// What the model's makers sample with, where a request says nothing.
    public var sampling = SamplingOptions()
    public var contextLength: Int

    public init(
        tokenizer: Tokenizer, templates: [String: ChatTemplate] = [:],
        specialTokens: JSONObject = JSONObject(), endTokens: Set<Int32>, contextLength: Int
    ) {
        self.tokenizer = tokenizer
        self.templates = templates
        self.specialTokens = specialTokens
        self.endTokens = endTokens
        self.contextLength = contextLength
    }
}

/// A conversation to be continued.
public struct ChatPrompt: Sendable {
    /// As templates see them: objects with `role` and `content`.
    public var messages: [JSONValue]
    public var tools: [JSONValue] = []
    /// Begin the assistant's turn.
    public var addsGenerationPrompt = true
    /// Go on with the last message instead of a new one.
    public var continuesFinalMessage = false
    /// Further names for the template.
    public var variables = JSONObject()
    /// Told the prompt as the model will read it.
    package var onRender: (@Sendable (String) -> Void)?

    public init(messages: [JSONValue]) {
        self.messages = messages
    }
}

extension LanguageText {
    /// The most messages of one conversation.
    public static let messageCountMax = 100_000

    /// A conversation as the model reads it.
    /// - Parameter wallSeconds: the time that the template may tell, since the epoch.
    /// - Throws: `LanguageError` for a conversation that the template refuses.
    public func render(
        _ prompt: ChatPrompt, wallSeconds: Int64
    ) throws(LanguageError) -> String {
        guard prompt.messages.count <= LanguageText.messageCountMax else {
            throw LanguageError(
                .limitExceeded,
                "messages: \(prompt.messages.count), at most \(LanguageText.messageCountMax)")
        }
        let name = prompt.tools.isEmpty || templates["tool_use"] == nil ? "" : "tool_use"
        guard let template = templates[name] else {
            throw LanguageError(
                .unsupported, "the model has no chat template: it completes text only")
        }
        var variables = specialTokens
        for (name, value) in prompt.variables { variables[name] = value }
        variables["messages"] = .array(prompt.messages)
        variables["tools"] = prompt.tools.isEmpty ? .null : .array(prompt.tools)
        variables["add_generation_prompt"] = .bool(
            prompt.addsGenerationPrompt && !prompt.continuesFinalMessage)
        do throws(TemplateError) {
            let text = try template.render(variables, wallSeconds: wallSeconds)
            let whole = prompt.continuesFinalMessage ? try cut(text, prompt) : text
            prompt.onRender?(whole)
            return whole
        } catch {
            let code: LanguageError.Code =
                error.code == .limitExceeded ? .limitExceeded : .invalidInput
            throw LanguageError(
                code, error.code == .raised ? error.message : error.description, cause: error)
        }
    }

    /// The text up to the end of the last message's content.
    private func cut(_ text: String, _ prompt: ChatPrompt) throws(TemplateError) -> String {
        let content = prompt.messages.last?["content"]?.stringValue ?? ""
        let trimmed = String(content.trimmingSpaces)
        guard let end = text.endOfLast(content) ?? text.endOfLast(trimmed) else {
            throw TemplateError(
                .invalid, "the last message is not in the prompt as it stands, to go on with it")
        }
        return end
    }

    /// The prompt's tokens; special tokens in the text are found as such.
    public func tokens(
        _ text: String, addsSpecialTokens: Bool
    ) throws(LanguageError) -> [Int32] {
        do throws(TokenizerError) {
            return try tokenizer.encode(text, addsSpecialTokens: addsSpecialTokens).ids
        } catch {
            throw LanguageError(
                error.code == .limitExceeded ? .limitExceeded : .invalidInput, error.message,
                cause: error)
        }
    }

    /// A token's own bytes, for log-probabilities.
    public func bytes(of token: Int32) -> [UInt8] {
        tokenizer.streamedBytes(of: token, isFirst: false, skipsSpecialTokens: false) ?? []
    }
}

extension String {
    fileprivate var trimmingSpaces: Substring {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return rest
    }

    /// Everything up to the end of the last occurrence of `part`.
    fileprivate func endOfLast(_ part: String) -> String? {
        guard !part.isEmpty else { return nil }
        let bytes = Array(utf8)
        let wanted = Array(part.utf8)
        guard wanted.count <= bytes.count else { return nil }
        var start = bytes.count - wanted.count
        while start >= 0 {
            if bytes[start] == wanted[0], bytes[start...].starts(with: wanted) {
                return String(decoding: bytes[..<(start + wanted.count)], as: UTF8.self)
            }
            start -= 1
        }
        return nil
    }
}
