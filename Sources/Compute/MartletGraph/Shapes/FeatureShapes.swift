// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Operators of the domain ai.onnx.ml, and small ones of ONNX's own.
extension OperatorSchema {
    /// Inputs: X[…, features], indices: the features at these places.
    public static let arrayFeatureExtractor = OperatorSchema(
        "ArrayFeatureExtractor", domain: "ai.onnx.ml"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        guard var dimensions = data.dimensions, let picks = try context.dimensions(1) else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard !dimensions.isEmpty else { throw context.failure("the data is a scalar") }
        var count = Dimension(1)
        for size in picks { count = try context.product(count, size) }
        dimensions[dimensions.count - 1] = count
        if dimensions.count == 1 { dimensions.insert(1, at: 0) }
        try context.setOutput(0, data.elementType, dimensions)
    }

    /// `threshold` (0).
    public static let binarizer = elementwise("Binarizer", domain: "ai.onnx.ml")

    /// Trees of comparisons, X[N, features] to [N, `n_targets`]. `nodes_*`, `leaf_*`,
    /// `tree_roots`, `aggregate_function` (1, the sum), `post_transform` (0, none).
    public static let treeEnsemble = OperatorSchema(
        "TreeEnsemble", domain: "ai.onnx.ml"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        let targets = context.int("n_targets", default: 1)
        guard targets > 0 else { throw context.failure("\(targets) targets") }
        guard let dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard dimensions.count == 2 else { throw context.failure("needs [batch, features]") }
        try context.setOutput(0, data.elementType, [dimensions[0], Dimension(targets)])
    }

    /// Square matrices[…, n, n] to their determinants[…].
    public static let det = OperatorSchema("Det") { context throws(GraphError) in
        let data = try context.type(0)
        guard let dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard dimensions.count >= 2 else { throw context.failure("needs matrices") }
        try context.expectEqual(
            dimensions[dimensions.count - 1], dimensions[dimensions.count - 2], "sides")
        try context.setOutput(0, data.elementType, dimensions.dropLast(2))
    }

    /// Inputs: data, lengths. `batch_axis` (1), `time_axis` (0).
    public static let reverseSequence = elementwise("ReverseSequence")
}
