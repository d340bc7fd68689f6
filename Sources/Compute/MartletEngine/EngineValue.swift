// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
internal import MartletGraph
public import MartletTensor

/// What goes into and comes out of a model: mostly tensors; some models also take or give
/// sequences of tensors, and values that may be absent.
public enum EngineValue: Sendable {
    case tensor(Tensor)
    /// Tensors of one element type.
    case sequence([Tensor])
    /// An optional value that is absent; one that is there is the value itself.
    case none
}

extension EngineValue {
    /// The tensor; nil for other values.
    public var tensor: Tensor? {
        if case .tensor(let tensor) = self { tensor } else { nil }
    }

    public var sequence: [Tensor]? {
        if case .sequence(let tensors) = self { tensors } else { nil }
    }

    /// What messages call it.
    var summary: String {
        switch self {
        case .tensor(let tensor): tensor.summary
        case .sequence(let tensors): "a sequence of \(tensors.count)"
        case .none: "nothing"
        }
    }

    /// Whether a value of this container may be this one.
    func fits(_ container: ValueContainer) -> Bool {
        switch (container, self) {
        case (.tensor, .tensor), (.sequence, .sequence): true
        case (.optionalTensor, .tensor), (.optionalTensor, .none): true
        case (.optionalSequence, .sequence), (.optionalSequence, .none): true
        default: false
        }
    }
}

extension ExecutionContext {
    /// Computes the outputs of a model that may take or give sequences and absent values.
    ///
    /// Engines that know tensors only run those.
    public func run(
        values: [EngineValue], outputs: inout [EngineValue], cancellation: Cancellation?
    ) throws {
        var tensors: [Tensor] = []
        for value in values {
            guard let tensor = value.tensor else {
                throw EngineError(.unsupported, "this engine takes tensors, got \(value.summary)")
            }
            tensors.append(tensor)
        }
        var results: [Tensor] = []
        try run(tensors, outputs: &results, cancellation: cancellation)
        outputs = results.map { .tensor($0) }
    }
}
