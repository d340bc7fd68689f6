// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
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

extension ModelSignature {
    /// Whether every input and output is a tensor, as the wire protocols need.
    public var hasTensorsOnly: Bool {
        (inputs + outputs).allSatisfy { $0.container == .tensor }
    }

    /// Checks that `values` are what the model's inputs ask for.
    public func check(values: [EngineValue]) throws(EngineError) {
        guard values.count == inputs.count else {
            throw EngineError(.invalidInput, "expected \(inputs.count) inputs, got \(values.count)")
        }
        for (spec, value) in zip(inputs, values) where !spec.accepts(value) {
            throw EngineError(
                .invalidInput,
                "input '\(spec.name)': expected \(spec.summary), got \(value.summary)")
        }
    }
}

extension TensorSpec {
    /// Whether the value is what this asks for; a sequence's tensors may be of any shape.
    public func accepts(_ value: EngineValue) -> Bool {
        guard value.fits(container) else { return false }
        return switch value {
        case .tensor(let tensor): accepts(tensor)
        case .sequence(let tensors): tensors.allSatisfy { $0.elementType == elementType }
        case .none: true
        }
    }

    /// Whether the tensor has this type and fits the dimensions, varying ones at any size.
    public func accepts(_ tensor: Tensor) -> Bool {
        guard tensor.elementType == elementType, container != .sequence,
            container != .optionalSequence
        else { return false }
        if !isRankKnown { return true }
        guard tensor.shape.rank == dimensions.count else { return false }
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
        let shape = isRankKnown ? axes.joined(separator: ", ") : "…"
        let tensor = "\(elementType.displayName) [\(shape)]"
        return switch container {
        case .tensor: tensor
        case .sequence: "a sequence of \(tensor)"
        case .optionalTensor: "\(tensor) or nothing"
        case .optionalSequence: "a sequence of \(tensor) or nothing"
        }
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
