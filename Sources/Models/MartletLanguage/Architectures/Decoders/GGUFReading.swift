// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats

/// A decoder's configuration from a GGUF file's metadata.
extension DecoderConfiguration {
    init(
        _ file: GGUFFile, path: String, _ options: DecoderOptions = DecoderOptions()
    ) throws(LanguageError) {
        let reader = GGUFReader(file: file, path: path)
        let name = file.metadata["general.architecture"]?.string ?? "absent"
        let known = [
            "llama", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "gemma2", "gemma3", "phi3",
        ]
        guard known.contains(name) else {
            throw LanguageError(
                .unsupported,
                "\(path): general.architecture is \(name); supported are "
                    + known.joined(separator: ", "))
        }
        self.init()
        family = name
        try readSizes(reader)
        servedLength = options.served(of: contextLength)
        switch name {
        case "qwen2", "qwen2moe": hasProjectionBias = true
        case "qwen3", "qwen3moe": hasHeadNorms = true
        case "phi3":
            hasMergedWeights = true
            window = try reader.integer("attention.sliding_window") ?? 0
            windowLayers = Array(repeating: window > 0, count: layerCount)
        case "gemma2", "gemma3": try readGemma(reader)
        default: break
        }
        hasProjectionBias = hasProjectionBias || file["blk.0.attn_q.bias"] != nil
        hasOutputBias = file["blk.0.attn_output.bias"] != nil
        hasFeedForwardBias = file["blk.0.ffn_down.bias"] != nil
        tiesEmbeddings = file["output.weight"] == nil
        try readRotary(reader)
        if attentionScale == 0 { attentionScale = 1 / Float(headSize).squareRoot() }
        try check(path)
    }

    private mutating func readSizes(_ reader: GGUFReader) throws(LanguageError) {
        hiddenSize = try reader.required("embedding_length")
        layerCount = try reader.required("block_count")
        headCount = try reader.required("attention.head_count")
        intermediateSize = try reader.integer("feed_forward_length") ?? 1
        keyValueHeadCount = try reader.integer("attention.head_count_kv") ?? headCount
        guard headCount > 0, headCount <= 4096, layerCount > 0,
            layerCount <= DecoderConfiguration.layersMax
        else {
            throw LanguageError(
                .invalidFile, "\(reader.path): \(headCount) heads in \(layerCount) layers")
        }
        headSize = try reader.integer("attention.key_length") ?? hiddenSize / headCount
        contextLength = try reader.integer("context_length") ?? 2048
        normEpsilon = Float(try reader.number("attention.layer_norm_rms_epsilon") ?? 1e-6)
        // Rows of the table: what the metadata says of the vocabulary may be padded otherwise.
        vocabularySize = reader.file["token_embd.weight"]?.dimensions.first ?? 0
        guard let experts = try reader.integer("expert_count"), experts > 0 else { return }
        let inner = try reader.integer("expert_feed_forward_length") ?? intermediateSize
        self.experts = Experts(
            count: experts, chosen: try reader.required("expert_used_count"), innerSize: inner,
            sharedSize: reader.file["blk.0.ffn_gate_shexp.weight"]?.dimensions.first ?? 0,
            normalizes: family != "qwen2moe")
    }

    private mutating func readGemma(_ reader: GGUFReader) throws(LanguageError) {
        let isThird = family == "gemma3"
        hasPostNorms = true
        hasHeadNorms = isThird
        activation = .geluTanh
        embeddingScale = Float(hiddenSize).squareRoot()
        attentionSoftcap = Float(try reader.number("attn_logit_softcapping") ?? 0)
        logitSoftcap = Float(try reader.number("final_logit_softcapping") ?? 0)
        window = try reader.integer("attention.sliding_window") ?? 0
        windowLayers = (0..<layerCount).map { isThird ? ($0 + 1) % 6 != 0 : $0 % 2 == 0 }
        // The 27 B models scale by the width of a head as the hidden size divides, others by the
        // head.
        let isLargest = layerCount == (isThird ? 62 : 46)
        attentionScale = 1 / Float(isLargest ? hiddenSize / headCount : headSize).squareRoot()
    }

    private mutating func readRotary(_ reader: GGUFReader) throws(LanguageError) {
        let width = try reader.integer("rope.dimension_count") ?? headSize
        guard width > 0, width <= headSize, width % 2 == 0 else {
            throw LanguageError(
                .invalidFile, "\(reader.path): \(width) turned values of a head of \(headSize)")
        }
        var scaling = RotaryScaling(width: width)
        let base = family == "gemma3" ? 1_000_000.0 : 10_000
        scaling.base = try reader.number("rope.freq_base") ?? base
        scaling.contextLength = contextLength
        scaling.servedLength = servedLength
        scaling.originalLength =
            try reader.integer("rope.scaling.original_context_length") ?? contextLength
        let factor = try reader.number("rope.scaling.factor") ?? 1
        guard scaling.base > 0, factor > 0, scaling.originalLength > 0 else {
            throw LanguageError(
                .invalidFile, "\(reader.path): rope: base or factor is not positive")
        }
        switch try reader.string("rope.scaling.type") ?? "none" {
        case "linear": scaling.rule = .linear(factor: factor)
        case "yarn":
            scaling.rule = .yarn(
                factor: factor, fast: try reader.number("rope.scaling.yarn_beta_fast") ?? 32,
                slow: try reader.number("rope.scaling.yarn_beta_slow") ?? 1,
                attention: try reader.number("rope.scaling.attn_factor"), truncates: true)
        default: break
        }
        if let factors = try reader.factors(scaling, pairs: width / 2) {
            scaling.rule = .perPair(
                factors: factors, attention: try reader.number("rope.scaling.attn_factor") ?? 1)
        }
        rotary = scaling.rotary()
        // llama.cpp's converter reorders the heads of Llama's queries and keys so that pairs are
        // neighbours; scores do not change when both are read in the same order.
        rotary.isInterleaved = family == "llama"
        if family == "gemma3" { localRotary = RotaryScaling(width: width).rotary() }
    }
}

/// Typed access to a GGUF model's own keys ("llama.block_count").
struct GGUFReader {
    let file: GGUFFile
    let path: String

    private func value(_ name: String) -> GGUFValue? {
        let architecture = file.metadata["general.architecture"]?.string ?? ""
        return file.metadata["\(architecture).\(name)"]
    }

    func required(_ name: String) throws(LanguageError) -> Int {
        guard let value = try integer(name) else {
            throw LanguageError(.invalidFile, "\(path): '\(name)' is missing")
        }
        return value
    }

    func integer(_ name: String) throws(LanguageError) -> Int? {
        guard let value = value(name) else { return nil }
        // Some files list one number a layer; they must agree.
        if let list = value.array?.integers(), let first = list.first,
            list.allSatisfy({ $0 == first })
        {
            return first
        }
        guard let number = value.int, number >= 0, number <= 1 << 31 else {
            throw LanguageError(.invalidFile, "\(path): '\(name)' is not a size")
        }
        return number
    }

    func number(_ name: String) throws(LanguageError) -> Double? {
        guard let value = value(name) else { return nil }
        guard let number = value.double, number.isFinite else {
            throw LanguageError(.invalidFile, "\(path): '\(name)' is not a number")
        }
        return number
    }

    func string(_ name: String) throws(LanguageError) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.string else {
            throw LanguageError(.invalidFile, "\(path): '\(name)' is not a text")
        }
        return text
    }

    /// Factors for each pair, which files carry as a tensor (Llama 3.1 and later, LongRoPE).
    func factors(_ scaling: RotaryScaling, pairs: Int) throws(LanguageError) -> [Double]? {
        let isLong = scaling.servedLength > scaling.originalLength
        let names = [
            "rope_freqs.weight", isLong ? "rope_factors_long.weight" : "rope_factors_short.weight",
        ]
        guard let found = names.lazy.compactMap({ file[$0] }).first else { return nil }
        let values = (try? StoredTensor(found).floats()) ?? []
        guard values.count == pairs, values.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw LanguageError(
                .invalidFile, "\(path): '\(found.name)' does not hold \(pairs) positive numbers")
        }
        return values.map { Double($0) }
    }
}
