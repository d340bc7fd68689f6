// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

extension Graph {
    /// The model's inputs and outputs as its users see them.
    /// - Throws: `EngineError.Code.invalidModel` for an input or output whose element type is not
    ///   known.
    func signature() throws(EngineError) -> ModelSignature {
        var inputSpecs: [TensorSpec] = []
        for value in inputs { inputSpecs.append(try spec(of: value, type(of: value))) }
        var outputSpecs: [TensorSpec] = []
        for (index, value) in outputs.enumerated() {
            var type = type(of: value)
            if index < declaredOutputs.count {
                let declared = declaredOutputs[index]
                if type.elementType == nil { type.elementType = declared.elementType }
                if type.dimensions == nil { type.dimensions = declared.dimensions }
                if declared.container == .sequence, type.container == .optionalSequence {
                    type.container = .sequence
                }
            }
            outputSpecs.append(try spec(of: value, type))
        }
        return ModelSignature(inputs: inputSpecs, outputs: outputSpecs)
    }

    private func spec(of value: ValueID, _ type: ValueType) throws(EngineError) -> TensorSpec {
        guard let elementType = type.elementType else {
            throw EngineError(.invalidModel, "'\(name(of: value))': its type is not known")
        }
        let dimensions = type.dimensions ?? []
        return TensorSpec(
            name: name(of: value), elementType: elementType,
            dimensions: dimensions.map { $0.fixed ?? -1 },
            dimensionNames: dimensions.map { dimension in
                guard dimension.fixed == nil else { return nil }
                let name = dimension.description
                return name.hasPrefix("?") ? nil : name
            }, container: type.container, isRankKnown: type.dimensions != nil)
    }
}
