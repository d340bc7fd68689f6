// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

/// RoBERTa: Liu et al., RoBERTa: A Robustly Optimized BERT Pretraining Approach, 2019.
///
/// BERT's layers; positions begin after the padding token's row, and there are no token types to
/// speak of: the one row of their table is added to every position's.
extension EncoderBuilder {
    mutating func addRoBERTa(_ ids: ValueID) -> ValueID {
        weights.choosePrefix(["", "roberta."], probe: "embeddings.word_embeddings.weight")
        var hidden = embeddings(ids, types: nil, positions: robertaPositions(), typeTable: nil)
        for index in 0..<configuration.layerCount {
            hidden = layer(hidden, "encoder.layer.\(index).", .bert)
        }
        return hidden
    }

    private mutating func robertaPositions() -> ValueID {
        let name = "embeddings.position_embeddings.weight"
        let size = configuration.hiddenSize
        let table = weights.encoderWeight(name, [configuration.positionsMax, size])
        guard configuration.typeVocabularySize > 0 else { return constant(table, name) }
        let types = weights.encoderWeight(
            "embeddings.token_type_embeddings.weight", [configuration.typeVocabularySize, size])
        guard let table, let types, var sums = try? table.elements(as: Float.self),
            let row = try? types.elements(as: Float.self)
        else { return constant(nil, name) }
        for index in sums.indices { sums[index] += row[index % size] }
        return constant(try? Tensor(sums, shape: table.shape), name)
    }

    /// tanh(dense) over the first token, then the output projection.
    mutating func addRoBERTaClassifier(_ hidden: ValueID, labels: Int) -> ValueID {
        let size = configuration.hiddenSize
        let inner = headLinear(
            firstToken(hidden), "classifier.dense", inputs: size, outputs: size,
            activation: "Tanh")
        return headLinear(inner, "classifier.out_proj", inputs: size, outputs: labels)
    }
}
