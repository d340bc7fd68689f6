// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

extension Graph {
    /// The model's inputs and outputs as its users see them.
    /// - Throws: `EngineError.Code.invalidModel` for an input or output whose type or rank is not
    ///   known.
    func signature() throws(EngineError) -> ModelSignature {
        var specs: [TensorSpec] = []
        for value in inputs + outputs {
            let type = type(of: value)
            guard let elementType = type.elementType, let dimensions = type.dimensions else {
                throw EngineError(
                    .invalidModel, "'\(name(of: value))': type or rank is not known")
            }
            specs.append(
                TensorSpec(
                    name: name(of: value), elementType: elementType,
                    dimensions: dimensions.map { $0.fixed ?? -1 },
                    dimensionNames: dimensions.map { dimension in
                        guard dimension.fixed == nil else { return nil }
                        let name = dimension.description
                        return name.hasPrefix("?") ? nil : name
                    }))
        }
        return ModelSignature(
            inputs: Array(specs[..<inputs.count]), outputs: Array(specs[inputs.count...]))
    }
}
