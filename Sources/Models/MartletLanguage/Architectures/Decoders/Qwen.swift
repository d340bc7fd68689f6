// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Qwen 2, 2.5 (Yang et al., 2024) and 3 (2025): biases on queries, keys and values, which 3
/// replaces by norms over heads.
extension DecoderConfiguration {
    static let qwen2 = Family { (configuration, file) throws(LanguageError) in
        configuration.hasProjectionBias = true
        try configuration.readQwenWindows(file)
    }

    static let qwen3 = Family { (configuration, file) throws(LanguageError) in
        configuration.hasProjectionBias = try file.bool("attention_bias") ?? false
        configuration.hasOutputBias = configuration.hasProjectionBias
        configuration.hasHeadNorms = true
        if file.object["head_dim"] == nil { configuration.headSize = 128 }
        try configuration.readQwenWindows(file)
    }

    /// Windows are off unless asked for, and then begin at a layer.
    mutating func readQwenWindows(_ file: ConfigFile) throws(LanguageError) {
        guard try file.bool("use_sliding_window") == true else { return }
        let first =
            try file.integer("max_window_layers", in: 0...DecoderConfiguration.layersMax) ?? 28
        try readWindows(file) { $0 >= first }
    }
}
