// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletJSON

/// Mixtures of experts: Mixtral (Jiang et al., 2024), Qwen 1.5 and 2 MoE (which add a shared
/// expert) and Qwen 3 MoE.
extension DecoderConfiguration {
    static let mixtral = Family { (configuration, file) throws(LanguageError) in
        try mistral.read(&configuration, file)
        configuration.experts = Experts(
            count: try file.integer("num_local_experts", in: 1...1024) ?? 8,
            chosen: try file.integer("num_experts_per_tok", in: 1...64) ?? 2,
            innerSize: configuration.intermediateSize)
    }

    static let qwen2MoE = Family { (configuration, file) throws(LanguageError) in
        try qwen2.read(&configuration, file)
        if let hasBias = try file.bool("qkv_bias") { configuration.hasProjectionBias = hasBias }
        try configuration.readQwenExperts(file)
        configuration.experts?.sharedSize =
            try file.integer(
                "shared_expert_intermediate_size", in: 1...DecoderConfiguration.sizeMax) ?? 5632
    }

    static let qwen3MoE = Family { (configuration, file) throws(LanguageError) in
        try qwen3.read(&configuration, file)
        try configuration.readQwenExperts(file)
    }

    private mutating func readQwenExperts(_ file: ConfigFile) throws(LanguageError) {
        let step = try file.integer("decoder_sparse_step", in: 1...DecoderConfiguration.layersMax)
        var plain: Set<Int> = []
        if case .array(let listed)? = file.object["mlp_only_layers"] {
            plain = Set(listed.compactMap(\.intValue))
        }
        for layer in 0..<layerCount where (layer + 1) % (step ?? 1) != 0 { plain.insert(layer) }
        experts = Experts(
            count: try file.integer("num_experts", "num_local_experts", in: 1...1024) ?? 60,
            chosen: try file.integer("num_experts_per_tok", in: 1...64) ?? 4,
            innerSize: try file.integer(
                "moe_intermediate_size", in: 1...DecoderConfiguration.sizeMax) ?? 1408,
            normalizes: try file.bool("norm_topk_prob") ?? false, plainLayers: plain)
    }
}

extension DecoderBuilder {
    /// The experts' part of a layer, added to what came in.
    mutating func mixture(
        _ input: ValueID, _ norm: DecoderPart, _ experts: DecoderConfiguration.Experts, _ layer: Int
    ) -> ValueID {
        let width = configuration.hiddenSize
        let normed = addNormed(input, norm, layer: layer, residual: nil)
        let rows = Activation(value: normed, width: width)
        let router: DecoderPart = configuration.family == "mixtral" ? .mixtralRouter : .router
        let scores = linear(rows, [(router, experts.count)], layer: layer)
        var shared: ValueID?
        var sharedGate: ValueID?
        if experts.sharedSize > 0 {
            let size = experts.sharedSize
            let parts: [(part: DecoderPart, outputs: Int)] = [
                (.sharedGate, size), (.sharedUp, size),
            ]
            let both = sideBySide(rows, parts, layer: layer)
            let inner = Activation(
                value: both, width: size, source: configuration.activation.rawValue)
            shared = linear(inner, [(.sharedDown, width)], layer: layer)
            sharedGate = linear(rows, [(.sharedRouter, 1)], layer: layer)
        }
        var weights: [ValueID?] = []
        var format = ""
        for expert in 0..<experts.count {
            for part in ExpertPart.allCases {
                let size = experts.innerSize
                let found = self.weights.takeExpert(
                    part, expert, of: experts.count, layer: layer,
                    part == .down ? [width, size] : [size, width])
                guard let found else { continue }
                if format.isEmpty { format = found.format }
                if found.format != format {
                    self.weights.note("'\(found.name)': \(found.format) beside \(format)")
                }
                weights.append(matrix(found))
            }
        }
        let whole = min(experts.innerSize, width)
        let (panels, kind) = options.panels(
            format, inputs: whole % 32 == 0 && experts.innerSize % 32 == 0 ? whole : 1)
        let output = graph.addValue(name: "layers.\(layer).experts.out")
        graph.addNode(
            .expertRows, name: "layers.\(layer).experts",
            inputs: [normed, scores, inputs.extents, input, shared, sharedGate] + weights,
            outputs: [output],
            attributes: [
                "experts": .int(Int64(experts.count)), "chosen": .int(Int64(experts.chosen)),
                "inputs": .int(Int64(width)), "inner": .int(Int64(experts.innerSize)),
                "normalizes": .int(experts.normalizes ? 1 : 0), "kind": .string(kind),
                "format": .string(format), "panels": .string(panels),
                "source": .string(configuration.activation.rawValue),
            ])
        return output
    }
}
