// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Llama 2 and 3 and what is built like them (SmolLM, TinyLlama): Touvron et al., LLaMA, 2023.
extension DecoderConfiguration {
    static let llama = Family { (configuration, file) throws(LanguageError) in
        configuration.hasProjectionBias = try file.bool("attention_bias") ?? false
        configuration.hasOutputBias = configuration.hasProjectionBias
        configuration.hasFeedForwardBias = try file.bool("mlp_bias") ?? false
    }

    /// The families by Hugging Face's model type.
    static let families: [String: Family] = [
        "gemma2": gemma2, "gemma3": gemma3, "gemma3_text": gemma3, "llama": llama,
        "mistral": mistral, "mixtral": mixtral, "phi3": phi3, "qwen2": qwen2,
        "qwen2_moe": qwen2MoE, "qwen3": qwen3, "qwen3_moe": qwen3MoE, "smollm": llama,
    ]
}
