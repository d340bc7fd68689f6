// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Phi-3: Abdin et al., Phi-3 Technical Report, 2024. Llama with merged matrices and LongRoPE.
extension DecoderConfiguration {
    static let phi3 = Family { (configuration, file) throws(LanguageError) in
        configuration.hasMergedWeights = true
        try configuration.readWindows(file) { _ in true }
    }
}
