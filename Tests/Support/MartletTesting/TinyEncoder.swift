// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// A Hugging Face folder with a BERT-family encoder of a few kilobytes and seeded weights.
package struct TinyEncoder {
    package enum Family: String { case bert, roberta, distilbert }

    package static let words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "hello", "world", "a", "##b"]
    package static let hidden = 8
    package static let inner = 12
    package static let positions = 20

    package var family = Family.bert
    /// "" or the family's name and a dot, before every encoder weight.
    package var prefix = ""
    package var labels = 0
    /// Weights to leave out, by name.
    package var without: Set<String> = []
    /// Old names for layer norms.
    package var usesGamma = false

    package init(
        family: Family = .bert, prefix: String = "", labels: Int = 0, without: Set<String> = [],
        usesGamma: Bool = false
    ) {
        self.family = family
        self.prefix = prefix
        self.labels = labels
        self.without = without
        self.usesGamma = usesGamma
    }

    package func write(to folder: TestFolder) throws {
        try folder.write("config.json", config())
        try folder.write("tokenizer.json", TinyEncoder.tokenizer)
        try folder.write("model.safetensors", weights())
    }

    package func config(_ extra: String = "") -> String {
        let architecture =
            labels > 0 ? "TinyForSequenceClassification" : "TinyModel"
        let names = (0..<labels).map { #""\#($0)":"label-\#($0)""# }.joined(separator: ",")
        let sizes =
            family == .distilbert
            ? #""dim":8,"n_layers":1,"n_heads":2,"hidden_dim":12"#
            : #""hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"#
                + #""intermediate_size":12,"type_vocab_size":\#(family == .bert ? 2 : 1)"#
        return """
            {"model_type":"\(family.rawValue)","architectures":["\(architecture)"],\(sizes),
            "vocab_size":8,"max_position_embeddings":20,"pad_token_id":\(family == .roberta ? 1 : 0),
            \(labels > 0 ? #""id2label":{\#(names)},"# : "")\(extra)"hidden_act":"gelu"}
            """
    }

    package static let tokenizer = """
        {"added_tokens":[],"normalizer":{"type":"BertNormalizer"},
        "pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":{"type":"BertProcessing",
        "sep":["[SEP]",2],"cls":["[CLS]",1]},"model":{"type":"WordPiece","unk_token":"[UNK]",
        "vocab":{\(words.enumerated().map { #""\#($1)":\#($0)"# }.joined(separator: ","))}}}
        """

    package func weights() -> [UInt8] {
        var file = SafetensorsBytes()
        var random = SeededRandom(seed: 11)
        func add(_ name: String, _ dimensions: [Int]) {
            let values = (0..<dimensions.reduce(1, *)).map { _ in
                Float.random(in: -0.5...0.5, using: &random)
            }
            var name = name
            if usesGamma, name.contains("LayerNorm") {
                name =
                    name.hasSuffix("weight")
                    ? name.dropLast(6) + "gamma" : name.dropLast(4) + "beta"
            }
            if !without.contains(name) { file.add(name, dimensions, values) }
        }
        func linear(_ name: String, _ inputs: Int, _ outputs: Int) {
            add(name + ".weight", [outputs, inputs])
            add(name + ".bias", [outputs])
        }
        func norm(_ name: String) {
            add(name + ".weight", [TinyEncoder.hidden])
            add(name + ".bias", [TinyEncoder.hidden])
        }
        let size = TinyEncoder.hidden
        add(prefix + "embeddings.word_embeddings.weight", [8, size])
        add(prefix + "embeddings.position_embeddings.weight", [TinyEncoder.positions, size])
        if family != .distilbert {
            add(
                prefix + "embeddings.token_type_embeddings.weight",
                [family == .bert ? 2 : 1, size])
        }
        norm(prefix + "embeddings.LayerNorm")
        let isDistilled = family == .distilbert
        let layer = prefix + (isDistilled ? "transformer.layer.0." : "encoder.layer.0.")
        let names =
            isDistilled
            ? ["attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"]
            : ["self.query", "self.key", "self.value", "output.dense"].map { "attention." + $0 }
        for name in names { linear(layer + name, size, size) }
        norm(layer + (isDistilled ? "sa_layer_norm" : "attention.output.LayerNorm"))
        linear(layer + (isDistilled ? "ffn.lin1" : "intermediate.dense"), size, TinyEncoder.inner)
        linear(layer + (isDistilled ? "ffn.lin2" : "output.dense"), TinyEncoder.inner, size)
        norm(layer + (isDistilled ? "output_layer_norm" : "output.LayerNorm"))
        if labels > 0 {
            switch family {
            case .bert:
                linear(prefix + "pooler.dense", size, size)
                linear("classifier", size, labels)
            case .roberta:
                linear("classifier.dense", size, size)
                linear("classifier.out_proj", size, labels)
            case .distilbert:
                linear("pre_classifier", size, size)
                linear("classifier", size, labels)
            }
        }
        return file.bytes
    }
}
