// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletTokenizers

/// Small `tokenizer.json` texts for tests.
enum TokenizerFiles {
    static func wordPiece(
        vocabulary: [String], added: String = "[]", extra: String = ""
    ) -> String {
        let entries = vocabulary.enumerated().map { "\(JSONValue.string($1)):\($0)" }
        return """
            {"version":"1.0","added_tokens":\(added),\(extra)
            "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,
            "strip_accents":null,"lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},
            "post_processor":{"type":"TemplateProcessing",
            "single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
            {"SpecialToken":{"id":"[SEP]","type_id":0}}],
            "pair":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
            {"SpecialToken":{"id":"[SEP]","type_id":0}},{"Sequence":{"id":"B","type_id":1}},
            {"SpecialToken":{"id":"[SEP]","type_id":1}}],
            "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]},
            "[SEP]":{"id":"[SEP]","ids":[2],"tokens":["[SEP]"]}}},
            "decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
            "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
            "max_input_chars_per_word":100,"vocab":{\(entries.joined(separator: ","))}}}
            """
    }

    static let words = [
        "[UNK]", "[CLS]", "[SEP]", "hello", "world", "un", "##believ", "##able", "##a", "!", "cafe",
        "漢", "a",
    ]

    /// Byte-level BPE over all bytes with the given merges.
    static func byteLevel(merges: [(String, String)], model extra: String = "") -> String {
        var tokens: [String] = []
        for byte in UInt8.min...UInt8.max { tokens.append(spelling(byte)) }
        for (left, right) in merges where !tokens.contains(left + right) {
            tokens.append(left + right)
        }
        let entries = tokens.enumerated().map { "\(JSONValue.string($1)):\($0)" }
        let pairs = merges.map { "\(JSONValue.string("\($0) \($1)"))" }
        return """
            {"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
            "decoder":{"type":"ByteLevel"},
            "model":{"type":"BPE"\(extra),"vocab":{\(entries.joined(separator: ","))},
            "merges":[\(pairs.joined(separator: ","))]}}
            """
    }

    /// GPT-2's visible character for a byte, written out anew.
    static func spelling(_ byte: UInt8) -> String {
        let isVisible = { (byte: UInt8) in
            (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
        }
        if isVisible(byte) { return String(Character(Unicode.Scalar(byte))) }
        let place = (0..<byte).filter { !isVisible($0) }.count
        return Unicode.Scalar(UInt32(0x100 + place)).map { String(Character($0)) } ?? ""
    }

    static func load(_ text: String) throws -> Tokenizer {
        try Tokenizer(parsing: Array(text.utf8))
    }
}
