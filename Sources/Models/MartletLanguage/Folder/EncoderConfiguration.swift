// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// What `config.json` says of a BERT-family encoder.
public struct EncoderConfiguration: Sendable, Hashable {
    public enum Family: String, Sendable {
        case bert, roberta, distilbert
    }

    public enum Activation: String, Sendable {
        case gelu = "Gelu"
        case geluTanh = "GeluTanh"
        case relu = "Relu"
        case silu = "Silu"
    }

    public var family: Family
    public var hiddenSize: Int
    public var layerCount: Int
    public var headCount: Int
    public var intermediateSize: Int
    public var vocabularySize: Int
    /// Rows of the position table; RoBERTa uses the first `positionOffset` for padding.
    public var positionsMax: Int
    /// 0 where the family has no token types.
    public var typeVocabularySize: Int
    public var layerNormEpsilon: Float
    public var activation: Activation
    public var padTokenID: Int
    public var architectures: [String]
    /// The classes of a classification head, by index.
    public var labels: [String]

    /// The first token's row in the position table.
    public var positionOffset: Int { family == .roberta ? padTokenID + 1 : 0 }

    /// The longest sequence the position table allows.
    public var sequenceLengthMax: Int { positionsMax - positionOffset }

    /// Whether the folder holds a sequence classification head.
    public var isClassifier: Bool {
        architectures.contains { $0.hasSuffix("ForSequenceClassification") }
    }

    init(_ file: ConfigFile) throws(LanguageError) {
        let modelType = try file.string("model_type") ?? "absent"
        switch modelType {
        case "bert": family = .bert
        case "roberta", "xlm-roberta", "camembert": family = .roberta
        case "distilbert": family = .distilbert
        default:
            throw LanguageError(
                .unsupported,
                "\(file.path): model_type is \(modelType); supported are bert, roberta, "
                    + "xlm-roberta, camembert and distilbert")
        }
        let sizes = 1...1 << 20
        func required(_ value: Int?, _ name: String) throws(LanguageError) -> Int {
            guard let value else { throw file.missing(name) }
            return value
        }
        hiddenSize = try required(
            try file.integer("hidden_size", "dim", in: sizes), "hidden_size")
        layerCount = try required(
            try file.integer("num_hidden_layers", "n_layers", in: 1...1024), "num_hidden_layers")
        headCount = try required(
            try file.integer("num_attention_heads", "n_heads", in: 1...1024),
            "num_attention_heads")
        intermediateSize = try required(
            try file.integer("intermediate_size", "hidden_dim", in: sizes), "intermediate_size")
        vocabularySize = try required(
            try file.integer("vocab_size", in: 1...1 << 24), "vocab_size")
        positionsMax = try file.integer("max_position_embeddings", in: sizes) ?? 512
        typeVocabularySize =
            family == .distilbert ? 0 : try file.integer("type_vocab_size", in: 0...256) ?? 2
        layerNormEpsilon = Float(try file.number("layer_norm_eps") ?? 1e-12)
        padTokenID =
            try file.integer("pad_token_id", in: 0...vocabularySize - 1)
            ?? (family == .roberta ? 1 : 0)
        architectures = try file.strings("architectures")
        activation = try EncoderConfiguration.activation(file)
        labels = EncoderConfiguration.labels(file)
        try check(file)
    }

    private static func activation(_ file: ConfigFile) throws(LanguageError) -> Activation {
        let name = try file.string("hidden_act", "activation") ?? "gelu"
        switch name {
        case "gelu", "gelu_python": return .gelu
        case "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate": return .geluTanh
        case "relu": return .relu
        case "silu", "swish": return .silu
        default:
            throw LanguageError(
                .unsupported, "\(file.path): hidden_act: \(name) is not supported")
        }
    }

    /// The names of `id2label`, or as many as `num_labels` says.
    private static func labels(_ file: ConfigFile) -> [String] {
        if let names = file.object["id2label"]?.objectValue, names.count <= 100_000 {
            return (0..<names.count).map { names[String($0)]?.stringValue ?? "LABEL_\($0)" }
        }
        let count = file.object["num_labels"]?.intValue ?? 0
        return (0..<min(max(count, 0), 100_000)).map { "LABEL_\($0)" }
    }

    private func check(_ file: ConfigFile) throws(LanguageError) {
        guard hiddenSize % headCount == 0 else {
            throw LanguageError(
                .invalidFile,
                "\(file.path): hidden_size \(hiddenSize) is not a multiple of "
                    + "num_attention_heads \(headCount)")
        }
        guard sequenceLengthMax > 0 else {
            throw LanguageError(
                .invalidFile,
                "\(file.path): max_position_embeddings \(positionsMax) leaves no positions "
                    + "after pad_token_id \(padTokenID)")
        }
        if let kind = try file.string("position_embedding_type"), kind != "absolute" {
            throw LanguageError(
                .unsupported, "\(file.path): position_embedding_type: \(kind) is not supported")
        }
        if try file.bool("is_decoder") == true {
            throw LanguageError(
                .unsupported, "\(file.path): is_decoder: decoders are not supported")
        }
        guard layerNormEpsilon > 0, layerNormEpsilon < 1 else {
            throw LanguageError(
                .invalidFile, "\(file.path): layer_norm_eps: expected a number between 0 and 1")
        }
    }
}
