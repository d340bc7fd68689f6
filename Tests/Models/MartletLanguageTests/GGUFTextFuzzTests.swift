// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletJSON
internal import MartletLanguage
internal import MartletTesting
internal import MartletTokenizers
internal import Testing

@Suite("GGUF text fuzz")
struct GGUFTextFuzzTests {
    /// A file of a tokenizer and no tensors.
    private static func file(
        _ model: String, _ tokens: [String], _ kinds: [Int32],
        _ more: (inout GGUFWriter) -> Void
    ) -> [UInt8] {
        var writer = GGUFWriter()
        writer.add("general.architecture", "llama")
        writer.add("tokenizer.ggml.model", model)
        writer.add("tokenizer.ggml.tokens", tokens)
        writer.add("tokenizer.ggml.token_type", kinds)
        writer.add("tokenizer.ggml.bos_token_id", 1)
        writer.add("tokenizer.ggml.eos_token_id", 2)
        writer.add("tokenizer.ggml.add_bos_token", true)
        writer.add("tokenizer.chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}")
        more(&writer)
        return writer.header
    }

    private static let seeds = [
        file("gpt2", ["<u>", "<s>", "</s>", "a", "b", "Ġ", "ab", "Ġa"], [2, 3, 3, 1, 1, 1, 1, 1]) {
            $0.add("tokenizer.ggml.pre", "qwen2")
            $0.add("tokenizer.ggml.merges", ["a b", "Ġ a"])
        },
        file("gpt2", ["<u>", "<s>", "</s>", "é", "t", "ét"], [2, 3, 4, 1, 1, 1]) {
            $0.add("tokenizer.ggml.pre", "llama-bpe")
            $0.add("tokenizer.ggml.merges", ["é t"])
        },
    ]

    @Test("what a file says of text is read or refused, and what is read tokenizes any text")
    func files() throws {
        let whole = try Self.seeds.map { try Self.text($0) }
        #expect(whole[0].tokenizer.vocabularySize == 8)
        let texts = ["ab a b <s> é\u{301} 漢字 12345 don't", "", "  \n\t "]
        fuzz("GGUF text", seeds: Self.seeds, sizeMax: 8192) { bytes in
            let text = try Self.text(bytes)
            for line in texts {
                let tokens = try text.tokens(line, addsSpecialTokens: true)
                for token in tokens {
                    #expect(token >= 0 && Int(token) < text.tokenizer.vocabularySize)
                    _ = text.bytes(of: token)
                }
            }
            _ = try text.render(
                ChatPrompt(messages: [["role": "user", "content": "x"]]), wallSeconds: 0)
        }
    }

    private static func text(_ bytes: [UInt8]) throws -> LanguageText {
        try LanguageText(
            try GGUFFile(ByteRegion(copying: bytes)), path: "fuzz.gguf", contextLength: 64)
    }
}
