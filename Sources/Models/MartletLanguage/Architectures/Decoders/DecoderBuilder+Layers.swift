// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph

extension DecoderBuilder {
    /// Attention, then the feed-forward part, each added to what came in.
    mutating func layer(_ input: ValueID, _ layer: Int) -> ValueID {
        let attended = attention(input, layer)
        let second: DecoderPart = configuration.hasPostNorms ? .feedForwardNorm : .secondNorm
        if let experts = configuration.experts, !experts.plainLayers.contains(layer) {
            return mixture(attended, second, experts, layer)
        }
        return feedForward(normed(attended, second, layer: layer), residual: attended, layer)
    }

    private mutating func attention(_ input: ValueID, _ layer: Int) -> ValueID {
        let shape = configuration
        let window = shape.window(ofLayer: layer)
        let rotary = window > 0 ? shape.localRotary ?? shape.rotary : shape.rotary
        let turned = angles(rotary)
        let norms: [ValueID?] =
            shape.hasHeadNorms
            ? [DecoderPart.queryNorm, .keyNorm].map {
                normWeight($0, layer: layer, size: shape.headSize)
            } : [nil, nil]
        let projections = projections(normed(input, .attentionNorm, layer: layer), layer)
        let common: [String: AttributeValue] = [
            "heads": .int(Int64(shape.headCount)), "kvHeads": .int(Int64(shape.keyValueHeadCount)),
            "headSize": .int(Int64(shape.headSize)), "layer": .int(Int64(layer)),
            "cacheType": .string(options.cacheType.rawValue),
        ]
        let query = graph.apply(
            .rotaryCache, projections[0], projections[1], projections[2], turned, inputs.slots,
            inputs.cache, inputs.extents, norms[0], norms[1], name: "layers.\(layer).rotary",
            attributes: common.merging([
                "rotary": .int(Int64(rotary.frequencies.count * 2)),
                "interleaved": .int(rotary.isInterleaved ? 1 : 0),
                "epsilon": .float(shape.normEpsilon),
            ]) { $1 })
        let heads = graph.apply(
            .pagedAttention, query, inputs.cache, inputs.slices, inputs.blocks, inputs.extents,
            name: "layers.\(layer).attention",
            attributes: common.merging([
                "scale": .float(shape.attentionScale), "softcap": .float(shape.attentionSoftcap),
                "window": .int(Int64(window)),
                "narrow": .int(hasNarrowProducts(layer: layer) ? 1 : 0),
            ]) { $1 })
        return added(
            Activation(value: heads, width: shape.queryWidth), .attentionOutput,
            norm: .attentionPostNorm, hasBias: shape.hasOutputBias, residual: input, layer)
    }

    /// Whether the products around a layer's attention round what they meet to 8 bits: bf16 in
    /// attention is then lost in it.
    private func hasNarrowProducts(layer: Int) -> Bool {
        let part: DecoderPart = configuration.hasMergedWeights ? .queryKeyValue : .query
        guard let stored = weights.find(part, layer: layer) else { return false }
        return options.panels(stored.format, inputs: configuration.hiddenSize).kind.hasPrefix("q")
    }

    /// Queries, keys and values: as one value where one product gives them, else as three.
    private mutating func projections(_ input: Activation, _ layer: Int) -> [ValueID?] {
        let shape = configuration
        if shape.hasMergedWeights {
            let width = shape.queryWidth + 2 * shape.keyValueWidth
            return [linear(input, [(.queryKeyValue, width)], layer: layer), nil, nil]
        }
        let parts: [(part: DecoderPart, outputs: Int)] = [
            (.query, shape.queryWidth), (.key, shape.keyValueWidth), (.value, shape.keyValueWidth),
        ]
        if canMerge(parts, layer: layer) {
            return [linear(input, parts, layer: layer, hasBias: shape.hasProjectionBias), nil, nil]
        }
        return parts.map {
            linear(input, [$0], layer: layer, hasBias: shape.hasProjectionBias)
        }
    }

    private mutating func feedForward(
        _ input: Activation, residual: ValueID, _ layer: Int
    ) -> ValueID {
        let shape = configuration
        let size = shape.intermediateSize
        let both: ValueID
        if shape.hasMergedWeights {
            both = linear(input, [(.gateUp, 2 * size)], layer: layer)
        } else {
            both = sideBySide(
                input, [(.gate, size), (.up, size)], layer: layer,
                hasBias: shape.hasFeedForwardBias)
        }
        return added(
            Activation(value: both, width: size, source: shape.activation.rawValue), .down,
            norm: .feedForwardPostNorm, hasBias: shape.hasFeedForwardBias, residual: residual,
            layer)
    }

    /// Two products' outputs side by side: from one where one can give them.
    mutating func sideBySide(
        _ input: Activation, _ parts: [(part: DecoderPart, outputs: Int)], layer: Int,
        hasBias: Bool = false
    ) -> ValueID {
        if canMerge(parts, layer: layer) {
            return linear(input, parts, layer: layer, hasBias: hasBias)
        }
        let sides = parts.map { linear(input, [$0], layer: layer, hasBias: hasBias) }
        return graph.apply(
            .concat, sides[0], sides[1],
            name: "layers.\(layer).\(parts[0].part.ggufName)+\(parts[1].part.ggufName)",
            attributes: ["axis": .int(1)])
    }

    /// residual + part(input), through a norm where the family has one there.
    private mutating func added(
        _ input: Activation, _ part: DecoderPart, norm: DecoderPart, hasBias: Bool,
        residual: ValueID, _ layer: Int
    ) -> ValueID {
        let outputs = configuration.hiddenSize
        guard configuration.hasPostNorms else {
            return linear(
                input, [(part, outputs)], layer: layer, hasBias: hasBias, residual: residual)
        }
        let plain = linear(input, [(part, outputs)], layer: layer, hasBias: hasBias)
        return addNormed(plain, norm, layer: layer, residual: residual)
    }
}
