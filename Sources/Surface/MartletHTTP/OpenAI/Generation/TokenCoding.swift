// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import MartletTokenizers
internal import ServiceContextModule

/// `/tokenize` and `/detokenize`, as vLLM has them.
enum TokenCoding {
    private static let tokenCountMax = 1 << 20

    static func tokenize(
        _ fields: GenerationFields, _ language: LanguageText, context: ServiceContext
    ) throws -> [UInt8] {
        var addsSpecialTokens = true
        let text: String
        if let prompt = try fields.string("prompt") {
            text = prompt
        } else if fields.value("messages") != nil {
            guard
                case .chat(let chat) = try ChatRequestCoding.decode(
                    fields, language, context: context
                ).0.prompt
            else { throw EmbeddingCoding.missing("prompt") }
            var now = timespec()
            unsafe clock_gettime(CLOCK_REALTIME, &now)
            text = try language.render(chat, wallSeconds: Int64(now.tv_sec))
            addsSpecialTokens = false
        } else {
            throw EmbeddingCoding.missing("prompt")
        }
        if fields.value("add_special_tokens") != nil {
            addsSpecialTokens = try fields.flag("add_special_tokens")
        }
        let tokens = try language.tokens(text, addsSpecialTokens: addsSpecialTokens)
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("count")
        writer.integer(tokens.count)
        writer.key("max_model_len")
        writer.integer(language.contextLength)
        writer.key("tokens")
        writer.beginArray()
        for token in tokens { writer.integer(Int(token)) }
        writer.endArray()
        if try fields.flag("return_token_strs") {
            writer.key("token_strs")
            writer.beginArray()
            for token in tokens { writer.string(language.tokenizer.content(of: Int(token)) ?? "") }
            writer.endArray()
        }
        writer.endObject()
        return writer.bytes
    }

    static func detokenize(
        _ fields: GenerationFields, _ language: LanguageText
    ) throws -> [UInt8] {
        guard let values = try fields.list("tokens") else {
            throw EmbeddingCoding.missing("tokens")
        }
        let tokens = values.compactMap { $0.intValue.flatMap(Int32.init(exactly:)) }
        guard tokens.count == values.count, tokens.count <= tokenCountMax else {
            throw fields.wrong("tokens", "a list of at most \(tokenCountMax) whole numbers")
        }
        let limit = language.tokenizer.vocabularySize
        if let token = tokens.first(where: { $0 < 0 || $0 >= limit }) {
            throw OpenAIError.invalid(
                "'tokens' has \(token), which is not from 0 to \(limit - 1)", parameter: "tokens")
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("prompt")
        writer.string(text(tokens, language))
        writer.endObject()
        return writer.bytes
    }

    static func text(_ tokens: [Int32], _ language: LanguageText) -> String {
        var detokenizer = StreamingDetokenizer(
            language.tokenizer, skipsSpecialTokens: false, continuesText: false)
        var text = ""
        for token in tokens { text += detokenizer.append(token) }
        return text + detokenizer.finish()
    }
}
