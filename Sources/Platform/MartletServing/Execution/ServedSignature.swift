// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
package import MartletEngine
package import MartletTensor

/// What a client may send and will get, beside what the model itself takes and gives.
///
/// The two differ by the batch dimension, by `reshape` in the configuration, and in order: clients
/// name their tensors, the engine goes by position.
package struct ServedSignature: Sendable {
    /// One input or output, dimensions without the batch; -1 varies.
    package struct Port: Sendable {
        package var name: String
        package var elementType: ElementType
        package var clientDimensions: [Int]
        package var modelDimensions: [Int]

        var isReshaped: Bool { clientDimensions != modelDimensions }

        package init(
            name: String, elementType: ElementType, clientDimensions: [Int],
            modelDimensions: [Int]? = nil
        ) {
            self.name = name
            self.elementType = elementType
            self.clientDimensions = clientDimensions
            self.modelDimensions = modelDimensions ?? clientDimensions
        }
    }

    /// In the engine's order.
    package var inputs: [Port]
    /// In the engine's order; nil where the configuration leaves the output out.
    package var outputs: [Port?]
    package var isBatched: Bool

    package init(inputs: [Port], outputs: [Port?], isBatched: Bool) {
        self.inputs = inputs
        self.outputs = outputs
        self.isBatched = isBatched
    }

    /// The metadata's view of a port: the batch dimension is -1.
    package func spec(_ port: Port) -> TensorSpec {
        TensorSpec(
            name: port.name, elementType: port.elementType,
            dimensions: (isBatched ? [-1] : []) + port.clientDimensions)
    }
}

/// A request's inputs in the engine's order and shapes.
package struct BoundInputs: Sendable {
    package var tensors: [Tensor]
    package var rows: Int
    package var key: BatchKey
}

extension ServedSignature {
    /// Checks a request's inputs and puts them in the engine's order. Copies no data.
    /// - Throws: `ServingError.invalidArgument` naming the tensor, what was expected and what came.
    package func bind(
        _ inputs: [NamedTensor], model: String
    ) throws(ServingError) -> BoundInputs {
        var bound = BoundInputs(tensors: [], rows: 1, key: BatchKey())
        bound.tensors.reserveCapacity(self.inputs.count)
        if inputs.count != self.inputs.count { throw countError(inputs, model: model) }
        for (position, port) in self.inputs.enumerated() {
            let found =
                inputs[position].name == port.name
                ? position : inputs.firstIndex { $0.name == port.name }
            guard let found else { throw countError(inputs, model: model) }
            let tensor = inputs[found].tensor
            guard tensor.elementType == port.elementType else {
                throw ServingError(
                    .invalidArgument,
                    "inference input '\(port.name)' data-type is "
                        + "'\(tensor.elementType.protocolName ?? "unknown")', but model '\(model)' "
                        + "expects '\(port.elementType.protocolName ?? "unknown")'")
            }
            let rows = try check(tensor.shape, port, model: model, key: &bound.key)
            if position == 0 {
                bound.rows = rows
            } else if rows != bound.rows {
                throw ServingError(
                    .invalidArgument,
                    "input '\(port.name)' batch size does not match other inputs for '\(model)': "
                        + "\(rows) and \(bound.rows)")
            }
            bound.tensors.append(
                port.isReshaped ? try reshaped(tensor, port, rows: rows) : tensor)
        }
        return bound
    }

    /// Compares a client's shape with a port's; returns the rows and adds to the batch key.
    private func check(
        _ shape: Shape, _ port: Port, model: String, key: inout BatchKey
    ) throws(ServingError) -> Int {
        let first = isBatched ? 1 : 0
        var fits = shape.rank == port.clientDimensions.count + first
        if fits {
            for (axis, expected) in port.clientDimensions.enumerated() {
                let actual = shape[axis + first]
                if expected < 0 { key.append(actual) }
                if expected >= 0 ? actual != expected : actual < 0 { fits = false }
            }
        }
        guard fits, !isBatched || shape[0] >= 1 else {
            let expected = (isBatched ? [-1] : []) + port.clientDimensions
            let note =
                isBatched
                ? " NOTE: Setting a non-zero max_batch_size in the model config requires a batch "
                    + "dimension to be prepended to each input shape." : ""
            throw ServingError(
                .invalidArgument,
                "unexpected shape for input '\(port.name)' for model '\(model)'. Expected "
                    + "\(bracketed(expected)), got \(bracketed(Array(shape))).\(note)")
        }
        return isBatched ? shape[0] : 1
    }

    /// The tensor as the model wants it: its varying dimensions take the client's, in order.
    private func reshaped(
        _ tensor: Tensor, _ port: Port, rows: Int
    ) throws(ServingError) -> Tensor {
        var varying: [Int] = []
        let first = isBatched ? 1 : 0
        for (axis, expected) in port.clientDimensions.enumerated() where expected < 0 {
            varying.append(tensor.shape[axis + first])
        }
        return try ServedSignature.view(
            tensor, rows: isBatched ? rows : nil, dimensions: port.modelDimensions,
            varying: varying)
    }

    /// An output as the client wants it.
    package func clientView(_ tensor: Tensor, _ port: Port) throws(ServingError) -> Tensor {
        guard port.isReshaped else { return tensor }
        let first = isBatched ? 1 : 0
        var varying: [Int] = []
        for (axis, expected) in port.modelDimensions.enumerated()
        where expected < 0 && axis + first < tensor.shape.rank {
            varying.append(tensor.shape[axis + first])
        }
        let rows = isBatched ? tensor.shape.first : nil
        return try ServedSignature.view(
            tensor, rows: rows, dimensions: port.clientDimensions, varying: varying)
    }

    private static func view(
        _ tensor: Tensor, rows: Int?, dimensions: [Int], varying: [Int]
    ) throws(ServingError) -> Tensor {
        var left = varying[...]
        var shape = Shape()
        if let rows { shape.append(rows) }
        for dimension in dimensions {
            shape.append(dimension >= 0 ? dimension : left.popFirst() ?? -1)
        }
        do {
            return try Tensor(
                elementType: tensor.elementType, shape: shape, storage: tensor.storage,
                byteOffset: tensor.byteOffset, byteCount: tensor.byteCount)
        } catch {
            throw ServingError(
                .invalidArgument, "cannot reshape \(tensor.shape) to \(shape)", cause: error)
        }
    }

    private func countError(_ given: [NamedTensor], model: String) -> ServingError {
        if let unknown = given.first(where: { input in
            !inputs.contains { $0.name == input.name }
        }) {
            return ServingError(
                .invalidArgument,
                "unexpected inference input '\(unknown.name)' for model '\(model)'")
        }
        let missing = inputs.map(\.name).filter { name in !given.contains { $0.name == name } }
        return ServingError(
            .invalidArgument,
            "expected \(inputs.count) inputs but got \(given.count) inputs for model '\(model)'. "
                + "Got input(s) \(quoted(given.map(\.name))), but missing required input(s) "
                + "\(quoted(missing)). Please provide all required input(s).")
    }

    private func bracketed(_ dimensions: [Int]) -> String {
        "[" + dimensions.map(String.init).joined(separator: ",") + "]"
    }

    private func quoted(_ names: [String]) -> String {
        "[" + names.map { "'\($0)'" }.joined(separator: ", ") + "]"
    }
}
