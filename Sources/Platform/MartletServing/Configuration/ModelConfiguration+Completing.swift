// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletEngine
internal import MartletTensor

extension ModelConfiguration {
    /// The batch size that a model gets whose configuration names none and whose first dimensions
    /// all vary together.
    public static let automaticMaxBatchSize = 32

    /// Fills in what was left out from what the model says of itself, and checks the rest against
    /// it.
    /// - Returns: how client tensors map onto the model's.
    /// - Throws: `ServingError.invalidArgument` naming the tensor and both sides.
    package mutating func complete(
        with signature: ModelSignature
    ) throws(ServingError) -> ServedSignature {
        if platform.isEmpty, backend.isEmpty { (platform, backend) = ("martlet", "martlet") }
        if platform.isEmpty {
            platform = backend == "onnxruntime" ? "onnxruntime_onnx" : backend
        } else if backend.isEmpty {
            backend = platform == "onnxruntime_onnx" ? "onnxruntime" : platform
        }
        try checkNames(inputs.map(\.name), known: signature.inputs, "input")
        try checkNames(outputs.map(\.name), known: signature.outputs, "output")
        if !inputs.isEmpty, inputs.count != signature.inputs.count {
            let names = signature.inputs.map(\.name).joined(separator: ", ")
            throw invalid(
                "expects \(signature.inputs.count) inputs (\(names)), the configuration provides "
                    + "\(inputs.count)")
        }
        let canBatch = ModelConfiguration.variesInBatch(signature)
        if !statesMaxBatchSize, inputs.isEmpty, outputs.isEmpty {
            maxBatchSize = canBatch ? ModelConfiguration.automaticMaxBatchSize : 0
            if maxBatchSize > 1, dynamicBatching == nil { dynamicBatching = DynamicBatching() }
        }
        if maxBatchSize > 0, !canBatch {
            throw invalid(
                "has max_batch_size \(maxBatchSize), but not every input and output of the model "
                    + "has a first dimension that varies")
        }
        let isBatched = maxBatchSize > 0
        if inputs.isEmpty {
            inputs = signature.inputs.map {
                Input(
                    name: $0.name, elementType: $0.elementType,
                    dimensions: Array($0.dimensions.dropFirst(isBatched ? 1 : 0)))
            }
        }
        if outputs.isEmpty {
            outputs = signature.outputs.map {
                Output(
                    name: $0.name, elementType: $0.elementType,
                    dimensions: Array($0.dimensions.dropFirst(isBatched ? 1 : 0)))
            }
        }
        if instanceGroups.isEmpty {
            instanceGroups = [InstanceGroup(name: "\(name)_0", count: 1, kind: .cpu)]
        }
        if defaultModelFilename.isEmpty, ensemble == nil { defaultModelFilename = "model.onnx" }
        let inputPorts = try signature.inputs.map { spec throws(ServingError) in
            let input = inputs.first { $0.name == spec.name }
            return try port(
                spec, elementType: input?.elementType ?? spec.elementType,
                dimensions: input?.dimensions ?? [], reshape: input?.reshape, isBatched: isBatched)
        }
        let outputPorts = try signature.outputs.map { spec throws(ServingError) in
            try outputs.first { $0.name == spec.name }.map { output throws(ServingError) in
                try port(
                    spec, elementType: output.elementType, dimensions: output.dimensions,
                    reshape: output.reshape, isBatched: isBatched)
            }
        }
        return ServedSignature(inputs: inputPorts, outputs: outputPorts, isBatched: isBatched)
    }

    /// Whether every input and output begins with a dimension that varies, under one name if named.
    static func variesInBatch(_ signature: ModelSignature) -> Bool {
        let specs = signature.inputs + signature.outputs
        guard !specs.isEmpty, specs.allSatisfy({ $0.dimensions.first == -1 }) else { return false }
        return Set(signature.inputs.compactMap { $0.dimensionNames.first ?? nil }).count <= 1
    }

    private func port(
        _ spec: TensorSpec, elementType: ElementType, dimensions: [Int], reshape: [Int]?,
        isBatched: Bool
    ) throws(ServingError) -> ServedSignature.Port {
        guard elementType == spec.elementType else {
            throw invalid(
                "tensor '\(spec.name)': the configuration's data type is "
                    + "\(elementType.configurationName), the model's "
                    + "\(spec.elementType.configurationName)")
        }
        let stated = reshape ?? dimensions
        let expected = Array(spec.dimensions.dropFirst(isBatched ? 1 : 0))
        let fits =
            stated.count == expected.count
            && zip(stated, expected).allSatisfy { $0 == $1 || $1 < 0 || $0 < 0 }
        guard fits else {
            throw invalid(
                "tensor '\(spec.name)': the model expects \(spec.dimensions.count) dimensions "
                    + "(shape \(bracketed(spec.dimensions))) but the model configuration specifies "
                    + "\(stated.count + (isBatched ? 1 : 0)) dimensions (shape "
                    + "\(bracketed((isBatched ? [-1] : []) + stated)))")
        }
        // A fixed dimension of the model stays fixed for clients, whatever the file hopes.
        let exact = zip(stated, expected).map { $0 < 0 ? $1 : $0 }
        return ServedSignature.Port(
            name: spec.name, elementType: elementType,
            clientDimensions: reshape == nil ? exact : dimensions, modelDimensions: exact)
    }

    private func checkNames(
        _ names: [String], known: [TensorSpec], _ what: String
    ) throws(ServingError) {
        for (position, name) in names.enumerated() {
            guard known.contains(where: { $0.name == name }) else {
                throw invalid(
                    "unexpected inference \(what) '\(name)', allowed \(what)s are: "
                        + known.map(\.name).joined(separator: ", "))
            }
            if names[..<position].contains(name) {
                throw invalid("\(what) '\(name)' is configured twice")
            }
        }
    }

    func invalid(_ message: String) -> ServingError {
        ServingError(.invalidArgument, "model '\(name)': \(message)")
    }

    private func bracketed(_ dimensions: [Int]) -> String {
        "[" + dimensions.map(String.init).joined(separator: ",") + "]"
    }
}
