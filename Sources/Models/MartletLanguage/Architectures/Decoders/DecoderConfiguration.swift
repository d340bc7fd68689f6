// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a decoder's file says of its shape, in one form for `config.json` and GGUF.
package struct DecoderConfiguration: Sendable, Hashable {
    package enum Activation: String, Sendable {
        case silu = "Silu"
        case geluTanh = "GeluTanh"
        case gelu = "Gelu"
    }

    /// How positions turn queries and keys.
    package struct Rotary: Sendable, Hashable {
        /// Angles a position, one for each pair of a head's values.
        package var frequencies: [Float]
        /// What cosines and sines are multiplied with.
        package var factor: Float = 1
        /// Pairs are neighbours, as llama.cpp stores Llama's heads, and not half a head apart.
        package var isInterleaved = false
    }

    /// Hugging Face's model type.
    package var family = ""
    package var hiddenSize = 0
    package var layerCount = 0
    package var headCount = 0
    package var keyValueHeadCount = 0
    package var headSize = 0
    package var intermediateSize = 0
    package var vocabularySize = 0
    package var contextLength = 0
    /// The part of it that is served: what rules of long contexts go by.
    package var servedLength = 0
    package var normEpsilon: Float = 1e-6
    package var activation = Activation.silu
    package var rotary = Rotary(frequencies: [])
    /// What layers with a sliding window use instead; nil: the same.
    package var localRotary: Rotary?
    package var tiesEmbeddings = false
    package var hasProjectionBias = false
    package var hasOutputBias = false
    package var hasFeedForwardBias = false
    /// An RMS norm over each query and key head.
    package var hasHeadNorms = false
    /// Norms after attention and feed-forward too, before they are added (Gemma).
    package var hasPostNorms = false
    /// Queries, keys and values are one matrix, and so are gate and up (Phi-3).
    package var hasMergedWeights = false
    /// What is added to norms' weights: 1 where a file stores their difference from 1.
    package var normOffset: Float = 0
    /// Positions that a layer with a sliding window sees.
    package var window = 0
    /// Which layers have it.
    package var windowLayers: [Bool] = []
    package var attentionSoftcap: Float = 0
    package var logitSoftcap: Float = 0
    package var attentionScale: Float = 0
    package var embeddingScale: Float = 1
    package var experts: Experts?

    /// Feed-forward parts of which each token goes through a few.
    package struct Experts: Sendable, Hashable {
        package var count: Int
        package var chosen: Int
        package var innerSize: Int
        /// The size of one that every token goes through; 0 where there is none.
        package var sharedSize = 0
        package var normalizes = true
        /// Layers that have none.
        package var plainLayers: Set<Int> = []
    }

    var queryWidth: Int { headCount * headSize }
    var keyValueWidth: Int { keyValueHeadCount * headSize }

    func window(ofLayer layer: Int) -> Int {
        layer < windowLayers.count && windowLayers[layer] ? window : 0
    }

    /// The bounds that every size must keep, so that products of them do not overflow.
    static let sizeMax = 1 << 20
    static let vocabularyMax = 1 << 24
    static let layersMax = 1024
    static let contextMax = 1 << 24
    static let headSizeMax = 512

    /// Throws for what contradicts itself; `path` names the file.
    func check(_ path: String) throws(LanguageError) {
        func fail(_ message: String) -> LanguageError {
            LanguageError(.invalidFile, "\(path): \(message)")
        }
        let sizes = [
            ("hidden size", hiddenSize, DecoderConfiguration.sizeMax),
            ("layers", layerCount, DecoderConfiguration.layersMax),
            ("attention heads", headCount, 4096), ("key-value heads", keyValueHeadCount, 4096),
            ("head size", headSize, DecoderConfiguration.headSizeMax),
            ("intermediate size", intermediateSize, DecoderConfiguration.sizeMax),
            ("vocabulary", vocabularySize, DecoderConfiguration.vocabularyMax),
            ("context length", contextLength, DecoderConfiguration.contextMax),
        ]
        for (name, size, most) in sizes where size < 1 || size > most {
            throw fail("\(name): expected 1 to \(most), found \(size)")
        }
        if let experts {
            guard (1...1024).contains(experts.count), (1...64).contains(experts.chosen),
                experts.chosen <= experts.count,
                (1...DecoderConfiguration.sizeMax).contains(experts.innerSize),
                (0...DecoderConfiguration.sizeMax).contains(experts.sharedSize)
            else {
                throw fail(
                    "\(experts.chosen) of \(experts.count) experts of size \(experts.innerSize)")
            }
        }
        guard headCount % keyValueHeadCount == 0 else {
            throw fail("\(headCount) heads are not a multiple of \(keyValueHeadCount)")
        }
        guard normEpsilon >= 0, normEpsilon < 1 else {
            throw fail("norm epsilon: expected 0 to 1, found \(normEpsilon)")
        }
        for turned in [rotary, localRotary ?? rotary] {
            guard turned.frequencies.count * 2 <= headSize,
                turned.frequencies.allSatisfy({ $0.isFinite }), turned.factor.isFinite
            else {
                throw fail("rotary positions do not fit a head of \(headSize)")
            }
        }
        guard attentionScale.isFinite, attentionScale > 0, embeddingScale.isFinite,
            attentionSoftcap >= 0, logitSoftcap >= 0, attentionSoftcap.isFinite,
            logitSoftcap.isFinite, window >= 0
        else { throw fail("a scale, softcap or window is not valid") }
    }
}
