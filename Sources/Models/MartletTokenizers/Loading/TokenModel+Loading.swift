// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

extension TokenModel {
    /// The model of a `tokenizer.json`.
    init(_ file: TokenizerFile, isByteLevel: Bool) throws(TokenizerError) {
        switch try TokenModel.kind(of: file) {
        case "WordPiece": self = .wordPiece(try WordPiece(file))
        case "BPE": self = .bytePairEncoding(try BytePairEncoding(file, isByteLevel: isByteLevel))
        case "Unigram": self = .unigram(try Unigram(file))
        case "WordLevel": self = .wordLevel(try WordLevel(file))
        case let other:
            throw TokenizerError(.unsupported, "model.type: \(other) is not supported")
        }
    }

    /// The model's type; older files leave it out.
    private static func kind(of file: TokenizerFile) throws(TokenizerError) -> String {
        if let type = file.modelSettings["type"], !type.isNull { return try type.string() }
        if file.merges != nil { return "BPE" }
        if file.scores != nil { return "Unigram" }
        if file.modelSettings["max_input_chars_per_word"] != nil { return "WordPiece" }
        return "WordLevel"
    }

    var vocabulary: Vocabulary {
        switch self {
        case .wordPiece(let model): model.vocabulary
        case .bytePairEncoding(let model): model.vocabulary
        case .unigram(let model): model.vocabulary
        case .wordLevel(let model): model.vocabulary
        }
    }
}

extension TokenizerFile {
    func setting(_ name: String) -> Field? {
        guard let field = modelSettings[name], !field.isNull else { return nil }
        return field
    }

    func flag(_ name: String) throws(TokenizerError) -> Bool {
        guard let field = setting(name) else { return false }
        return try field.bool()
    }

    /// The id of the token that a setting names.
    func tokenID(_ name: String, in vocabulary: Vocabulary) throws(TokenizerError) -> Int32? {
        guard let field = setting(name) else { return nil }
        guard let id = vocabulary.id(of: try field.bytes()) else {
            throw TokenizerError(
                .invalidFile, "model.\(name): \(try field.string()) is not in the vocabulary")
        }
        return id
    }

    func plainVocabulary() throws(TokenizerError) -> Vocabulary {
        guard !vocabulary.isEmpty else {
            throw TokenizerError(.invalidFile, "model.vocab: missing or empty")
        }
        return Vocabulary(vocabulary.map { ($0.content, $0.id, true) })
    }
}

extension WordPiece {
    init(_ file: TokenizerFile) throws(TokenizerError) {
        let vocabulary = try file.plainVocabulary()
        let unknown: [UInt8] = try file.setting("unk_token")?.bytes() ?? Array("[UNK]".utf8)
        guard let unknownID = vocabulary.id(of: unknown) else {
            throw TokenizerError(
                .invalidFile,
                "model.unk_token: \(String(decoding: unknown, as: UTF8.self)) is not in the "
                    + "vocabulary")
        }
        self.init(
            vocabulary: vocabulary,
            continuingPrefix: try file.setting("continuing_subword_prefix")?.bytes()
                ?? Array("##".utf8),
            unknownID: unknownID,
            wordScalarsMax: try file.setting("max_input_chars_per_word")?.integer(in: 1...10_000)
                ?? 100)
    }
}

extension WordLevel {
    init(_ file: TokenizerFile) throws(TokenizerError) {
        vocabulary = try file.plainVocabulary()
        unknownID = vocabulary.id(of: try file.setting("unk_token")?.bytes() ?? [])
    }
}

extension Unigram {
    init(_ file: TokenizerFile) throws(TokenizerError) {
        guard let scores = file.scores else {
            throw TokenizerError(.invalidFile, "model.vocab: expected tokens with scores")
        }
        if let index = scores.firstIndex(where: { !$0.isFinite }) {
            throw TokenizerError(.invalidFile, "model.vocab[\(index)]: the score is not finite")
        }
        let vocabulary = try file.plainVocabulary()
        let unknownID = try file.setting("unk_id")?.integer(in: 0...max(vocabulary.count - 1, 0))
        self.init(
            vocabulary: vocabulary, scores: scores, unknownID: unknownID.map { Int32($0) },
            fallsBackToBytes: try file.flag("byte_fallback"))
    }
}

extension BytePairEncoding {
    init(_ file: TokenizerFile, isByteLevel: Bool) throws(TokenizerError) {
        if let dropout = file.setting("dropout"), dropout.value.doubleValue != 0 {
            throw dropout.unsupported("dropout")
        }
        guard !file.vocabulary.isEmpty else {
            throw TokenizerError(.invalidFile, "model.vocab: missing or empty")
        }
        let spelled = try file.plainVocabulary()
        var settings = Settings()
        settings.isByteLevel = isByteLevel
        settings.unknownID = try file.tokenID("unk_token", in: spelled)
        settings.fusesUnknown = try file.flag("fuse_unk")
        settings.fallsBackToBytes = try file.flag("byte_fallback")
        settings.ignoresMerges = try file.flag("ignore_merges")
        settings.continuingPrefix = try file.setting("continuing_subword_prefix")?.bytes() ?? []
        settings.endOfWordSuffix = try file.setting("end_of_word_suffix")?.bytes() ?? []
        let merges = try BytePairEncoding.merges(
            file.merges ?? [], prefix: settings.continuingPrefix, spelled)
        guard isByteLevel else {
            self.init(vocabulary: spelled, merges: merges, settings: settings)
            return
        }
        // Words stay bytes, so the tokens are read as the bytes they spell. What spells none
        // (a token with a space, say) can never come out of merges.
        let tokens = file.vocabulary.map { token in
            let bytes = ByteLevelAlphabet.bytes(of: token.content.span)
            return (content: bytes ?? token.content, id: token.id, isIndexed: bytes != nil)
        }
        self.init(vocabulary: Vocabulary(tokens), merges: merges, settings: settings)
    }

    private static func merges(
        _ merges: [(left: [UInt8], right: [UInt8])], prefix: [UInt8], _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> MergeTable {
        var table: [(left: Int32, right: Int32, merged: Int32)] = []
        table.reserveCapacity(merges.count)
        for (index, merge) in merges.enumerated() {
            guard let left = vocabulary.id(of: merge.left) else {
                throw unknownToken(merge.left, index)
            }
            guard let right = vocabulary.id(of: merge.right) else {
                throw unknownToken(merge.right, index)
            }
            var joined = merge.left
            joined.append(
                contentsOf: merge.right.starts(with: prefix)
                    ? merge.right.dropFirst(prefix.count) : merge.right[...])
            guard let merged = vocabulary.id(of: joined) else {
                throw unknownToken(joined, index)
            }
            table.append((left, right, merged))
        }
        return MergeTable(table)
    }

    private static func unknownToken(_ content: [UInt8], _ index: Int) -> TokenizerError {
        TokenizerError(
            .invalidFile,
            "model.merges[\(index)]: \(String(decoding: content.prefix(64), as: UTF8.self)) is "
                + "not in the vocabulary")
    }
}
