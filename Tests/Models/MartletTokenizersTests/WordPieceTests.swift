// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTokenizers
internal import Testing

@Suite("WordPiece")
struct WordPieceTests {
    private let tokenizer: Tokenizer

    init() throws {
        tokenizer = try TokenizerFiles.load(
            TokenizerFiles.wordPiece(vocabulary: TokenizerFiles.words))
    }

    @Test("Takes the longest token first and continues with prefixed ones")
    func longestFirst() throws {
        let encoding = try tokenizer.encode("Hello unbelievable world!")
        #expect(encoding.ids == [1, 3, 5, 6, 7, 4, 9, 2])
        #expect(encoding.typeIDs == Array(repeating: 0, count: 8))
        #expect(!encoding.isTruncated)
    }

    @Test("A word with an unknown part is unknown as a whole")
    func unknown() throws {
        #expect(try tokenizer.encode("unx").ids == [1, 0, 2])
        #expect(try tokenizer.encode("").ids == [1, 2])
    }

    @Test("Accents, case, ideographs and control characters are normalised")
    func normalization() throws {
        #expect(try tokenizer.encode("CAFÉ\u{0}").ids == [1, 10, 2])
        #expect(try tokenizer.encode("cafe\u{301}a漢a").ids == [1, 10, 8, 11, 12, 2])
    }

    @Test("Pairs get the second segment's type ids")
    func pairs() throws {
        let encoding = try tokenizer.encode("hello", pair: "world world")
        #expect(encoding.ids == [1, 3, 2, 4, 4, 2])
        #expect(encoding.typeIDs == [0, 0, 0, 1, 1, 1])
    }

    @Test("Truncation keeps the special tokens and says that it cut")
    func truncation() throws {
        let text = "hello world hello world"
        let right = try tokenizer.encode(text, truncation: Truncation(lengthMax: 4))
        #expect(right.ids == [1, 3, 4, 2])
        #expect(right.isTruncated)
        let left = try tokenizer.encode(
            "hello world !", truncation: Truncation(lengthMax: 4, side: .left))
        #expect(left.ids == [1, 4, 9, 2])
        let exact = try tokenizer.encode(text, truncation: Truncation(lengthMax: 6))
        #expect(exact.ids.count == 6)
        #expect(!exact.isTruncated)
        #expect(try tokenizer.encode(text, truncation: Truncation(lengthMax: 1)).ids == [1, 2])
    }

    @Test("Decoding joins continued words and drops special tokens when they are declared")
    func decoding() throws {
        #expect(try tokenizer.decode([3, 5, 6, 7, 9]) == "hello unbelievable!")
        #expect(throws: TokenizerError.self) { try tokenizer.decode([99]) }
    }

    @Test("Added tokens are found before the text is split")
    func addedTokens() throws {
        let added = """
            [{"id":13,"content":"<x>","special":true,"normalized":false,"lstrip":true},
            {"id":14,"content":"hello world","single_word":true,"normalized":true}]
            """
        let tokenizer = try TokenizerFiles.load(
            TokenizerFiles.wordPiece(vocabulary: TokenizerFiles.words, added: added))
        #expect(try tokenizer.encode("a   <x>a").ids == [1, 12, 13, 12, 2])
        #expect(try tokenizer.encode("HELLO world!").ids == [1, 14, 9, 2])
        #expect(try tokenizer.encode("hello worlda").ids == [1, 3, 4, 8, 2])
        #expect(try tokenizer.decode([3, 13, 4]) == "hello world")
        #expect(tokenizer.vocabularySize == 15)
        #expect(tokenizer.id(of: "<x>") == 13)
        #expect(tokenizer.content(of: 6) == "##believ")
    }

    @Test("Megabytes of one character take no time to speak of")
    func longRuns() throws {
        for text in ["a", "!", " ", "漢", "e\u{301}"] {
            let run = String(repeating: text, count: 3_000_000 / text.utf8.count)
            let encoding = try tokenizer.encode(run, truncation: Truncation(lengthMax: 512))
            #expect(encoding.count <= 512)
        }
    }

    @Test("A text over the limit is refused")
    func textLimit() throws {
        let tokenizer = try Tokenizer(
            parsing: Array(
                TokenizerFiles.wordPiece(vocabulary: TokenizerFiles.words).utf8),
            limits: TokenizerLimits(textBytesMax: 8))
        #expect(throws: TokenizerError.self) { try tokenizer.encode("hello wor") }
        #expect(try tokenizer.encode("hello wo").count == 4)
    }
}
