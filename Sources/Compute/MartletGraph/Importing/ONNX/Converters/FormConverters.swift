// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Operators whose older versions mean something else, or whose extra outputs only training needs.
extension ONNXConverters {
    /// A constant node becomes a constant value and no node.
    @Sendable static func constant(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard let output = node.outputs.first, !output.isEmpty, build.values[output] == nil else {
            throw GraphError(.invalidModel, "its output has no name or is made twice")
        }
        guard let (name, value) = node.attributes.first, node.attributes.count == 1 else {
            // The attribute itself was refused with its own message, or there is none.
            throw GraphError(.invalidModel, "it needs one value of a supported kind")
        }
        do throws(TensorError) {
            let tensor: Tensor
            switch value {
            case .tensor(let value): tensor = value
            case .int(let value): tensor = try Tensor([value], shape: [])
            case .ints(let values): tensor = try Tensor(values)
            case .float(let value): tensor = try Tensor([value], shape: [])
            case .floats(let values): tensor = try Tensor(values)
            default: throw TensorError(.typeMismatch, "attribute '\(name)' is not supported")
            }
            build.values[output] = build.graph.addConstant(name: output, tensor)
        } catch {
            throw GraphError(.unsupported, error.message)
        }
        return []
    }

    /// Before version 13 everything from the axis on is one: flattened, done, and shaped back.
    @Sendable static func flattenedAxis(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.version < 13 else { return [node] }
        let axis = node.take("axis")?.int ?? 1
        guard axis != -1 else {
            node.attributes["axis"] = .int(-1)
            return [node]
        }
        guard let input = node.input(0), let output = node.outputs.first else {
            throw GraphError(.invalidModel, "it has no input or no output")
        }
        let shape = build.freshName(near: output)
        let flat = build.freshName(near: output)
        let done = build.freshName(near: output)
        func step(_ type: String, _ inputs: [String], _ output: String) -> ImportedNode {
            ImportedNode(
                operatorType: type, domain: "", name: node.name, inputs: inputs, outputs: [output],
                attributes: [:], version: node.version)
        }
        var flatten = step("Flatten", [input], flat)
        flatten.attributes["axis"] = .int(Int64(axis))
        var inner = step(node.operatorType, [flat], done)
        inner.attributes["axis"] = .int(-1)
        return [
            step("Shape", [input], shape), flatten, inner, step("Reshape", [done, shape], output),
        ]
    }

    /// Upsample is Resize that begins at the corner and rounds down.
    @Sendable static func upsample(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        node.operatorType = "Resize"
        if let scales = node.take("scales")?.floats ?? earlyScales(&node) {
            guard let tensor = try? Tensor(scales) else { throw missing("scales") }
            node.setInput(1, to: build.constant(tensor, near: node.outputs.first ?? ""))
        }
        guard let scales = node.input(1) else { throw missing("scales") }
        return [cornerResize(node, scales: scales)]
    }

    /// Version 10 had no region of interest and began at the corner.
    @Sendable static func resize(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.version < 11, let scales = node.input(1) else { return [node] }
        return [cornerResize(node, scales: scales)]
    }

    private static func cornerResize(_ node: ImportedNode, scales: String) -> ImportedNode {
        var result = node
        result.inputs = [node.inputs[0], "", scales]
        result.attributes["coordinate_transformation_mode"] = .string("asymmetric")
        result.attributes["nearest_mode"] = .string("floor")
        return result
    }

    @Sendable static func scatter(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        node.operatorType = "ScatterElements"
        return [node]
    }

    /// Indices that nobody reads are not made.
    @Sendable static func maxPool(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        if node.outputs.count > 1, !build.readNames.contains(node.outputs[1]) {
            node.outputs = Array(node.outputs.prefix(1))
        }
        if node.outputs.count < 2 { _ = node.take("storage_order") }
        return [node]
    }

    /// Texts are compared by an operator of their own.
    @Sendable static func equal(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        if let value = node.input(0).flatMap({ build.values[$0] }),
            build.graph.type(of: value).elementType == .bytes
        {
            node.operatorType = "StringEqual"
            node.domain = "martlet"
            return [node]
        }
        return try statedBroadcast(&node, &build)
    }
}
