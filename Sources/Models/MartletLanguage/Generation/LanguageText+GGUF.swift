// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletFormats
internal import MartletJSON
internal import MartletTokenizers

extension LanguageText {
    /// Reads what a GGUF file's metadata says of text.
    /// - Throws: `LanguageError` naming the key.
    package init(_ file: GGUFFile, path: String, contextLength: Int) throws(LanguageError) {
        let tokenizer: Tokenizer
        do throws(TokenizerError) {
            tokenizer = try Tokenizer(file)
        } catch {
            let code: LanguageError.Code = error.code == .unsupported ? .unsupported : .invalidFile
            throw LanguageError(code, "'\(path)': \(error.message)", cause: error)
        }
        var special = JSONObject()
        var ends: Set<Int32> = []
        for name in ["bos", "eos", "unknown", "padding"] {
            guard let id = file.metadata["tokenizer.ggml.\(name)_token_id"]?.int,
                let content = tokenizer.content(of: id)
            else { continue }
            let short = name == "unknown" ? "unk" : name == "padding" ? "pad" : name
            special["\(short)_token"] = .string(content)
            if name == "eos", let id = Int32(exactly: id) { ends.insert(id) }
        }
        for key in ["eot", "eom"] {
            if let id = file.metadata["tokenizer.ggml.\(key)_token_id"]?.int,
                let end = Int32(exactly: id)
            {
                ends.insert(end)
            }
        }
        ends.formUnion(LanguageText.turnEnds(of: tokenizer))
        var templates: [String: ChatTemplate] = [:]
        if let source = file.metadata["tokenizer.chat_template"]?.string {
            do throws(TemplateError) {
                templates[""] = try ChatTemplate(source)
            } catch {
                throw LanguageError(.unsupported, "'\(path)': \(error)", cause: error)
            }
        }
        self.init(
            tokenizer: tokenizer, templates: templates, specialTokens: special, endTokens: ends,
            contextLength: contextLength)
    }
}
