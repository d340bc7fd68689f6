// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletJSON
internal import MartletTesting
internal import MartletTokenizers
internal import Testing

@Suite("Streaming detokeniser")
struct StreamingDetokenizerTests {
    @Test("never hands out half a character, and all of it in the end")
    func characters() throws {
        let tokenizer = try TinyTokenizer.make()
        var random = SeededRandom(seed: 3)
        let alphabet = Array("aé日🎉 \n\u{301}👩‍👩‍👧".unicodeScalars)
        for _ in 0..<200 {
            var text = String.UnicodeScalarView()
            for _ in 0..<12 { text.append(alphabet.randomElement(using: &random) ?? "a") }
            var bytes = Array(String(text).utf8)
            // Now and then a broken byte.
            if Bool.random(using: &random) {
                bytes.insert(UInt8.random(in: 128...255, using: &random), at: bytes.count / 2)
            }
            var detokenizer = StreamingDetokenizer(tokenizer)
            var out = ""
            for byte in bytes {
                let piece = detokenizer.append(Int32(byte))
                if bytes == Array(String(text).utf8) {
                    #expect(!piece.unicodeScalars.contains("\u{FFFD}"))
                }
                out += piece
            }
            out += detokenizer.finish()
            #expect(Array(out.utf8) == Array(String(decoding: bytes, as: UTF8.self).utf8))
        }
    }

    @Test("leaves special tokens out, unless told otherwise")
    func specials() throws {
        let tokenizer = try TinyTokenizer.make()
        var plain = StreamingDetokenizer(tokenizer)
        #expect(plain.append(TinyTokenizer.turnStart) + plain.append(97) == "a")
        var all = StreamingDetokenizer(tokenizer, skipsSpecialTokens: false)
        #expect(all.append(TinyTokenizer.turnStart) == "<|im_start|>")
        #expect(all.append(99_999).isEmpty)
        #expect(all.append(-1).isEmpty)
    }

    @Test("SentencePiece pieces: spaces, bytes, and the first space")
    func pieces() throws {
        let json = #"""
            {"added_tokens":[],"normalizer":null,"pre_tokenizer":null,"post_processor":null,
            "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},
            "content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ",
            "start":1,"stop":0}]},"model":{"type":"BPE","byte_fallback":true,"merges":[],"vocab":
            {"▁Hello":0,"▁world":1,"<0xC3>":2,"<0xA9>":3,"!":4}}}
            """#
        let tokenizer = try Tokenizer(parsing: Array(json.utf8))
        func text(_ tokens: [Int32], continues: Bool = false) -> String {
            var detokenizer = StreamingDetokenizer(tokenizer, continuesText: continues)
            return tokens.map { detokenizer.append($0) }.joined() + detokenizer.finish()
        }
        #expect(text([0, 1, 4]) == "Hello world!")
        #expect(text([0, 1, 4], continues: true) == " Hello world!")
        #expect(text([0, 2, 3]) == "Helloé")
        #expect(text([0, 2]) == "Hello\u{FFFD}")
        #expect(try tokenizer.decode([0, 1, 4]) == text([0, 1, 4]))
    }
}
