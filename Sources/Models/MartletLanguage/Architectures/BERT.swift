// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph

/// BERT: Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers, 2018.
extension EncoderBuilder {
    mutating func addBERT(_ ids: ValueID) -> ValueID {
        weights.choosePrefix(["", "bert."], probe: "embeddings.word_embeddings.weight")
        let types = graph.addInput(name: "token_type_ids", type: EncoderBuilder.tokensType)
        let positions = encoderConstant(
            "embeddings.position_embeddings.weight",
            [configuration.positionsMax, configuration.hiddenSize])
        let typeTable = encoderConstant(
            "embeddings.token_type_embeddings.weight",
            [configuration.typeVocabularySize, configuration.hiddenSize])
        var hidden = embeddings(ids, types: types, positions: positions, typeTable: typeTable)
        for index in 0..<configuration.layerCount {
            hidden = layer(hidden, "encoder.layer.\(index).", .bert)
        }
        return hidden
    }

    /// The pooler (tanh over the first token) and the classifier.
    mutating func addBERTClassifier(_ hidden: ValueID, labels: Int) -> ValueID {
        let size = configuration.hiddenSize
        let pooled = encoderLinear(
            firstToken(hidden), "pooler.dense", inputs: size, outputs: size, activation: "Tanh")
        return headLinear(pooled, "classifier", inputs: size, outputs: labels)
    }
}

extension EncoderBuilder.LayerNames {
    static let bert = EncoderBuilder.LayerNames(
        query: "attention.self.query", key: "attention.self.key", value: "attention.self.value",
        attentionOutput: "attention.output.dense", attentionNorm: "attention.output.LayerNorm",
        intermediate: "intermediate.dense", output: "output.dense", outputNorm: "output.LayerNorm")
}
