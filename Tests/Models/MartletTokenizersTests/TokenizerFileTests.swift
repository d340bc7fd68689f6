// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletTokenizers
internal import Testing

@Suite("tokenizer.json")
struct TokenizerFileTests {
    private static let sound = TokenizerFiles.wordPiece(vocabulary: TokenizerFiles.words)

    private func message(_ text: String) -> String {
        do {
            _ = try TokenizerFiles.load(text)
            return "no error"
        } catch {
            return "\(error)"
        }
    }

    /// Makes every letter a eight.
    private static let doubling =
        #"{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaa"}"#

    @Test(
        "Errors name the field",
        arguments: [
            (#"{"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}}"#, "model.merges[0]"),
            (
                #"{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a","b"]]}}"#,
                "model.merges[0]: b"
            ),
            (#"{"model":{"type":"BPE","vocab":{"a":0},"merges":["a a"]}}"#, "model.merges[0]: aa"),
            (#"{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}"#, #"model.vocab["a"]"#),
            (#"{"model":{"type":"BPE","vocab":{"a":999999999999},"merges":[]}}"#, "the id"),
            (#"{"model":{"type":"BPE","vocab":{"a":1.5},"merges":[]}}"#, "tokenizer.json"),
            (#"{"model":{"type":"BPE","vocab":7,"merges":[]}}"#, "model.vocab: expected"),
            (#"{"model":{"type":"BPE","vocab":{"a":0},"merges":7}}"#, "model.merges: expected"),
            (#"{"model":{"type":"WordPiece","vocab":{"a":0}}}"#, "model.unk_token"),
            (#"{"model":{"type":"Unigram","vocab":[["a"]]}}"#, "model.vocab[0]"),
            (#"{"model":{"type":"Magic","vocab":{"a":0}}}"#, "model.type: Magic"),
            (#"{"model":[]}"#, "model: expected an object"),
            (#"{}"#, "model: missing"),
            (#"[]"#, "tokenizer.json"),
            ("", "tokenizer.json"),
            (
                #"{"model":{"type":"WordLevel","vocab":{"a":0}},"normalizer":{"type":"Nmt"}}"#,
                "normalizer: the normalizer Nmt"
            ),
            (
                #"{"model":{"type":"WordLevel","vocab":{"a":0}},"normalizer":{"type":7}}"#,
                "normalizer.type: expected a string"
            ),
            (
                #"{"model":{"type":"WordLevel","vocab":{"a":0}},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+b"}}}"#,
                "pre_tokenizer.pattern.Regex"
            ),
            (
                #"{"model":{"type":"WordLevel","vocab":{"a":0}},"added_tokens":[{"id":1}]}"#,
                "added_tokens[0].content: missing"
            ),
            (
                #"{"model":{"type":"WordLevel","vocab":{"a":0}},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":0}}],"pair":[]}}"#,
                "post_processor.single[0].SpecialToken.id"
            ),
            (
                #"{"model":{"type":"WordLevel","vocab":{"a":0}},"pre_tokenizer":{"type":"CharDelimiterSplit","delimiter":""}}"#,
                "pre_tokenizer.delimiter: must not be empty"
            ),
            (
                #"{"model":{"type":"WordLevel","vocab":{"a":0}},"normalizer":{"type":"Sequence","normalizers":[\#(doubling),\#(doubling),\#(doubling)]}}"#,
                "normalizer: its replacements make a text 512 times as long"
            ),
        ])
    func errors(text: String, expected: String) {
        let found = message(text)
        #expect(found.contains(expected), "\(found)")
    }

    @Test("Two spellings of an accented letter are two tokens")
    func canonicallyEqualTokens() throws {
        let tokenizer = try TokenizerFiles.load(
            #"{"model":{"type":"WordLevel","vocab":{"\u00e9":0,"e\u0301":1},"unk_token":"?"},"#
                + #""pre_tokenizer":{"type":"WhitespaceSplit"}}"#)
        #expect(try tokenizer.encode("\u{e9} e\u{301}").ids == [0, 1])
    }

    @Test("A truncated file is an error at every length")
    func truncation() {
        let bytes = Array(Self.sound.utf8)
        for count in stride(from: 0, to: bytes.count - 1, by: 7) {
            #expect(throws: TokenizerError.self) {
                try Tokenizer(parsing: Array(bytes.prefix(count)))
            }
        }
    }

    @Test("Changed bytes give an error or a tokenizer that works", arguments: [UInt64(1), 2, 3])
    func mutation(seed: UInt64) {
        let files = [
            Self.sound, TokenizerFiles.byteLevel(merges: [("a", "a"), ("aa", "aa"), ("a", "b")]),
        ].map { Array($0.utf8) }
        var random = SeededRandom(seed: seed)
        for round in 0..<600 {
            var bytes = files[round % files.count]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                default:
                    bytes.insert(bytes[Int.random(in: 0..<bytes.count, using: &random)], at: place)
                }
            }
            guard let tokenizer = try? Tokenizer(parsing: bytes) else { continue }
            let encoding = try? tokenizer.encode("hello unbelievable caf\u{e9} aab", pair: "a b")
            if let encoding { _ = try? tokenizer.decode(encoding.ids) }
        }
    }

    @Test("Files over the limits are refused")
    func limits() {
        let bytes = Array(Self.sound.utf8)
        #expect(throws: TokenizerError.self) {
            try Tokenizer(parsing: bytes, limits: TokenizerLimits(fileBytesMax: bytes.count - 1))
        }
        #expect(throws: TokenizerError.self) {
            try Tokenizer(parsing: bytes, limits: TokenizerLimits(vocabularySizeMax: 5))
        }
        #expect(throws: TokenizerError.self) {
            try Tokenizer(parsing: bytes, limits: TokenizerLimits(tokenBytesMax: 4))
        }
    }

    @Test("Truncation and padding settings are read")
    func settings() throws {
        let tokenizer = try TokenizerFiles.load(
            TokenizerFiles.wordPiece(
                vocabulary: TokenizerFiles.words,
                extra: """
                    "truncation":{"max_length":128,"strategy":"LongestFirst","stride":0,
                    "direction":"Left"},"padding":{"strategy":{"Fixed":64},"direction":"Right",
                    "pad_to_multiple_of":8,"pad_id":3,"pad_type_id":1,"pad_token":"[PAD]"},
                    """))
        #expect(tokenizer.truncation == Truncation(lengthMax: 128, side: .left))
        #expect(tokenizer.padding == Padding(id: 3, typeID: 1, length: 64, multiple: 8))
    }
}
