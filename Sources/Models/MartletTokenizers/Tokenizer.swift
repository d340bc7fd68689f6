// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// Turns text into token ids and back, as a Hugging Face `tokenizer.json` describes it.
///
/// Immutable; any number of threads may encode at once. Each call borrows a set of buffers that
/// later calls use again, so that encoding allocates little more than its result.
public final class Tokenizer: Sendable {
    let normalizer: Normalizer?
    let preTokenizer: PreTokenizer?
    let model: TokenModel
    let postProcessor: PostProcessor
    let decoder: Decoder?
    let added: AddedTokens
    let limits: TokenizerLimits
    private let scratches = Mutex<[Scratch]>([])
    private static let scratchesMax = 16

    /// What the file says about cutting long texts; applied only when a caller passes it on.
    public let truncation: Truncation?
    /// What the file says about padding; batching is the caller's.
    public let padding: Padding?

    struct Scratch: Sendable {
        var input: [UInt8] = []
        var normalizing = Normalizer.Scratch()
        var work = PreTokenizer.Work()
        var model = TokenModel.Scratch()
        var segments: [AddedTokens.Segment] = []
        var moreSegments: [AddedTokens.Segment] = []
    }

    /// Reads a `tokenizer.json`.
    /// - Throws: `TokenizerError`, naming the field.
    public convenience init(
        parsing bytes: UnsafeRawBufferPointer, limits: TokenizerLimits = TokenizerLimits()
    ) throws(TokenizerError) {
        try self.init(unsafe TokenizerFile(parsing: bytes, limits: limits), limits: limits)
    }

    public convenience init(
        parsing bytes: [UInt8], limits: TokenizerLimits = TokenizerLimits()
    ) throws(TokenizerError) {
        let file = try unsafe bytes.withUnsafeBufferPointer { (bytes) throws(TokenizerError) in
            try unsafe TokenizerFile(parsing: UnsafeRawBufferPointer(bytes), limits: limits)
        }
        try self.init(file, limits: limits)
    }

    init(_ file: TokenizerFile, limits: TokenizerLimits) throws(TokenizerError) {
        func part(_ name: String) -> Field? {
            guard let field = file.parts[name], !field.isNull else { return nil }
            return field
        }
        self.limits = limits
        normalizer = if let field = part("normalizer") { try Normalizer(field) } else { nil }
        preTokenizer =
            if let field = part("pre_tokenizer") { try PreTokenizer(field) } else { nil }
        model = try TokenModel(file, isByteLevel: preTokenizer?.isByteLevel ?? false)
        postProcessor =
            if let field = part("post_processor") { try PostProcessor(field) } else { .plain }
        decoder = if let field = part("decoder") { try Decoder(field) } else { nil }
        added = try AddedTokens(part("added_tokens"), normalizer: normalizer, limits: limits)
        truncation = if let field = part("truncation") { try Truncation(field) } else { nil }
        padding = if let field = part("padding") { try Padding(field) } else { nil }
        vocabularySize = max(
            model.vocabulary.count, (added.tokens.map { Int($0.id) }.max() ?? -1) + 1,
            postProcessor.idEnd)
    }

    /// Token ids are below this.
    public let vocabularySize: Int

    /// The id of a token as the vocabulary spells it.
    public func id(of token: String) -> Int? {
        let content = Array(token.utf8)
        if let token = added.tokens.first(where: { $0.content == content }) {
            return Int(token.id)
        }
        let isByteLevel = preTokenizer?.isByteLevel ?? false
        let spelled = isByteLevel ? ByteLevelAlphabet.bytes(of: content.span) : nil
        return model.vocabulary.id(of: spelled ?? content).map(Int.init)
    }

    /// The token's content; bytes that are no text are replaced. Nil for an id that is not used.
    public func content(of id: Int) -> String? {
        guard let bytes = contentBytes(of: id) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    func contentBytes(of id: Int) -> [UInt8]? {
        if let key = Int32(exactly: id), let token = added.token(key) {
            guard preTokenizer?.isByteLevel == true else { return token.form }
            return ByteLevelAlphabet.bytes(of: token.form.span) ?? token.form
        }
        guard let content = model.vocabulary.content(of: id), !content.isEmpty else { return nil }
        return Array(content)
    }

    /// Runs `body` with buffers from the pool.
    func withScratch<Result>(_ body: (inout Scratch) throws -> Result) rethrows -> Result {
        var scratch = scratches.withLock { $0.popLast() } ?? Scratch()
        defer {
            scratches.withLock { pool in
                if pool.count < Tokenizer.scratchesMax { pool.append(scratch) }
            }
        }
        return try body(&scratch)
    }
}
