// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import ServiceContextModule

/// `/v1/completions`, the request: one for each of its prompts.
enum CompletionRequestCoding {
    private static let promptCountMax = 64
    private static let tokensMaxDefault = 16

    static func decode(
        _ fields: GenerationFields, _ language: LanguageText, context: ServiceContext
    ) throws -> ([GenerationRequest], AnswerWishes) {
        var wishes = AnswerWishes(model: try fields.model())
        var options = try fields.options(language.sampling)
        if options.tokensMax == nil { options.tokensMax = tokensMaxDefault }
        if let suffix = try fields.string("suffix"), !suffix.isEmpty {
            throw OpenAIError.invalid("'suffix' is not supported", parameter: "suffix")
        }
        if let top = try fields.integer("logprobs") {
            let most = GenerationOptions.topLogProbabilitiesMax
            guard (0...most).contains(top) else {
                throw fields.wrong("logprobs", "from 0 to \(most)")
            }
            options.topLogProbabilities = top
            wishes.wantsLogProbabilities = true
        }
        let echoes = try fields.flag("echo")
        if echoes, wishes.wantsLogProbabilities { options.scoresPrompt = true }
        if let fault = options.fault {
            throw OpenAIError.invalid("'\(fault.field)' \(fault.message)", parameter: fault.field)
        }
        wishes.streams = try fields.flag("stream")
        if wishes.streams, options.bestOf ?? 1 > options.samples {
            throw OpenAIError.invalid(
                "'best_of' cannot be streamed: the best is known at the end", parameter: "best_of")
        }
        wishes.includesUsage = try fields.includesUsage()
        if echoes { wishes.echo = "" }
        let format = try fields.format()
        let requests = try prompts(fields).map { prompt in
            var request = GenerationRequest(
                model: wishes.model, prompt: prompt, options: options, format: format,
                context: context)
            if fields.value("add_special_tokens") != nil {
                request.addsSpecialTokens = try fields.flag("add_special_tokens")
            }
            request.truncatesPromptTo = try fields.integer("truncate_prompt_tokens")
            return request
        }
        return (requests, wishes)
    }

    /// A text, a list of texts, a list of tokens or a list of such lists.
    private static func prompts(
        _ fields: GenerationFields
    ) throws(OpenAIError) -> [GenerationRequest.Prompt] {
        let expected = "a string, a list of strings, a list of tokens or a list of such lists"
        guard let value = fields.value("prompt") else { throw EmbeddingCoding.missing("prompt") }
        if let text = value.stringValue { return [.text(text)] }
        guard let parts = value.arrayValue, !parts.isEmpty else {
            throw fields.wrong("prompt", expected)
        }
        if parts[0].intValue != nil { return [.tokens(try tokens(value, fields, expected))] }
        guard parts.count <= promptCountMax else {
            throw fields.wrong("prompt", "at most \(promptCountMax) prompts")
        }
        var prompts: [GenerationRequest.Prompt] = []
        for part in parts {
            if let text = part.stringValue {
                prompts.append(.text(text))
            } else {
                prompts.append(.tokens(try tokens(part, fields, expected)))
            }
        }
        return prompts
    }

    private static func tokens(
        _ value: JSONValue, _ fields: GenerationFields, _ expected: String
    ) throws(OpenAIError) -> [Int32] {
        let tokens = value.arrayValue?.compactMap { $0.intValue.flatMap(Int32.init(exactly:)) }
        guard let tokens, tokens.count == value.arrayValue?.count else {
            throw fields.wrong("prompt", expected)
        }
        return tokens
    }
}
