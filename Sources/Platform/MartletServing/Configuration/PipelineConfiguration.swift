// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Stages around a model: what makes its inputs of a client's bytes, and answers of its outputs.
public struct PipelineConfiguration: Sendable, Hashable {
    public var pre: [Stage]
    public var post: [Stage]

    public init(pre: [Stage] = [], post: [Stage] = []) {
        self.pre = pre
        self.post = post
    }

    public var isEmpty: Bool { pre.isEmpty && post.isEmpty }
}

extension PipelineConfiguration {
    /// One stage with its settings.
    public enum Stage: Sendable, Hashable {
        /// BYTES texts → `input_ids`, `attention_mask` (and `token_type_ids`) INT64.
        case tokenize(tokenizerPath: String, lengthMax: Int)
        /// BYTES holding a JPEG or PNG each → UINT8 height × width × 3.
        case decodeImage
        /// The shorter side becomes `shorterSide`, then the middle `crop` × `crop` is kept.
        case resize(shorterSide: Int, crop: Int)
        /// (value × scale − mean) / deviation per channel, FP32, in the given layout.
        case normalize(mean: [Float], deviation: [Float], scale: Float, layout: Layout)
        case softmax
        /// The `count` best as "value:index[:label]" BYTES.
        case topK(count: Int, labelsPath: String?)
        case pool(Pooling, normalizes: Bool)
    }

    public enum Layout: String, Sendable, Hashable {
        case channelsFirst = "nchw"
        case channelsLast = "nhwc"
    }

    public enum Pooling: String, Sendable, Hashable {
        case mean
        case firstToken = "cls"
    }
}
