// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletJSON
internal import MartletStorage
internal import MartletTokenizers

/// A Hugging Face folder's tokenizer as a GGUF file's metadata: byte-level pairs only.
struct GGUFTokenizerExport {
    private let folder: String
    private let vocabularySize: Int
    private let file: JSONObject
    private let settings: JSONObject
    private let model: JSONObject

    init(folder: String, vocabularySize: Int) throws(LanguageError) {
        self.folder = folder
        self.vocabularySize = vocabularySize
        do {
            let bytes = try FileSystem.readAll(
                PathName.join(folder, "tokenizer.json"), limit: 256 << 20)
            file = try JSONValue(parsing: bytes).objectValue ?? JSONObject()
        } catch {
            throw LanguageError(.invalidFile, "\(folder)/tokenizer.json: \(error)", cause: error)
        }
        settings =
            try ConfigFile(optional: PathName.join(folder, "tokenizer_config.json"))?.object
            ?? JSONObject()
        model = try ConfigFile(path: PathName.join(folder, "config.json")).object
    }

    private func fail(_ message: String) -> LanguageError {
        LanguageError(.unsupported, "\(folder)/tokenizer.json: \(message)")
    }

    func add(to writer: inout GGUFWriter) throws(LanguageError) {
        guard let inner = file["model"], inner["type"] == "BPE" || inner["merges"] != nil,
            let vocabulary = inner["vocab"]?.objectValue, let merges = inner["merges"]?.arrayValue
        else { throw fail("only byte-level pairs can be written as GGUF") }
        var tokens = (0..<vocabularySize).map { "[PAD\($0)]" }
        // Numbers that no token has are kept out of answers.
        var kinds = Array(repeating: Int32(5), count: vocabularySize)
        func set(_ id: Int, _ content: String, _ kind: Int32) throws(LanguageError) {
            guard tokens.indices.contains(id) else {
                throw LanguageError(
                    .invalidFile,
                    "\(folder): the token \(id) is beyond the model's \(vocabularySize)")
            }
            tokens[id] = content
            kinds[id] = kind
        }
        for (content, value) in vocabulary { try set(value.intValue ?? -1, content, 1) }
        for added in file["added_tokens"]?.arrayValue ?? [] {
            let isSpecial = added["special"]?.boolValue ?? false
            try set(
                added["id"]?.intValue ?? -1, added["content"]?.stringValue ?? "",
                isSpecial ? 3 : 4)
        }
        writer.add("tokenizer.ggml.model", "gpt2")
        writer.add("tokenizer.ggml.pre", try preTokenizer())
        writer.add("tokenizer.ggml.tokens", tokens)
        writer.add("tokenizer.ggml.token_type", kinds)
        writer.add(
            "tokenizer.ggml.merges",
            merges.map { merge in
                merge.stringValue
                    ?? (merge.arrayValue ?? []).compactMap(\.stringValue).joined(separator: " ")
            })
        let ids = Dictionary(
            tokens.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        for (key, name) in [("bos", "bos"), ("eos", "eos"), ("padding", "pad")] {
            let named = settings["\(name)_token"]
            let text = named?.stringValue ?? named?["content"]?.stringValue
            let id =
                text.flatMap { ids[$0] } ?? model["\(name)_token_id"]?.intValue
                ?? model["\(name)_token_id"]?[0]?.intValue
            if let id, tokens.indices.contains(id) {
                writer.add("tokenizer.ggml.\(key)_token_id", id)
            }
        }
        writer.add("tokenizer.ggml.add_bos_token", try addsBeginning())
        let template = PathName.join(folder, "chat_template.jinja")
        if FileSystem.isRegularFile(template),
            let text = try? FileSystem.readText(template, limit: 1 << 20)
        {
            writer.add("tokenizer.chat_template", text)
        } else if let text = settings["chat_template"]?.stringValue {
            writer.add("tokenizer.chat_template", text)
        }
    }

    /// Whether a text gets a beginning: as the tokenizer does with an empty one.
    private func addsBeginning() throws(LanguageError) -> Bool {
        do {
            let tokenizer = try Tokenizer(
                parsing: try FileSystem.readAll(
                    PathName.join(folder, "tokenizer.json"), limit: 256 << 20))
            return try !tokenizer.encode("", addsSpecialTokens: true).ids.isEmpty
        } catch {
            throw LanguageError(.invalidFile, "\(folder)/tokenizer.json: \(error)", cause: error)
        }
    }

    /// llama.cpp's name for how texts are split into words.
    private func preTokenizer() throws(LanguageError) -> String {
        let outer = file["pre_tokenizer"] ?? .null
        let steps = outer["pretokenizers"]?.arrayValue ?? [outer]
        guard let last = steps.last, last["type"] == "ByteLevel",
            last["add_prefix_space"]?.boolValue != true
        else { throw fail("only byte-level pairs can be written as GGUF") }
        if steps.count == 1, last["use_regex"]?.boolValue != false { return "gpt-2" }
        let patterns = steps.dropLast().compactMap { $0["pattern"]?["Regex"]?.stringValue }
        if patterns.count == 1, steps.count == 2 {
            if patterns[0].contains(#"\p{N}{1,3}"#) { return "llama-bpe" }
            if patterns[0].contains(#"|\p{N}|"#) { return "qwen2" }
        }
        if steps.count == 2, steps[0]["type"] == "Digits",
            steps[0]["individual_digits"]?.boolValue == true
        {
            return "smollm"
        }
        throw fail("its way of splitting words has no name in GGUF")
    }
}
