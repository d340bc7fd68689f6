// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// What `tokenizer.json` says, its vocabulary and merges pulled out as bytes.
///
/// Token contents are compared as bytes: as `String` keys, two spellings of one accented letter
/// would be one token.
struct TokenizerFile {
    var parts: [String: Field] = [:]
    var modelSettings: [String: Field] = [:]
    var vocabulary: [(content: [UInt8], id: Int)] = []
    /// A unigram model's scores, by id.
    var scores: [Double]?
    var merges: [(left: [UInt8], right: [UInt8])]?

    private let limits: TokenizerLimits

    init(limits: TokenizerLimits) { self.limits = limits }

    init(parsing bytes: UnsafeRawBufferPointer, limits: TokenizerLimits) throws(TokenizerError) {
        self.limits = limits
        guard bytes.count <= limits.fileBytesMax else {
            throw TokenizerError(
                .limitExceeded,
                "tokenizer.json: \(bytes.count) bytes are more than the \(limits.fileBytesMax) "
                    + "allowed")
        }
        var scanner = unsafe JSONScanner(bytes, limits: JSONLimits(loneSurrogates: .replace))
        do {
            try read(&scanner)
        } catch let error as JSONError {
            throw TokenizerError(
                .invalidFile, unsafe "tokenizer.json: \(error.located(in: bytes).message)")
        } catch let error as TokenizerError {
            throw error
        } catch {
            throw TokenizerError(.invalidFile, "tokenizer.json: \(error)")
        }
        guard !modelSettings.isEmpty || !vocabulary.isEmpty else {
            throw TokenizerError(.invalidFile, "model: missing")
        }
    }

    private mutating func read(_ scanner: inout JSONScanner) throws {
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            if key == "model", try scanner.peek() == .object {
                try readModel(&scanner)
            } else {
                let name = key.string
                parts[name] = Field(path: name, value: try scanner.readValue())
            }
        }
        try scanner.finish()
        if let model = parts["model"] { throw model.wrong("an object") }
    }

    private mutating func readModel(_ scanner: inout JSONScanner) throws {
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            let kind = try scanner.peek()
            if key == "vocab", kind == .object {
                try readVocabulary(&scanner)
            } else if key == "vocab", kind == .array {
                try readScoredVocabulary(&scanner)
            } else if key == "merges", kind == .array {
                try readMerges(&scanner)
            } else {
                let name = key.string
                modelSettings[name] = Field(path: "model.\(name)", value: try scanner.readValue())
            }
        }
        for name in ["vocab", "merges"] {
            if let field = modelSettings[name] { throw field.wrong("an object or an array") }
        }
    }

    private mutating func readVocabulary(_ scanner: inout JSONScanner) throws {
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            var content: [UInt8] = []
            key.appendUnescaped(to: &content)
            let id = try scanner.readInt()
            try append(content, id)
        }
    }

    private mutating func readScoredVocabulary(_ scanner: inout JSONScanner) throws {
        var scores: [Double] = []
        try scanner.beginArray()
        while try scanner.nextElement() {
            let path = "model.vocab[\(scores.count)]"
            let entry = Field(path: path, value: try scanner.readValue())
            let parts = try entry.elements()
            guard parts.count == 2, let score = parts[1].value.doubleValue else {
                throw TokenizerError(.invalidFile, "\(path): expected a token and its score")
            }
            try append(try parts[0].bytes(), scores.count)
            scores.append(score)
        }
        self.scores = scores
    }

    private mutating func append(_ content: [UInt8], _ id: Int) throws(TokenizerError) {
        func name() -> String {
            "model.vocab[\"\(String(decoding: content.prefix(64), as: UTF8.self))\"]"
        }
        guard id >= 0, id < limits.vocabularySizeMax else {
            throw TokenizerError(
                .limitExceeded,
                "\(name()): the id \(id) is not from 0 to \(limits.vocabularySizeMax - 1)")
        }
        guard content.count <= limits.tokenBytesMax else {
            throw TokenizerError(
                .limitExceeded,
                "\(name()): \(content.count) bytes are more than the \(limits.tokenBytesMax) allowed"
            )
        }
        guard vocabulary.count < limits.vocabularySizeMax else {
            throw TokenizerError(
                .limitExceeded, "model.vocab: more than \(limits.vocabularySizeMax) tokens")
        }
        vocabulary.append((content, id))
    }

    private mutating func readMerges(_ scanner: inout JSONScanner) throws {
        var merges: [(left: [UInt8], right: [UInt8])] = []
        var line = 0
        try scanner.beginArray()
        while try scanner.nextElement() {
            let path = "model.merges[\(line)]"
            line += 1
            guard merges.count < limits.vocabularySizeMax else {
                throw TokenizerError(
                    .limitExceeded, "model.merges: more than \(limits.vocabularySizeMax)")
            }
            switch try scanner.peek() {
            case .string:
                var bytes: [UInt8] = []
                try scanner.readText().appendUnescaped(to: &bytes)
                if bytes.starts(with: "#version".utf8) { continue }
                let halves = bytes.split(separator: 0x20, omittingEmptySubsequences: false)
                guard halves.count == 2 else {
                    throw TokenizerError(
                        .invalidFile, "\(path): expected two tokens with a space between them")
                }
                merges.append((Array(halves[0]), Array(halves[1])))
            default:
                let halves = try Field(path: path, value: try scanner.readValue()).elements()
                guard halves.count == 2 else {
                    throw TokenizerError(.invalidFile, "\(path): expected two tokens")
                }
                merges.append((try halves[0].bytes(), try halves[1].bytes()))
            }
        }
        self.merges = merges
    }
}
