// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletEngine
internal import MartletTensor
public import MartletTokenizers

/// A text model ready to be batched: its tokenizer, its session, and how texts become tensors.
///
/// Holds no threads and waits for nothing: whoever batches calls `encode` for each text, groups
/// encodings by `bucket`, has `fill` write a group into tensors, and runs them on a context of
/// `session`. Row i of output `outputIndex` belongs to encoding i.
public struct TextEncoder: Sendable {
    public enum Kind: Sendable, Hashable {
        /// One vector of `outputSize` numbers a text.
        case embedder
        /// `outputSize` logits a text or pair of texts; a cross-encoder has one.
        case classifier(labels: [String])
    }

    public let session: any EngineSession
    public let tokenizer: Tokenizer
    public let kind: Kind
    /// The most tokens of one text or pair, special ones included.
    public let sequenceLengthMax: Int
    /// The width of the output: the embedding's dimensions, or the number of labels.
    public let outputSize: Int
    /// Which of the session's outputs holds the vectors or logits.
    public let outputIndex: Int
    /// Token ids are below this.
    public let vocabularySize: Int
    let padTokenID: Int64
    /// What each of the session's inputs takes, in the signature's order.
    let roles: [Role]

    enum Role: String, Sendable {
        case ids = "input_ids"
        case mask = "attention_mask"
        case types = "token_type_ids"
    }

    /// Reads a Hugging Face folder and loads it with `engine`. Blocks for as long as that takes.
    /// - Throws: `LanguageError` or `EngineError`.
    public init(
        folder path: String, engine: any Engine, options: EngineOptions = EngineOptions(),
        includesHiddenState: Bool = true
    ) throws {
        let folder = try ModelFolder(path: path)
        let tokenizer = try folder.loadTokenizer()
        let graph = try folder.makeGraph(includesHiddenState: includesHiddenState)
        let session = try engine.load(.graph(graph), options: options)
        try self.init(folder: folder, tokenizer: tokenizer, session: session)
    }

    /// Puts together a folder's parts that are loaded already.
    /// - Throws: `LanguageError` when the session's inputs are none that texts can fill.
    public init(
        folder: ModelFolder, tokenizer: Tokenizer, session: any EngineSession
    ) throws(LanguageError) {
        self.session = session
        self.tokenizer = tokenizer
        let configuration = folder.configuration
        var roles: [Role] = []
        for input in session.signature.inputs {
            guard let role = Role(rawValue: input.name), input.elementType == .int64 else {
                throw LanguageError(
                    .unsupported,
                    "\(folder.path): input '\(input.name)' of \(input.elementType) is not one that "
                        + "a text fills")
            }
            roles.append(role)
        }
        self.roles = roles
        let outputs = session.signature.outputs
        let name = folder.sentenceModules == nil ? "logits" : "sentence_embedding"
        guard let index = outputs.firstIndex(where: { $0.name == name }) else {
            throw LanguageError(.unsupported, "\(folder.path): the model has no output '\(name)'")
        }
        outputIndex = index
        outputSize =
            outputs[index].dimensions.last.flatMap { $0 > 0 ? $0 : nil }
            ?? folder.outputSize
        kind =
            folder.sentenceModules == nil ? .classifier(labels: configuration.labels) : .embedder
        sequenceLengthMax = folder.sequenceLengthMax
        vocabularySize = configuration.vocabularySize
        padTokenID = Int64(configuration.padTokenID)
    }
}
