// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The products of a decoder's layer that adapters may change, with their sizes.
struct AdapterModule {
    let part: DecoderPart
    let inputs: Int
    let outputs: Int

    /// In the order of their numbers; each layer has all of them.
    static let parts: [DecoderPart] = [
        .query, .key, .value, .queryKeyValue, .attentionOutput, .gate, .up, .gateUp, .down,
    ]

    static func number(_ part: DecoderPart, layer: Int) -> Int? {
        parts.firstIndex(of: part).map { layer * parts.count + $0 }
    }

    static func count(_ configuration: DecoderConfiguration) -> Int {
        configuration.layerCount * parts.count
    }

    /// What PEFT calls it: the last part of the weight's name.
    var name: String { String(part.rawValue.split(separator: ".").last ?? "") }

    /// The modules that layers of this configuration have.
    static func all(_ shape: DecoderConfiguration) -> [AdapterModule] {
        let (hidden, inner) = (shape.hiddenSize, shape.intermediateSize)
        var found: [AdapterModule] = []
        func add(_ part: DecoderPart, _ inputs: Int, _ outputs: Int) {
            found.append(AdapterModule(part: part, inputs: inputs, outputs: outputs))
        }
        if shape.hasMergedWeights {
            add(.queryKeyValue, hidden, shape.queryWidth + 2 * shape.keyValueWidth)
        } else {
            add(.query, hidden, shape.queryWidth)
            add(.key, hidden, shape.keyValueWidth)
            add(.value, hidden, shape.keyValueWidth)
        }
        add(.attentionOutput, shape.queryWidth, hidden)
        if shape.hasMergedWeights {
            add(.gateUp, hidden, 2 * inner)
        } else {
            add(.gate, hidden, inner)
            add(.up, hidden, inner)
        }
        add(.down, inner, hidden)
        return found
    }
}
