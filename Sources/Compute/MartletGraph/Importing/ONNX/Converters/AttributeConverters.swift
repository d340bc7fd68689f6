// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Attributes that later versions take as inputs.
extension ONNXConverters {
    /// `axes` becomes input 1.
    static func axesToInput(before version: Int64) -> Converter {
        { node, build throws(GraphError) in
            guard let axes = node.take("axes") else { return [node] }
            guard let axes = axes.ints else { throw missing("axes") }
            if node.input(1) == nil { node.setInput(1, to: try ints(axes, &build, near: node)) }
            return [node]
        }
    }

    /// `min` and `max` become inputs 1 and 2.
    @Sendable static func clip(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        for (place, name) in [(1, "min"), (2, "max")] {
            guard let limit = node.take(name)?.float else { continue }
            node.setInput(place, to: try scalar(limit, &build, near: node))
        }
        return [node]
    }

    /// `starts`, `ends`, `axes` become inputs.
    @Sendable static func slice(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        for (place, name) in [(1, "starts"), (2, "ends"), (3, "axes")] {
            guard let values = node.take(name)?.ints else { continue }
            node.setInput(place, to: try ints(values, &build, near: node))
        }
        return [node]
    }

    /// `pads` and `value` become inputs.
    @Sendable static func pad(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        if let pads = node.take("pads")?.ints ?? node.take("paddings")?.ints {
            node.setInput(1, to: try ints(pads, &build, near: node))
        }
        if let value = node.take("value")?.float {
            node.setInput(2, to: try scalar(value, &build, near: node))
        }
        return [node]
    }

    /// `split` becomes input 1; with neither, the parts are counted.
    @Sendable static func split(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        if let sizes = node.take("split")?.ints {
            node.setInput(1, to: try ints(sizes, &build, near: node))
        } else if node.input(1) == nil, node.attributes["num_outputs"] == nil {
            node.attributes["num_outputs"] = .int(Int64(node.outputs.count))
        }
        return [node]
    }

    /// `k` becomes input 1.
    @Sendable static func topK(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        if let count = node.take("k")?.int {
            node.setInput(1, to: try ints([Int64(count)], &build, near: node))
        }
        return [node]
    }
}
