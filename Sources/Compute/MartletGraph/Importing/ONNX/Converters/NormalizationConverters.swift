// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Normalisations and dropout: what only training needs goes, what is left takes today's form.
extension ONNXConverters {
    /// At inference nothing is dropped: an identity, and a mask of ones where one is read.
    ///
    /// A mode that is known at the run only stays with the node.
    @Sendable static func dropout(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        let isTest = node.take("is_test")?.int
        if let mode = node.input(2) {
            guard let flag = build.constant(named: mode) else { return [node] }
            let isOn = (try? flag.elements(as: UInt8.self))?.contains { $0 != 0 } ?? true
            let ratio = node.input(1).map { build.constant(named: $0).flatMap { HostValue($0) } }
            let dropsNone = ratio.map { $0?.reals?.allSatisfy { $0 == 0 } ?? false } ?? false
            if isOn && !dropsNone {
                throw GraphError(.unsupported, "training mode; only inference is supported")
            }
        } else if node.version < 7, isTest ?? 0 == 0 {
            throw GraphError(.unsupported, "training mode; only inference is supported")
        }
        guard let input = node.input(0) else {
            throw GraphError(.invalidModel, "its input is missing")
        }
        var steps = NodeSequence(of: node)
        if let output = node.outputs.first, !output.isEmpty {
            steps.add("Identity", [input], output: output)
        }
        if node.outputs.count > 1, build.readNames.contains(node.outputs[1]) {
            try addMask(of: input, node, &steps, &build)
        }
        return steps.nodes
    }

    private static func addMask(
        of input: String, _ node: ImportedNode, _ steps: inout NodeSequence,
        _ build: inout ONNXGraphBuild
    ) throws(GraphError) {
        guard let yes = try? Tensor(booleans: [true], shape: [1]) else { return }
        let shape = steps.add("Shape", [input], &build)
        let value = ["value": AttributeValue.tensor(yes)]
        guard node.version < 10 else {
            return steps.add("ConstantOfShape", [shape], value, output: node.outputs[1])
        }
        let mask = steps.add("ConstantOfShape", [shape], &build, value)
        steps.add("CastLike", [mask, input], output: node.outputs[1])
    }

    /// Running statistics are not made; statistics for each place become plain arithmetic.
    @Sendable static func batchNormalization(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        let isTest = node.take("is_test")?.int ?? 0
        let isTraining = node.take("training_mode")?.int ?? 0
        if isTraining != 0 || (node.version < 7 && isTest == 0) {
            throw GraphError(.unsupported, "training mode; only inference is supported")
        }
        if let read = node.outputs.dropFirst().first(where: { build.readNames.contains($0) }),
            !read.isEmpty
        {
            throw GraphError(
                .unsupported, "its statistics '\(read)' are read; only inference is supported")
        }
        _ = node.take("momentum")
        node.outputs = Array(node.outputs.prefix(1))
        if node.take("spatial")?.int == 0 { return try placewise(node, &build) }
        return [node]
    }

    /// (x − mean) / √(variance + epsilon) · scale + bias, with statistics of one image's shape.
    private static func placewise(
        _ node: ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        let inputs = (0..<5).compactMap { node.input($0) }
        guard inputs.count == 5, let output = node.outputs.first else {
            throw GraphError(.invalidModel, "an input or the output is missing")
        }
        var steps = NodeSequence(of: node)
        let least = node.attributes["epsilon"]?.float ?? 1e-5
        let epsilon = try scalar(least, &build, near: node)
        let variance = steps.add("Add", [inputs[4], epsilon], &build)
        let deviation = steps.add("Sqrt", [variance], &build)
        let scale = steps.add("Div", [inputs[1], deviation], &build)
        let centred = steps.add("Sub", [inputs[0], inputs[3]], &build)
        let scaled = steps.add("Mul", [centred, scale], &build)
        steps.add("Add", [scaled, inputs[2]], output: output)
        return steps.nodes
    }

    /// Before version 21 there was a scale and a bias for each group: they are repeated for each
    /// of its channels.
    @Sendable static func groupNormalization(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.version < 21 else { return [node] }
        guard let input = node.input(0), let scale = node.input(1), let bias = node.input(2),
            let groups = node.attributes["num_groups"]?.int
        else { throw missing("num_groups") }
        var steps = NodeSequence(of: node)
        let shape = steps.add("Shape", [input], &build, ["start": .int(1), "end": .int(2)])
        let count = try ints([Int64(groups)], &build, near: node)
        let each = steps.add("Div", [shape, count], &build)
        let one = try ints([1], &build, near: node)
        let grid = steps.add("Concat", [count, each], &build, ["axis": .int(0)])
        let flat = try ints([-1], &build, near: node)
        for (place, values) in [(1, scale), (2, bias)] {
            let column = steps.add("Unsqueeze", [values, one], &build)
            let repeated = steps.add("Expand", [column, grid], &build)
            node.setInput(place, to: steps.add("Reshape", [repeated, flat], &build))
        }
        return steps.nodes + [node]
    }
}
