// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// `config.json` of a decoder, with what all families share.
extension DecoderConfiguration {
    init(
        _ file: ConfigFile, _ options: DecoderOptions = DecoderOptions()
    ) throws(LanguageError) {
        let modelType = try file.string("model_type") ?? "absent"
        guard let adapt = DecoderConfiguration.families[modelType] else {
            let known = DecoderConfiguration.families.keys.sorted().joined(separator: ", ")
            throw LanguageError(
                .unsupported, "\(file.path): model_type is \(modelType); supported are \(known)")
        }
        // Models of text and pictures keep the text's part apart.
        var file = file
        if case .object(let inner)? = file.object["text_config"] {
            file = ConfigFile(path: file.path, object: inner)
        }
        self.init()
        family = modelType
        try readSizes(file)
        servedLength = options.served(of: contextLength)
        try adapt.read(&self, file)
        if rotary.frequencies.isEmpty {
            rotary = try DecoderConfiguration.rotary(file, file.rotaryObject(), self)
        }
        if attentionScale == 0 { attentionScale = 1 / Float(headSize).squareRoot() }
        try check(file.path)
    }

    /// How a family differs from Llama.
    struct Family: Sendable {
        var read: @Sendable (inout DecoderConfiguration, ConfigFile) throws(LanguageError) -> Void
    }

    private mutating func readSizes(_ file: ConfigFile) throws(LanguageError) {
        let sizes = 1...DecoderConfiguration.sizeMax
        func required(_ name: String, _ most: Int) throws(LanguageError) -> Int {
            guard let value = try file.integer(name, in: 1...most) else { throw file.missing(name) }
            return value
        }
        hiddenSize = try required("hidden_size", DecoderConfiguration.sizeMax)
        layerCount = try required("num_hidden_layers", DecoderConfiguration.layersMax)
        headCount = try required("num_attention_heads", 4096)
        intermediateSize = try required("intermediate_size", DecoderConfiguration.sizeMax)
        vocabularySize = try required("vocab_size", DecoderConfiguration.vocabularyMax)
        keyValueHeadCount = try file.integer("num_key_value_heads", in: 1...4096) ?? headCount
        headSize = try file.integer("head_dim", in: sizes) ?? hiddenSize / headCount
        contextLength =
            try file.integer("max_position_embeddings", in: 1...DecoderConfiguration.contextMax)
            ?? 2048
        normEpsilon = Float(try file.number("rms_norm_eps") ?? 1e-6)
        tiesEmbeddings = try file.bool("tie_word_embeddings") ?? false
        activation = try DecoderConfiguration.activation(
            file, file.string("hidden_act", "hidden_activation") ?? "silu")
    }

    static func activation(
        _ file: ConfigFile, _ name: String
    ) throws(LanguageError) -> Activation {
        switch name {
        case "silu", "swish": return .silu
        case "gelu_pytorch_tanh", "gelu_new", "gelu_fast": return .geluTanh
        case "gelu": return .gelu
        default:
            throw LanguageError(
                .unsupported, "\(file.path): hidden_act: \(name) is not supported")
        }
    }

    /// Which layers have a window: as `layer_types` lists them, else what `otherwise` says.
    mutating func readWindows(
        _ file: ConfigFile, otherwise: (Int) -> Bool
    ) throws(LanguageError) {
        window = try file.integer("sliding_window", in: 0...DecoderConfiguration.contextMax) ?? 0
        guard window > 0 else { return }
        let types = try file.strings("layer_types")
        windowLayers = (0..<layerCount).map { layer in
            layer < types.count ? types[layer] == "sliding_attention" : otherwise(layer)
        }
    }
}

// MARK: Rotary positions

extension ConfigFile {
    /// `rope_parameters`, or the older `rope_scaling`; empty where there is neither.
    func rotaryObject() -> JSONObject {
        for name in ["rope_parameters", "rope_scaling"] {
            if case .object(let found)? = object[name] { return found }
        }
        return JSONObject()
    }
}

extension DecoderConfiguration {
    /// - Parameter scaling: what the configuration says of scaling, the base included in new files.
    static func rotary(
        _ file: ConfigFile, _ scaling: JSONObject, _ configuration: DecoderConfiguration,
        base: Double? = nil
    ) throws(LanguageError) -> Rotary {
        let inner = ConfigFile(path: file.path, object: scaling)
        func positive(_ name: String, _ fallback: Double?) throws(LanguageError) -> Double {
            guard let value = try inner.number(name) ?? fallback else { throw inner.missing(name) }
            guard value > 0, value.isFinite else {
                throw LanguageError(
                    .invalidFile,
                    "\(file.path): \(name): expected a positive number, found \(value)")
            }
            return value
        }
        var stated = try inner.number("partial_rotary_factor")
        if stated == nil { stated = try file.number("partial_rotary_factor") }
        let share = stated ?? 1
        guard share > 0, share <= 1 else {
            throw LanguageError(
                .invalidFile, "\(file.path): partial_rotary_factor: expected 0 to 1, found \(share)"
            )
        }
        var made = RotaryScaling(width: Int(Double(configuration.headSize) * share) / 2 * 2)
        let outer = try file.number("rope_theta") ?? 10_000
        made.base = try positive("rope_theta", base ?? outer)
        made.contextLength = configuration.contextLength
        made.servedLength = configuration.servedLength
        let lengths = 1...DecoderConfiguration.contextMax
        var original = try file.integer("original_max_position_embeddings", in: lengths)
        if original == nil {
            original = try inner.integer("original_max_position_embeddings", in: lengths)
        }
        made.originalLength = original ?? configuration.contextLength
        let kind = try inner.string("rope_type", "type") ?? "default"
        switch kind {
        case "default": break
        case "linear": made.rule = .linear(factor: try positive("factor", nil))
        case "dynamic": made.rule = .dynamic(factor: try positive("factor", nil))
        case "llama3":
            made.rule = .llama3(
                factor: try positive("factor", nil), low: try positive("low_freq_factor", nil),
                high: try positive("high_freq_factor", nil))
        case "yarn": made.rule = try yarn(inner, positive("factor", nil))
        case "longrope", "su": made.rule = try longRoPE(inner, made)
        default:
            throw LanguageError(
                .unsupported, "\(file.path): rope_type: \(kind) is not supported")
        }
        return made.rotary()
    }

    private static func yarn(
        _ file: ConfigFile, _ factor: Double
    ) throws(LanguageError) -> RotaryScaling.Rule {
        var attention = try file.number("attention_factor")
        func scale(_ by: Double) -> Double {
            factor <= 1 ? 1 : 0.1 * by * logarithm(factor) + 1
        }
        if attention == nil, let one = try file.number("mscale"), one != 0,
            let all = try file.number("mscale_all_dim"), all != 0
        {
            attention = scale(one) / scale(all)
        }
        return .yarn(
            factor: factor, fast: try file.number("beta_fast") ?? 32,
            slow: try file.number("beta_slow") ?? 1, attention: attention,
            truncates: try file.bool("truncate") ?? true)
    }

    /// Short factors up to the trained length, long ones for more: chosen for the context served.
    private static func longRoPE(
        _ file: ConfigFile, _ scaling: RotaryScaling
    ) throws(LanguageError) -> RotaryScaling.Rule {
        let isLong = scaling.servedLength > scaling.originalLength
        let name = isLong ? "long_factor" : "short_factor"
        guard case .array(let values)? = file.object[name] else { throw file.missing(name) }
        let factors = values.compactMap(\.doubleValue)
        guard factors.count == scaling.width / 2, factors.allSatisfy({ $0 > 0 && $0.isFinite })
        else {
            throw LanguageError(
                .invalidFile,
                "\(file.path): \(name): expected \(scaling.width / 2) positive numbers")
        }
        let ratio =
            try file.number("factor")
            ?? Double(scaling.contextLength) / Double(scaling.originalLength)
        let attention =
            try file.number("attention_factor")
            ?? (ratio <= 1
                ? 1
                : (1 + logarithm(ratio) / logarithm(Double(scaling.originalLength))).squareRoot())
        return .perPair(factors: factors, attention: attention)
    }
}
