// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletFormats
internal import MartletJSON

extension Tokenizer {
    /// The tokenizer that a GGUF file's metadata describes: byte-level pairs (`gpt2`) or
    /// SentencePiece pairs (`llama`).
    /// - Throws: `TokenizerError`, naming the key.
    package convenience init(
        _ file: GGUFFile, limits: TokenizerLimits = TokenizerLimits()
    ) throws(TokenizerError) {
        try self.init(try TokenizerFile(gguf: file, limits: limits), limits: limits)
    }
}

extension TokenizerFile {
    /// Kinds of tokens, by the format's numbers.
    private enum TokenKind: Int {
        case normal = 1
        case unknown, control, userDefined, unused, byte
    }

    init(gguf file: GGUFFile, limits: TokenizerLimits) throws(TokenizerError) {
        self.init(limits: limits)
        let reader = GGUFTokenizerReader(file)
        let tokens = try reader.texts("tokens")
        guard tokens.count <= limits.vocabularySizeMax else {
            throw TokenizerError(
                .limitExceeded,
                "tokenizer.ggml.tokens: \(tokens.count) are more than the "
                    + "\(limits.vocabularySizeMax) allowed")
        }
        if let long = tokens.first(where: { $0.count > limits.tokenBytesMax }) {
            throw TokenizerError(
                .limitExceeded,
                "tokenizer.ggml.tokens: \(long.count) bytes are more than the "
                    + "\(limits.tokenBytesMax) allowed")
        }
        let kinds = try reader.integers("token_type", count: tokens.count)
        vocabulary = tokens.enumerated().map { ($1, $0) }
        modelSettings["type"] = field("model.type", "BPE")
        var added: [JSONValue] = []
        for (id, content) in tokens.enumerated() {
            let kind = kinds.isEmpty ? .normal : TokenKind(rawValue: kinds[id]) ?? .normal
            guard kind == .control || kind == .userDefined, !content.isEmpty, content.count <= 512
            else { continue }
            added.append([
                "id": .integer(Int64(id)),
                "content": .string(String(decoding: content, as: UTF8.self)),
                "special": .bool(kind == .control), "normalized": false,
            ])
        }
        parts["added_tokens"] = field("added_tokens", .array(added))
        switch reader.string("model") {
        case "gpt2": try setByteLevel(reader)
        case "llama": try setSentencePiece(reader, tokens, kinds)
        case let other:
            throw TokenizerError(
                .unsupported,
                "tokenizer.ggml.model: '\(other ?? "")' is not supported (gpt2 and llama are)")
        }
        setPostProcessor(reader, tokens)
    }

    private func field(_ path: String, _ value: JSONValue) -> Field {
        Field(path: path, value: value)
    }

    // MARK: Byte-level pairs

    private mutating func setByteLevel(_ reader: GGUFTokenizerReader) throws(TokenizerError) {
        merges = try reader.texts("merges").enumerated().map {
            (line, bytes) throws(TokenizerError) in
            let halves = bytes.split(separator: 0x20, omittingEmptySubsequences: false)
            guard halves.count == 2 else {
                throw TokenizerError(
                    .invalidFile, "tokenizer.ggml.merges[\(line)]: expected two tokens")
            }
            return (Array(halves[0]), Array(halves[1]))
        }
        let pre = reader.string("pre") ?? "default"
        guard let steps = TokenizerFile.preTokenizers[pre] else {
            throw TokenizerError(
                .unsupported, "tokenizer.ggml.pre: '\(pre)' is not supported")
        }
        var list: [JSONValue] = steps.map { pattern -> JSONValue in
            [
                "type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated",
                "invert": false,
            ]
        }
        list.append([
            "type": "ByteLevel", "add_prefix_space": false, "use_regex": .bool(steps.isEmpty),
        ])
        parts["pre_tokenizer"] = field(
            "pre_tokenizer", ["type": "Sequence", "pretokenizers": .array(list)])
        parts["decoder"] = field("decoder", ["type": "ByteLevel"])
        if pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3" {
            modelSettings["ignore_merges"] = field("model.ignore_merges", true)
        }
    }

    private static let gpt4Head = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"#
    private static let gpt4Tail =
        #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// How texts are split into words, by the names that converters write; an empty list is
    /// GPT-2's.
    private static let preTokenizers: [String: [String]] = [
        "default": [], "gpt-2": [], "gpt2": [], "mpt": [], "olmo": [], "phi-2": [], "jina-es": [],
        "jina-de": [], "roberta-bpe": [],
        "llama-bpe": [gpt4Head + "{1,3}" + gpt4Tail], "llama3": [gpt4Head + "{1,3}" + gpt4Tail],
        "llama-v3": [gpt4Head + "{1,3}" + gpt4Tail],
        "qwen2": [gpt4Head + gpt4Tail], "stablelm2": [gpt4Head + gpt4Tail],
        "deepseek-r1-qwen": [gpt4Head + gpt4Tail],
        "smollm": [#"\p{N}"#], "starcoder": [#"\p{N}"#], "refact": [#"\p{N}"#],
        "command-r": [#"\p{N}"#],
    ]

    // MARK: SentencePiece pairs

    private mutating func setSentencePiece(
        _ reader: GGUFTokenizerReader, _ tokens: [[UInt8]], _ kinds: [Int]
    ) throws(TokenizerError) {
        let scores = try reader.numbers("scores", count: tokens.count)
        merges = TokenizerFile.merges(tokens, scores, kinds)
        modelSettings["byte_fallback"] = field("model.byte_fallback", true)
        modelSettings["fuse_unk"] = field("model.fuse_unk", true)
        if let unknown = reader.integer("unknown_token_id"), tokens.indices.contains(unknown) {
            modelSettings["unk_token"] = field(
                "model.unk_token", .string(String(decoding: tokens[unknown], as: UTF8.self)))
        }
        let space: JSONValue = ["type": "Replace", "pattern": ["String": " "], "content": "▁"]
        let addsPrefix = reader.bool("add_space_prefix") ?? true
        let steps: [JSONValue] =
            addsPrefix ? [["type": "Prepend", "prepend": "▁"], space] : [space]
        parts["normalizer"] = field(
            "normalizer", ["type": "Sequence", "normalizers": .array(steps)])
        var decoders: [JSONValue] = [
            ["type": "Replace", "pattern": ["String": "▁"], "content": " "],
            ["type": "ByteFallback"], ["type": "Fuse"],
        ]
        if addsPrefix {
            decoders.append(["type": "Strip", "content": " ", "start": 1, "stop": 0])
        }
        parts["decoder"] = field(
            "decoder", ["type": "Sequence", "decoders": .array(decoders)])
    }

    /// The pairs that a vocabulary with scores stands for: every way to make a token of two, the
    /// tokens of higher scores first.
    private static func merges(
        _ tokens: [[UInt8]], _ scores: [Double], _ kinds: [Int]
    ) -> [(left: [UInt8], right: [UInt8])] {
        var ids: [[UInt8]: Int] = [:]
        ids.reserveCapacity(tokens.count)
        for (id, token) in tokens.enumerated() {
            let kind = kinds.isEmpty ? .normal : TokenKind(rawValue: kinds[id]) ?? .normal
            if kind == .normal || kind == .userDefined { ids[token] = id }
        }
        var pairs: [(score: Double, whole: Int, left: Int, right: Int)] = []
        for (token, whole) in ids where token.count > 1 {
            // At characters' borders only: the parts are texts.
            for cut in 1..<token.count where token[cut] & 0xC0 != 0x80 {
                guard let left = ids[Array(token[..<cut])], let right = ids[Array(token[cut...])]
                else { continue }
                pairs.append((scores[whole], whole, left, right))
            }
        }
        pairs.sort {
            if $0.score != $1.score { return $0.score > $1.score }
            return ($0.whole, $0.left, $0.right) < ($1.whole, $1.left, $1.right)
        }
        return pairs.map { (tokens[$0.left], tokens[$0.right]) }
    }

    // MARK: Tokens around a text

    private mutating func setPostProcessor(
        _ reader: GGUFTokenizerReader, _ tokens: [[UInt8]]
    ) {
        let isSentencePiece = reader.string("model") == "llama"
        let begins = reader.bool("add_bos_token") ?? isSentencePiece
        let ends = reader.bool("add_eos_token") ?? false
        func token(_ key: String, _ isWanted: Bool) -> (name: String, id: Int)? {
            guard isWanted, let id = reader.integer(key), tokens.indices.contains(id) else {
                return nil
            }
            return (String(decoding: tokens[id], as: UTF8.self), id)
        }
        let first = token("bos_token_id", begins)
        let last = token("eos_token_id", ends)
        guard first != nil || last != nil else { return }
        func special(_ name: String) -> JSONValue {
            ["SpecialToken": ["id": .string(name), "type_id": 0]]
        }
        func text(_ name: String) -> JSONValue {
            ["Sequence": ["id": .string(name), "type_id": 0]]
        }
        func around(_ items: [JSONValue]) -> [JSONValue] {
            (first.map { [special($0.name)] } ?? []) + items
                + (last.map { [special($0.name)] } ?? [])
        }
        var specials = JSONObject()
        for found in [first, last].compactMap(\.self) {
            specials[found.name] = [
                "id": .string(found.name), "ids": [.integer(Int64(found.id))],
                "tokens": [.string(found.name)],
            ]
        }
        parts["post_processor"] = field(
            "post_processor",
            [
                "type": "TemplateProcessing", "single": .array(around([text("A")])),
                "pair": .array(around([text("A")]) + around([text("B")])),
                "special_tokens": .object(specials),
            ])
    }
}

/// The `tokenizer.ggml.` keys of a file.
struct GGUFTokenizerReader {
    private let file: GGUFFile

    init(_ file: GGUFFile) { self.file = file }

    private func value(_ key: String) -> GGUFValue? { file.metadata["tokenizer.ggml." + key] }

    func string(_ key: String) -> String? { value(key)?.string }
    func integer(_ key: String) -> Int? { value(key)?.int }
    func bool(_ key: String) -> Bool? { value(key)?.bool }

    func texts(_ key: String) throws(TokenizerError) -> [[UInt8]] {
        guard let texts = value(key)?.array?.texts() else {
            throw TokenizerError(.invalidFile, "tokenizer.ggml.\(key): expected a list of texts")
        }
        return texts
    }

    /// Empty when the key is absent.
    func integers(_ key: String, count: Int) throws(TokenizerError) -> [Int] {
        guard let value = value(key) else { return [] }
        guard let numbers = value.array?.integers(), numbers.count == count else {
            throw TokenizerError(
                .invalidFile, "tokenizer.ggml.\(key): expected \(count) whole numbers")
        }
        return numbers
    }

    func numbers(_ key: String, count: Int) throws(TokenizerError) -> [Double] {
        guard let numbers = value(key)?.array?.numbers(), numbers.count == count,
            numbers.allSatisfy(\.isFinite)
        else {
            throw TokenizerError(
                .invalidFile, "tokenizer.ggml.\(key): expected \(count) finite numbers")
        }
        return numbers
    }
}
