// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletGraph
internal import MartletTensor

extension EncoderBuilder {
    /// A linear layer of a head, whose weights carry no encoder prefix.
    mutating func headLinear(
        _ input: ValueID, _ name: String, inputs: Int, outputs: Int, activation: String = ""
    ) -> ValueID {
        let weight = constant(
            weights.weight(name + ".weight", [outputs, inputs]), name + ".weight")
        let bias = constant(weights.weight(name + ".bias", [outputs]), name + ".bias")
        return linear(input, weight: weight, bias: bias, activation: activation, name: name)
    }

    /// The sequence classification head of the configuration's family: `logits` [batch, labels].
    mutating func addClassifier(_ hidden: ValueID) {
        // A configuration that names no labels leaves their number to the weights.
        let last = configuration.family == .roberta ? "classifier.out_proj" : "classifier"
        let found = weights.model[last + ".bias"]?.dimensions.first
        let labels = configuration.labels.isEmpty ? found ?? 2 : configuration.labels.count
        let logits =
            switch configuration.family {
            case .bert: addBERTClassifier(hidden, labels: labels)
            case .roberta: addRoBERTaClassifier(hidden, labels: labels)
            case .distilbert: addDistilBERTClassifier(hidden, labels: labels)
            }
        addOutput(logits, name: "logits")
    }

    /// Pooling and the modules after it: `sentence_embedding` [batch, dimensions].
    mutating func addSentenceEmbedding(
        _ hidden: ValueID, _ modules: SentenceModules
    ) throws(LanguageError) {
        var vector = pooled(hidden, modules.pooling)
        for (index, step) in modules.steps.enumerated() {
            switch step {
            case .normalize:
                vector = graph.apply(.l2Normalize, vector, name: "normalize_\(index)")
            case .dense(let folder, let inputs, let outputs, let hasBias, let activation):
                vector = try dense(
                    vector, folder, inputs, outputs, hasBias, activation, "dense_\(index)")
            }
        }
        addOutput(vector, name: "sentence_embedding")
    }

    private mutating func pooled(
        _ hidden: ValueID, _ pooling: SentenceModules.Pooling
    ) -> ValueID {
        switch pooling {
        case .mean:
            return graph.apply(.maskedMeanPooling, hidden, mask, name: "pooling")
        case .firstToken: return firstToken(hidden)
        case .meanSquareRoot:
            // Σ / √n is the mean times √n.
            let mean = graph.apply(.maskedMeanPooling, hidden, mask, name: "pooling.mean")
            let counted = graph.apply(
                .reduceSum, floatMask(), constant(try? Tensor([Int64(1)]), "pooling.axes"),
                name: "pooling.count", attributes: ["keepdims": .int(1)])
            let root = graph.apply(.sqrt, counted, name: "pooling.root")
            return graph.apply(.mul, mean, root, name: "pooling")
        case .maximum:
            // Padding is pushed below everything before the maximum is taken.
            let one = constant(try? Tensor([Float(1)], shape: []), "pooling.one")
            let far = constant(try? Tensor([Float(1e9)], shape: []), "pooling.far")
            let shifted = graph.apply(
                .mul, graph.apply(.sub, floatMask(), one, name: "pooling.padding"), far,
                name: "pooling.penalty")
            let penalty = graph.apply(
                .unsqueeze, shifted, constant(try? Tensor([Int64(2)]), "pooling.last"),
                name: "pooling.penalties")
            let masked = graph.apply(.add, hidden, penalty, name: "pooling.masked")
            return graph.apply(
                .reduceMax, masked, constant(try? Tensor([Int64(1)]), "pooling.axes"),
                name: "pooling", attributes: ["keepdims": .int(0)])
        }
    }

    private mutating func floatMask() -> ValueID {
        graph.apply(
            .cast, mask, name: "pooling.mask",
            attributes: ["to": .int(Int64(ElementType.float32.rawValue))])
    }

    private mutating func dense(
        _ input: ValueID, _ folder: String, _ inputs: Int, _ outputs: Int, _ hasBias: Bool,
        _ activation: String, _ name: String
    ) throws(LanguageError) -> ValueID {
        let model: SafetensorsModel
        do {
            model = try SafetensorsModel(path: folder)
        } catch {
            throw LanguageError(.invalidFile, "\(folder): \(error)", cause: error)
        }
        var reader = WeightReader(model, path: folder)
        let weight = constant(
            reader.weight("linear.weight", [outputs, inputs]), name + ".weight")
        let bias =
            hasBias ? constant(reader.weight("linear.bias", [outputs]), name + ".bias") : nil
        guard reader.problems.isEmpty else {
            throw LanguageError(
                .invalidFile, "\(folder): \(reader.problems.joined(separator: "; "))")
        }
        return linear(input, weight: weight, bias: bias, activation: activation, name: name)
    }
}
