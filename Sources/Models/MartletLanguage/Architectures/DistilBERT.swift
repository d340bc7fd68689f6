// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph

/// DistilBERT: Sanh et al., DistilBERT, a distilled version of BERT, 2019. No token types.
extension EncoderBuilder {
    mutating func addDistilBERT(_ ids: ValueID) -> ValueID {
        weights.choosePrefix(["", "distilbert."], probe: "embeddings.word_embeddings.weight")
        let positions = encoderConstant(
            "embeddings.position_embeddings.weight",
            [configuration.positionsMax, configuration.hiddenSize])
        var hidden = embeddings(ids, types: nil, positions: positions, typeTable: nil)
        for index in 0..<configuration.layerCount {
            hidden = layer(hidden, "transformer.layer.\(index).", .distilBERT)
        }
        return hidden
    }

    /// relu(pre_classifier) over the first token, then the classifier.
    mutating func addDistilBERTClassifier(_ hidden: ValueID, labels: Int) -> ValueID {
        let size = configuration.hiddenSize
        let inner = headLinear(
            firstToken(hidden), "pre_classifier", inputs: size, outputs: size, activation: "Relu")
        return headLinear(inner, "classifier", inputs: size, outputs: labels)
    }
}

extension EncoderBuilder.LayerNames {
    static let distilBERT = EncoderBuilder.LayerNames(
        query: "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin",
        attentionOutput: "attention.out_lin", attentionNorm: "sa_layer_norm",
        intermediate: "ffn.lin1", output: "ffn.lin2", outputNorm: "output_layer_norm")
}
