// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletTensor

/// Works out outputs' shapes from the inputs', by the names of varying dimensions.
struct OutputSizes {
    private enum Size {
        case fixed(Int)
        /// As long as this axis of this input.
        case asInput(Int, axis: Int)
    }

    /// By output; nil where a size follows from nothing known.
    private let outputs: [[Size]?]

    init(_ signature: ModelSignature) {
        var places: [String: Size] = [:]
        for (index, spec) in signature.inputs.enumerated() {
            for (axis, name) in spec.dimensionNames.enumerated() {
                if let name, places[name] == nil { places[name] = .asInput(index, axis: axis) }
            }
        }
        outputs = signature.outputs.map { spec in
            guard spec.elementType != .bytes else { return nil }
            var sizes: [Size] = []
            for (dimension, name) in zip(spec.dimensions, spec.dimensionNames) {
                if dimension >= 0 {
                    sizes.append(.fixed(dimension))
                } else if let name, let place = places[name] {
                    sizes.append(place)
                } else {
                    return nil
                }
            }
            return sizes
        }
    }

    func shapes(_ inputs: [Tensor]) -> [Shape?] {
        outputs.map { sizes in
            guard let sizes else { return nil }
            return Shape(
                sizes.map { size in
                    switch size {
                    case .fixed(let size): size
                    case .asInput(let index, let axis): inputs[index].shape[axis]
                    }
                })
        }
    }
}
