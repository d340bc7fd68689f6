// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletTokenizers

/// A byte-level tokenizer: a token each byte, and three special ones.
package enum TinyTokenizer {
    /// Ids 0 to 255 are the bytes.
    package static let endOfText: Int32 = 256
    package static let turnStart: Int32 = 257
    package static let turnEnd: Int32 = 258
    package static let vocabularySize = 259

    package static func make() throws -> Tokenizer { try Tokenizer(parsing: Array(json.utf8)) }

    /// The letters and the space.
    package static let letters = Set((97...122).map { Int32($0) } + [32])

    package static var json: String {
        let vocabulary = (0..<256).map { byte -> String in
            let scalar = spelling(byte)
            let name = scalar == "\"" || scalar == "\\" ? "\\\(scalar)" : String(scalar)
            return "\"\(name)\":\(byte)"
        }
        let specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].enumerated().map {
            #"{"id":\#(256 + $0),"content":"\#($1)","special":true,"single_word":false,"#
                + #""lstrip":false,"rstrip":false,"normalized":false}"#
        }
        return """
            {"added_tokens":[\(specials.joined(separator: ","))],"normalizer":null,
            "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},
            "post_processor":null,"decoder":{"type":"ByteLevel"},
            "model":{"type":"BPE","vocab":{\(vocabulary.joined(separator: ","))},"merges":[]}}
            """
    }

    /// GPT-2's printable stand-in of a byte.
    private static func spelling(_ byte: Int) -> Unicode.Scalar {
        let printable = [33...126, 161...172, 174...255]
        if printable.contains(where: { $0.contains(byte) }) {
            return Unicode.Scalar(UInt32(byte)) ?? " "
        }
        let before = (0..<byte).count { other in !printable.contains { $0.contains(other) } }
        return Unicode.Scalar(UInt32(256 + before)) ?? " "
    }
}
