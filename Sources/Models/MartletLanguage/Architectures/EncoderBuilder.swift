// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

/// The parts that BERT-family graphs are made of: inputs, linear layers, norms, one encoder layer.
///
/// A weight that is missing or misshapen leaves a hole and a noted problem; `finish` throws all of
/// them together, so that building never stops half-way.
struct EncoderBuilder {
    /// The names that one family gives to a layer's parts.
    struct LayerNames {
        var query, key, value, attentionOutput, attentionNorm: String
        var intermediate, output, outputNorm: String
    }

    var graph: Graph
    var weights: WeightReader
    let configuration: EncoderConfiguration
    private(set) var mask: ValueID

    init(name: String, configuration: EncoderConfiguration, weights: WeightReader) {
        graph = Graph(name: name)
        self.configuration = configuration
        self.weights = weights
        mask = ValueID(index: 0)
    }

    static let tokensType = ValueType(
        elementType: .int64,
        dimensions: [Dimension(symbol: "batch"), Dimension(symbol: "sequence")])

    /// Adds the inputs and the encoder of the configuration's family; the last hidden state.
    mutating func addEncoder() -> ValueID {
        let ids = graph.addInput(name: "input_ids", type: EncoderBuilder.tokensType)
        mask = graph.addInput(name: "attention_mask", type: EncoderBuilder.tokensType)
        switch configuration.family {
        case .bert: return addBERT(ids)
        case .roberta: return addRoBERTa(ids)
        case .distilbert: return addDistilBERT(ids)
        }
    }

    /// The graph, checked. - Throws: `LanguageError` with everything that is wrong with the
    /// weights.
    func finish() throws(LanguageError) -> Graph {
        guard weights.problems.isEmpty else {
            let shown = weights.problems.prefix(20).joined(separator: "; ")
            let more = weights.problems.count - 20
            throw LanguageError(
                .invalidFile,
                "\(weights.path): \(weights.problems.count) weights do not fit config.json: \(shown)"
                    + (more > 0 ? "; and \(more) more" : ""))
        }
        let faults = graph.verify()
        guard faults.isEmpty else {
            throw LanguageError(
                .invalidFile,
                "\(weights.path): \(faults.prefix(5).map(\.description).joined(separator: "; "))")
        }
        return graph
    }

    mutating func addOutput(_ value: ValueID, name: String) {
        let output = graph.addValue(name: name)
        graph.addNode(.identity, name: name + ".output", inputs: [value], outputs: [output])
        graph.outputs.append(output)
    }

    // MARK: Parts

    mutating func constant(_ tensor: Tensor?, _ name: String) -> ValueID {
        if let tensor { return graph.addConstant(name: name, tensor) }
        return graph.addValue(name: name)
    }

    mutating func encoderConstant(_ name: String, _ dimensions: [Int]) -> ValueID {
        constant(weights.encoderWeight(name, dimensions), name)
    }

    /// activation(x · Wᵀ + b + residual), with W as PyTorch stores it, [outputs, inputs].
    mutating func linear(
        _ input: ValueID, weight: ValueID, bias: ValueID?, residual: ValueID? = nil,
        activation: String = "", name: String
    ) -> ValueID {
        var attributes: [String: AttributeValue] = ["transB": .int(1)]
        if !activation.isEmpty { attributes["activation"] = .string(activation) }
        return graph.apply(
            .fusedMatMul, input, weight, bias, residual, name: name, attributes: attributes)
    }

    mutating func encoderLinear(
        _ input: ValueID, _ name: String, inputs: Int, outputs: Int, residual: ValueID? = nil,
        activation: String = ""
    ) -> ValueID {
        let weight = encoderConstant(name + ".weight", [outputs, inputs])
        let bias = encoderConstant(name + ".bias", [outputs])
        return linear(
            input, weight: weight, bias: bias, residual: residual, activation: activation,
            name: name)
    }

    mutating func layerNorm(_ input: ValueID, _ name: String) -> ValueID {
        let scale = encoderConstant(name + ".weight", [configuration.hiddenSize])
        let bias = encoderConstant(name + ".bias", [configuration.hiddenSize])
        return graph.apply(
            .layerNormalization, input, scale, bias, name: name,
            attributes: ["epsilon": .float(configuration.layerNormEpsilon), "axis": .int(-1)])
    }

    /// The layer norm over word, position and type embeddings.
    mutating func embeddings(
        _ ids: ValueID, types: ValueID?, positions: ValueID, typeTable: ValueID?
    ) -> ValueID {
        let hidden = configuration.hiddenSize
        let words = encoderConstant(
            "embeddings.word_embeddings.weight", [configuration.vocabularySize, hidden])
        let scale = encoderConstant("embeddings.LayerNorm.weight", [hidden])
        let bias = encoderConstant("embeddings.LayerNorm.bias", [hidden])
        return graph.apply(
            .embeddingLayerNorm, ids, types, words, positions, typeTable, scale, bias,
            name: "embeddings",
            attributes: [
                "epsilon": .float(configuration.layerNormEpsilon),
                "positionOffset": .int(Int64(configuration.positionOffset)),
            ])
    }

    /// One transformer layer after BERT: attention, norm, two linear layers, norm.
    mutating func layer(_ input: ValueID, _ prefix: String, _ names: LayerNames) -> ValueID {
        let hidden = configuration.hiddenSize
        let projections = [names.query, names.key, names.value].map { prefix + $0 }
        let weight = constant(
            weights.stackedEncoderWeights(projections.map { $0 + ".weight" }, [hidden, hidden]),
            prefix + "qkv.weight")
        let bias = constant(
            weights.stackedEncoderWeights(projections.map { $0 + ".bias" }, [hidden]),
            prefix + "qkv.bias")
        let merged = linear(input, weight: weight, bias: bias, name: prefix + "qkv")
        let attention = graph.apply(
            .attention, merged, nil, nil, mask, name: prefix + "attention",
            attributes: ["heads": .int(Int64(configuration.headCount))])
        let attended = layerNorm(
            encoderLinear(
                attention, prefix + names.attentionOutput, inputs: hidden, outputs: hidden,
                residual: input),
            prefix + names.attentionNorm)
        let inner = encoderLinear(
            attended, prefix + names.intermediate, inputs: hidden,
            outputs: configuration.intermediateSize,
            activation: configuration.activation.rawValue)
        return layerNorm(
            encoderLinear(
                inner, prefix + names.output, inputs: configuration.intermediateSize,
                outputs: hidden, residual: attended),
            prefix + names.outputNorm)
    }

    /// The first token's hidden state: [batch, hidden].
    mutating func firstToken(_ hidden: ValueID) -> ValueID {
        let zero = constant(try? Tensor([Int64(0)], shape: []), "first_token.index")
        return graph.apply(
            .gather, hidden, zero, name: "first_token", attributes: ["axis": .int(1)])
    }
}
