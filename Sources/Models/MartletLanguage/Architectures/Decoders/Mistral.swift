// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Mistral: Jiang et al., Mistral 7B, 2023. Llama with a sliding window in every layer.
extension DecoderConfiguration {
    static let mistral = Family { (configuration, file) throws(LanguageError) in
        try configuration.readWindows(file) { _ in true }
    }
}
