// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletEngine
internal import MartletTensor

/// An ensemble's steps as a checked graph.
package struct EnsemblePlan: Sendable {
    package typealias Specs = (inputs: [TensorSpec], outputs: [TensorSpec])

    /// In an order in which every step's inputs come before it.
    package let steps: [ModelConfiguration.Ensemble.Step]

    /// - Parameter specs: a model's inputs and outputs; nil when it is not loaded.
    /// - Throws: `ServingError.invalidArgument`: an unknown model, input or output, a tensor made
    ///   twice or never, types or shapes that do not fit, a cycle.
    package init(
        _ configuration: ModelConfiguration, specs: (String, Int64) -> Specs?
    ) throws(ServingError) {
        let name = configuration.name
        func wrong(_ message: String) -> ServingError {
            ServingError(.invalidArgument, "ensemble '\(name)': \(message)")
        }
        let batch = configuration.maxBatchSize > 0 ? [-1] : []
        var made: [String: TensorSpec] = [:]
        for input in configuration.inputs {
            made[input.name] = TensorSpec(
                name: input.name, elementType: input.elementType,
                dimensions: batch + input.dimensions)
        }
        var left = configuration.ensemble?.steps ?? []
        let produced = left.flatMap(\.outputMap.values)
        for tensor in produced {
            if made[tensor] != nil || produced.count(where: { $0 == tensor }) > 1 {
                throw wrong("tensor '\(tensor)' is made twice")
            }
        }
        var order: [ModelConfiguration.Ensemble.Step] = []
        while !left.isEmpty {
            let isReady: (ModelConfiguration.Ensemble.Step) -> Bool = { step in
                step.inputMap.values.allSatisfy { made[$0] != nil }
            }
            guard let index = left.firstIndex(where: isReady) else {
                let missing = left.flatMap(\.inputMap.values).filter {
                    made[$0] == nil && !produced.contains($0)
                }
                throw wrong(
                    missing.isEmpty
                        ? "steps wait for each other in a circle: "
                            + left.map(\.modelName).joined(separator: ", ")
                        : "tensor '\(missing[0])' is never made")
            }
            let step = left.remove(at: index)
            guard let model = specs(step.modelName, step.modelVersion) else {
                throw wrong("model '\(step.modelName)' is not loaded")
            }
            try EnsemblePlan.check(step, model, &made, wrong)
            order.append(step)
        }
        for output in configuration.outputs {
            guard let spec = made[output.name] else {
                throw wrong("output '\(output.name)' is never made")
            }
            let stated = TensorSpec(
                name: output.name, elementType: output.elementType,
                dimensions: batch + output.dimensions)
            guard EnsemblePlan.fits(spec, stated) else {
                throw wrong(
                    "output '\(output.name)' is \(EnsemblePlan.text(stated)), but "
                        + "\(EnsemblePlan.text(spec)) is made")
            }
        }
        steps = order
    }

    private static func check(
        _ step: ModelConfiguration.Ensemble.Step, _ model: Specs,
        _ made: inout [String: TensorSpec], _ wrong: (String) -> ServingError
    ) throws(ServingError) {
        for (input, tensor) in step.inputMap {
            guard let spec = model.inputs.first(where: { $0.name == input }) else {
                throw wrong("model '\(step.modelName)' has no input '\(input)'")
            }
            guard let given = made[tensor], fits(given, spec) else {
                let found = made[tensor].map(text) ?? "nothing"
                throw wrong(
                    "tensor '\(tensor)' is \(found), but input '\(input)' of model "
                        + "'\(step.modelName)' takes \(text(spec))")
            }
        }
        for input in model.inputs where step.inputMap[input.name] == nil {
            throw wrong("input '\(input.name)' of model '\(step.modelName)' is not mapped")
        }
        for (output, tensor) in step.outputMap {
            guard let spec = model.outputs.first(where: { $0.name == output }) else {
                throw wrong("model '\(step.modelName)' has no output '\(output)'")
            }
            made[tensor] = spec
        }
    }

    private static func fits(_ given: TensorSpec, _ taken: TensorSpec) -> Bool {
        given.elementType == taken.elementType
            && given.dimensions.count == taken.dimensions.count
            && zip(given.dimensions, taken.dimensions).allSatisfy { $0 == $1 || $0 < 0 || $1 < 0 }
    }

    private static func text(_ spec: TensorSpec) -> String {
        "\(spec.elementType.protocolName ?? "unknown") \(spec.dimensions)"
    }
}
