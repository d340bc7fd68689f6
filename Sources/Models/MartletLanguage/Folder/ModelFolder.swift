// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletGraph
internal import MartletFormats
internal import MartletStorage
public import MartletTokenizers

/// A Hugging Face folder with a BERT-family encoder: `config.json`, `model.safetensors` (or
/// shards), `tokenizer.json`, and what sentence-transformers adds.
public struct ModelFolder: Sendable {
    public let path: String
    public let configuration: EncoderConfiguration
    /// How a sentence's vector is made; nil for a classifier.
    public let sentenceModules: SentenceModules?
    /// The most tokens of a text, special ones included.
    public let sequenceLengthMax: Int

    /// Whether `path` looks like such a folder: it has a `config.json` with a model type.
    public static func isModelFolder(_ path: String) -> Bool {
        FileSystem.isRegularFile(PathName.join(path, "config.json"))
            && (FileSystem.isRegularFile(PathName.join(path, "tokenizer.json"))
                || FileSystem.isRegularFile(PathName.join(path, "model.safetensors")))
    }

    /// Reads the folder's configuration; weights and tokenizer are read when asked for.
    /// - Throws: `LanguageError`, naming file and field.
    public init(path: String) throws(LanguageError) {
        self.path = path
        let file = try ConfigFile(path: PathName.join(path, "config.json"))
        configuration = try EncoderConfiguration(file)
        sentenceModules =
            configuration.isClassifier
            ? nil : try SentenceModules(folder: path, hiddenSize: configuration.hiddenSize)
        sequenceLengthMax = try ModelFolder.sequenceLengthMax(path, configuration)
        let names = ["tokenizer.json", "model.safetensors"]
        let index = PathName.join(path, "model.safetensors.index.json")
        let missing = names.filter { name in
            !FileSystem.isRegularFile(PathName.join(path, name))
                && !(name == "model.safetensors" && FileSystem.isRegularFile(index))
        }
        guard missing.isEmpty else {
            let hint =
                FileSystem.exists(PathName.join(path, "pytorch_model.bin"))
                ? " (pytorch_model.bin is not read: it holds code)" : ""
            throw LanguageError(
                .missingFile, "\(path): missing \(missing.joined(separator: " and "))\(hint)")
        }
    }

    /// sentence-transformers' own limit, else the tokenizer's, never more than there are positions.
    private static func sequenceLengthMax(
        _ path: String, _ configuration: EncoderConfiguration
    ) throws(LanguageError) -> Int {
        let limit = configuration.sequenceLengthMax
        let sentence = try ConfigFile(optional: PathName.join(path, "sentence_bert_config.json"))
        if let length = try sentence?.integer("max_seq_length", in: 1...1 << 20) {
            return min(length, limit)
        }
        // "No limit" is written as 1e30 there.
        let tokenizer = try ConfigFile(optional: PathName.join(path, "tokenizer_config.json"))
        if let length = try tokenizer?.number("model_max_length"), length >= 1,
            length < Double(limit)
        {
            return Int(length)
        }
        return limit
    }

    /// Reads `tokenizer.json` and checks that its ids fit the model's vocabulary.
    public func loadTokenizer() throws(LanguageError) -> Tokenizer {
        let path = PathName.join(path, "tokenizer.json")
        let tokenizer: Tokenizer
        do {
            // Read, not mapped: a file that is cut short meanwhile must not end the process.
            let limits = TokenizerLimits()
            tokenizer = try Tokenizer(
                parsing: FileSystem.readAll(path, limit: limits.fileBytesMax), limits: limits)
        } catch {
            throw LanguageError(.invalidFile, "\(path): \(error)", cause: error)
        }
        guard tokenizer.vocabularySize <= configuration.vocabularySize else {
            throw LanguageError(
                .invalidFile,
                "\(path): the tokenizer has ids up to \(tokenizer.vocabularySize - 1), the model's "
                    + "vocab_size is \(configuration.vocabularySize)")
        }
        return tokenizer
    }

    /// Builds the model's graph over the mapped weights.
    ///
    /// Inputs: `input_ids`, `attention_mask` and, where the family has them, `token_type_ids`, all
    /// INT64 [batch, sequence]. Outputs: `logits` [batch, labels] for a classifier, else
    /// `sentence_embedding` [batch, dimensions], before it `last_hidden_state`
    /// [batch, sequence, hidden] when asked for.
    /// - Throws: `LanguageError`, listing every missing and misshapen weight at once.
    public func makeGraph(includesHiddenState: Bool = true) throws(LanguageError) -> Graph {
        let weights: SafetensorsModel
        do {
            weights = try SafetensorsModel(path: path)
        } catch {
            throw LanguageError(.invalidFile, "\(path): \(error)", cause: error)
        }
        var builder = EncoderBuilder(
            name: PathName.baseName(path), configuration: configuration,
            weights: WeightReader(weights, path: path))
        let hidden = builder.addEncoder()
        if let sentenceModules {
            if includesHiddenState { builder.addOutput(hidden, name: "last_hidden_state") }
            try builder.addSentenceEmbedding(hidden, sentenceModules)
        } else {
            builder.addClassifier(hidden)
        }
        return try builder.finish()
    }

    /// The sentence vector's width; for a classifier the number of its labels.
    public var outputSize: Int {
        guard let sentenceModules else { return configuration.labels.count }
        return sentenceModules.steps.reduce(configuration.hiddenSize) { size, step in
            if case .dense(_, _, let outputs, _, _) = step { outputs } else { size }
        }
    }
}
