// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// `reduction` ("mean", "sum" or "none") and `ignore_index`, a label that does not count.
extension OperatorSchema {
    /// Inputs: log probabilities[N, C, …], labels[N, …], class weights[C]?.
    public static let negativeLogLikelihoodLoss = OperatorSchema(
        "NegativeLogLikelihoodLoss"
    ) { context throws(GraphError) in try inferLoss(&context) }

    /// Inputs: scores[N, C, …], labels[N, …], class weights[C]?. Output 1: log probabilities.
    public static let softmaxCrossEntropyLoss = OperatorSchema(
        "SoftmaxCrossEntropyLoss"
    ) { context throws(GraphError) in
        try inferLoss(&context)
        let data = try context.type(0)
        try context.setOutput(1, data.elementType, data.dimensions)
    }

    private static func inferLoss(_ context: inout ShapeContext) throws(GraphError) {
        let data = try context.type(0)
        let labels = try context.dimensions(1)
        if let dimensions = data.dimensions, let labels {
            guard dimensions.count >= 2, labels.count == dimensions.count - 1 else {
                throw context.failure(
                    "labels \(context.describe(labels)) for \(context.describe(dimensions))")
            }
            for (axis, label) in labels.enumerated() {
                try context.expectEqual(
                    dimensions[axis == 0 ? 0 : axis + 1], label, "sizes of data and labels")
            }
            if context.has(2), let weights = try context.length(2) {
                try context.expectEqual(
                    dimensions[1], Dimension(weights), "classes and their weights")
            }
        }
        switch context.string("reduction", default: "mean") {
        case "none": try context.setOutput(0, data.elementType, labels)
        case "mean", "sum": try context.setOutput(0, data.elementType, [])
        case let other: throw context.failure("reduction '\(other)'", code: .unsupported)
        }
    }
}
