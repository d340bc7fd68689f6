// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

extension ModelSignature {
    /// Checks that `tensors` are what the model's inputs ask for; allocates nothing when they are.
    ///
    /// - Throws: `EngineError.Code.invalidInput` naming the input, what was expected and what came.
    public func check(_ tensors: [Tensor]) throws(EngineError) {
        guard tensors.count == inputs.count else {
            throw EngineError(
                .invalidInput, "expected \(inputs.count) inputs, got \(tensors.count)")
        }
        for index in inputs.indices where !inputs[index].accepts(tensors[index]) {
            throw EngineError(
                .invalidInput,
                "input '\(inputs[index].name)': expected \(inputs[index].summary), "
                    + "got \(tensors[index].summary)")
        }
    }
}

extension TensorSpec {
    /// Whether the tensor has this type and fits the dimensions, varying ones at any size.
    public func accepts(_ tensor: Tensor) -> Bool {
        guard tensor.elementType == elementType, tensor.shape.rank == dimensions.count else {
            return false
        }
        for axis in dimensions.indices
        where dimensions[axis] >= 0 && dimensions[axis] != tensor.shape[axis] {
            return false
        }
        return true
    }

    /// "INT64 [batch, 128]".
    public var summary: String {
        let axes = dimensions.indices.map { axis in
            dimensions[axis] >= 0 ? String(dimensions[axis]) : dimensionNames[axis] ?? "-1"
        }
        return "\(elementType.displayName) [\(axes.joined(separator: ", "))]"
    }
}

extension Tensor {
    /// "INT32 [1, 64]".
    var summary: String { "\(elementType.displayName) \(shape)" }
}

extension ElementType {
    /// The protocol's name, or our own where the protocol has none.
    package var displayName: String { protocolName ?? "\(self)".uppercased() }
}
