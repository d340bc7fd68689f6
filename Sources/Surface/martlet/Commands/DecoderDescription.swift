// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletLanguage

/// What `martlet inspect` says of a language model.
struct DecoderDescription {
    let text: String

    /// - Throws: what stands in the way of running it: a configuration that is not understood, and
    ///   every weight that is missing or has another shape.
    init(path: String) throws {
        let options = DecoderOptions()
        let model = try DecoderModel(path: path, options: options)
        let shape = model.configuration
        _ = try model.makeGraph(options)
        var lines = [
            "family       \(shape.family)",
            "context      \(shape.contextLength) tokens, \(shape.servedLength) served",
            "vocabulary   \(shape.vocabularySize)",
            "layers       \(shape.layerCount) of width \(shape.hiddenSize), inner "
                + "\(shape.intermediateSize)",
            "heads        \(shape.headCount) of size \(shape.headSize), "
                + "\(shape.keyValueHeadCount) for keys and values",
        ]
        if let experts = shape.experts {
            lines.append("experts      \(experts.chosen) of \(experts.count) a token")
        }
        let sizes = DecoderOptions.CacheType.allCases.map { type in
            let bytes =
                2 * shape.layerCount * shape.keyValueHeadCount
                * type.byteCount(headSize: shape.headSize)
            return "\(ByteText.of(bytes)) in \(type.rawValue)"
        }
        lines.append("cache        a token: \(sizes.joined(separator: ", "))")
        text = lines.joined(separator: "\n")
    }
}
