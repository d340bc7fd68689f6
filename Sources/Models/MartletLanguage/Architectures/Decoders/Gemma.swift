// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Gemma 2 (Gemma Team, 2024) and 3 (2025): norms before and after, scaled embeddings, layers with
/// and without a window; 2 bounds scores and logits, 3 norms heads and turns local layers
/// otherwise.
extension DecoderConfiguration {
    static let gemma2 = Family { (configuration, file) throws(LanguageError) in
        try configuration.readGemma(file)
        configuration.attentionSoftcap = Float(try file.number("attn_logit_softcapping") ?? 0)
        configuration.logitSoftcap = Float(try file.number("final_logit_softcapping") ?? 0)
        try configuration.readWindows(file) { $0 % 2 == 0 }
    }

    static let gemma3 = Family { (configuration, file) throws(LanguageError) in
        try configuration.readGemma(file)
        configuration.hasHeadNorms = true
        let pattern = try file.integer("sliding_window_pattern", in: 1...1024) ?? 6
        try configuration.readWindows(file) { ($0 + 1) % pattern != 0 }
        let object = file.rotaryObject()
        func part(_ name: String) -> JSONObject? {
            if case .object(let inner)? = object[name] { inner } else { nil }
        }
        let local = part("sliding_attention")
        let base = try file.number("rope_local_base_freq") ?? 10_000
        configuration.localRotary = try DecoderConfiguration.rotary(
            file, local ?? .init(), configuration, base: base)
        let global = part("full_attention") ?? (local == nil ? object : .init())
        configuration.rotary = try DecoderConfiguration.rotary(
            file, global, configuration, base: file.number("rope_theta") ?? 1_000_000)
    }

    private mutating func readGemma(_ file: ConfigFile) throws(LanguageError) {
        if file.object["head_dim"] == nil { headSize = 256 }
        if file.object["tie_word_embeddings"] == nil { tiesEmbeddings = true }
        activation = try DecoderConfiguration.activation(
            file, file.string("hidden_activation", "hidden_act") ?? "gelu_pytorch_tanh")
        // Published configurations say "gelu" and mean the other.
        if activation == .gelu { activation = .geluTanh }
        hasProjectionBias = try file.bool("attention_bias") ?? false
        hasOutputBias = hasProjectionBias
        hasPostNorms = true
        normOffset = 1
        embeddingScale = Float(hiddenSize).squareRoot()
        let scalar = try file.number("query_pre_attn_scalar") ?? Double(headSize)
        attentionScale = Float(1 / scalar.squareRoot())
    }
}
