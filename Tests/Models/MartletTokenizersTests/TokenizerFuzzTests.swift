// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTesting
internal import MartletTokenizers
internal import Testing

@Suite("Tokenizer fuzz")
struct TokenizerFuzzTests {
    private static let seeds = [
        TokenizerFiles.wordPiece(
            vocabulary: TokenizerFiles.words,
            added: #"[{"id":20,"content":"<mask>","special":true,"lstrip":true}]"#),
        TokenizerFiles.byteLevel(merges: [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("Ã", "©")]),
        #"{"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","#
            + #""pattern":{"Regex":" {2,}"},"content":" "},{"type":"Lowercase"}]},"#
            + #""pre_tokenizer":{"type":"Metaspace","replacement":"▁","add_prefix_space":true},"#
            + #""model":{"type":"BPE","vocab":{"a":0,"▁":1,"▁a":2},"merges":[["▁","a"]]}}"#,
    ].map { Array($0.utf8) }

    @Test("no tokenizer file crashes the reader, and what is read tokenizes any text")
    func files() {
        let texts = ["hello unbelievable wörld 漢字 <mask> a  b", "", "the café\u{301}\t's 12"]
        fuzz("tokenizer.json", seeds: TokenizerFuzzTests.seeds) { bytes in
            let tokenizer = try Tokenizer(parsing: bytes)
            for text in texts {
                let ids = try tokenizer.encode(
                    text, pair: "a!", truncation: Truncation(lengthMax: 8)
                ).ids
                for id in ids { #expect(Int(id) < tokenizer.vocabularySize) }
                _ = try tokenizer.decode(ids)
            }
        }
    }

    @Test("any bytes are tokenized and come back from a byte-level vocabulary")
    func texts() throws {
        let tokenizer = try TokenizerFiles.load(
            TokenizerFiles.byteLevel(merges: [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("Ã", "©")]))
        let seeds = ["the café  the\n\tthe", "漢字 👩‍👩‍👧 don't", "1234 x9 'll"].map { Array($0.utf8) }
        fuzz("text", seeds: seeds) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            let back = try tokenizer.decode(try tokenizer.encode(text).ids)
            #expect(back.utf8.elementsEqual(text.utf8), "\(bytes)")
        }
    }
}
