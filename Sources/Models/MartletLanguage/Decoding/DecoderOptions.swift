// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletEngine

/// How a decoder is run.
public struct DecoderOptions: Sendable {
    /// How products are computed.
    public enum Precision: String, Sendable, CaseIterable {
        /// As the weights are stored: blocks meet activations in 8 bits, BF16 meets BF16, F16 and
        /// F32 meet F32.
        case stored
        /// Every weight as stored, activations and sums in 32 bits.
        case float32 = "f32"
        /// Plain weights rounded to Q8_0 at load; blocks as stored.
        case int8
    }

    /// What keys and values are kept as.
    public enum CacheType: String, Sendable, CaseIterable {
        case float32 = "f32"
        case float16 = "f16"
        case bfloat16 = "bf16"
        /// Rounded to 8 bits, with an f32 scale for each position of a head.
        case int8

        /// Bytes of a position's values of one head.
        package func byteCount(headSize: Int) -> Int {
            switch self {
            case .float32: 4 * headSize
            case .float16, .bfloat16: 2 * headSize
            case .int8: headSize + 4
            }
        }
    }

    package var precision: Precision
    package var cacheType: CacheType
    /// The most positions of a sequence; nil: as the model says, at most 32 768.
    package var contextLength: Int?
    /// The most bytes that the cache may take, all layers together. It never holds more than
    /// `sequencesMax` sequences of the whole context.
    package var cacheByteCountMax: Int
    package var sequencesMax: Int
    /// Low-rank adapters that may be loaded at a time; 0: the graph has no place for any.
    package var adaptersMax: Int
    /// The most bytes that their floats may take.
    package var adapterByteCountMax: Int
    /// The most bytes that weights and working memory may take.
    package var memoryByteCountMax: Int
    /// Threads of a step, the caller's included; nil: the pool's.
    package var threads: Int?
    /// Where packed weights are kept between processes; nil keeps none.
    package var planCache: PlanCacheOptions?
    /// Is told why packed weights that were kept could not be used, or not be kept.
    package var note: (@Sendable (String) -> Void)?

    package init(
        precision: Precision = .stored, cacheType: CacheType = .float16, contextLength: Int? = nil,
        cacheByteCountMax: Int = 1 << 30, sequencesMax: Int = 64,
        adaptersMax: Int = 0, adapterByteCountMax: Int = 512 << 20,
        memoryByteCountMax: Int = 64 << 30, threads: Int? = nil
    ) {
        self.precision = precision
        self.cacheType = cacheType
        self.contextLength = contextLength
        self.cacheByteCountMax = cacheByteCountMax
        self.sequencesMax = sequencesMax
        self.adaptersMax = adaptersMax
        self.adapterByteCountMax = adapterByteCountMax
        self.memoryByteCountMax = memoryByteCountMax
        self.threads = threads
    }

    /// The positions that are served of those that a model has.
    func served(of all: Int) -> Int { min(contextLength ?? min(all, 32_768), all) }

    /// Tokens of a block of the cache: what the kernels are made for.
    package static let blockLength = 16

    /// Bytes of one layer's keys, or values, of one block.
    func blockByteCount(_ configuration: DecoderConfiguration) -> Int {
        configuration.keyValueHeadCount * DecoderOptions.blockLength
            * cacheType.byteCount(headSize: configuration.headSize)
    }

    /// The panels that weights of a format are packed into, and how rows that meet them are
    /// prepared. Rows that are not whole blocks of 32 are not rounded to 8 bits.
    func panels(_ format: String, inputs: Int) -> (panels: String, kind: String) {
        let precision = precision == .int8 && inputs % 32 != 0 ? .stored : precision
        return switch (format, precision) {
        case ("F32", .int8), ("F16", .int8), ("BF16", .int8): ("Q8_0", "q128")
        case ("BF16", .stored): ("BF16", "bf16")
        case ("F32", _), ("F16", _), ("BF16", _): (format, "f32")
        case (_, .float32): ("F32", "f32")
        case ("Q5_0", _): (format, "q16")
        case ("Q8_0", _): (format, "q128")
        case ("Q6_K", _): (format, "q32")
        default: (format, "q8")
        }
    }
}
