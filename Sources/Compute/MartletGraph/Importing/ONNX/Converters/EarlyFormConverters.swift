// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Forms that only the first versions of an operator had.
extension ONNXConverters {
    /// `shape` becomes input 1.
    @Sendable static func reshape(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        if let shape = node.take("shape")?.ints {
            node.setInput(1, to: try ints(shape, &build, near: node))
        }
        return [node]
    }

    /// Types by name ("FLOAT") become their numbers.
    @Sendable static func cast(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard let name = node.attributes["to"]?.string else { return [node] }
        guard let type = earlyTypes[name] else {
            throw GraphError(.invalidModel, "no type is called '\(name)'")
        }
        node.attributes["to"] = .int(Int64(type.rawValue))
        return [node]
    }

    private static let earlyTypes: [String: ElementType] = [
        "FLOAT": .float32, "UINT8": .uint8, "INT8": .int8, "UINT16": .uint16, "INT16": .int16,
        "INT32": .int32, "INT64": .int64, "STRING": .bytes, "BOOL": .bool, "FLOAT16": .float16,
        "DOUBLE": .float64, "UINT32": .uint32, "UINT64": .uint64,
    ]

    /// Version 1 joined along axis 1 where it named none.
    @Sendable static func concat(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        if node.version < 4, node.attributes["axis"] == nil { node.attributes["axis"] = .int(1) }
        return [node]
    }

    /// Version 1 rounded its constants.
    @Sendable static func selu(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.version < 6 else { return [node] }
        if node.attributes["alpha"] == nil { node.attributes["alpha"] = .float(1.6732) }
        if node.attributes["gamma"] == nil { node.attributes["gamma"] = .float(1.0507) }
        return [node]
    }

    /// Version 1 took how often, and along which axis; now there is a number for each axis.
    @Sendable static func tile(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.version < 6, let axis = node.input(2) else { return [node] }
        guard let input = node.input(0), let tiles = node.input(1) else {
            throw GraphError(.invalidModel, "an input is missing")
        }
        var steps = NodeSequence(of: node)
        let shape = steps.add("Shape", [input], &build)
        let rank = steps.add("Size", [shape], &build)
        let zero = try integer(0, &build, near: node)
        let one = try integer(1, &build, near: node)
        let axes = steps.add("Range", [zero, rank, one], &build)
        let int64 = AttributeValue.int(Int64(ElementType.int64.rawValue))
        let wanted = steps.add("Cast", [axis], &build, ["to": int64])
        let counts = steps.add("Cast", [tiles], &build, ["to": int64])
        let isIt = steps.add("Equal", [axes, wanted], &build)
        let repeats = steps.add("Where", [isIt, counts, one], &build)
        node.inputs = [input, repeats]
        return steps.nodes + [node]
    }

    /// The norm's power was a real number.
    @Sendable static func lpPool(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        if let power = node.attributes["p"]?.float {
            guard let whole = Int64(exactly: power) else {
                throw GraphError(.unsupported, "a norm of power \(power)")
            }
            node.attributes["p"] = .int(whole)
        }
        return [node]
    }

    /// Whether the sequence is an output was stated twice.
    @Sendable static func recurrent(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        _ = node.take("output_sequence")
        return [node]
    }

    /// Version 1 named two of the scales.
    static func earlyScales(_ node: inout ImportedNode) -> [Float]? {
        guard let height = node.take("height_scale")?.float,
            let width = node.take("width_scale")?.float
        else { return nil }
        return [1, 1, height, width]
    }

    /// The axis became an input in version 20.
    @Sendable static func dft(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.version < 20 else { return [node] }
        let axis = node.take("axis")?.int ?? 1
        node.setInput(2, to: try integer(Int64(axis), &build, near: node))
        return [node]
    }

    /// Version 8 scanned the rows of a batch, each up to a length that input 0 states.
    @Sendable static func scan(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        if node.version < 9 { node.attributes["batched"] = .int(1) }
        return [node]
    }

    /// Before version 20 the modes had their images' names.
    @Sendable static func gridSample(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        switch node.attributes["mode"]?.string {
        case "bilinear": node.attributes["mode"] = .string("linear")
        case "bicubic": node.attributes["mode"] = .string("cubic")
        default: break
        }
        return [node]
    }
}

/// Nodes that a converter puts in one node's place.
struct NodeSequence {
    private let name: String
    private let label: String
    private let version: Int64
    private(set) var nodes: [ImportedNode] = []

    init(of node: ImportedNode) {
        name = node.name
        label = node.outputs.first ?? node.name
        version = node.version
    }

    /// Adds a node of ONNX's own operators with one new output, whose name it returns.
    mutating func add(
        _ type: String, _ inputs: [String], _ build: inout ONNXGraphBuild,
        _ attributes: [String: AttributeValue] = [:]
    ) -> String {
        let output = build.freshName(near: label)
        add(type, inputs, attributes, output: output)
        return output
    }

    mutating func add(
        _ type: String, _ inputs: [String], _ attributes: [String: AttributeValue] = [:],
        output: String
    ) {
        nodes.append(
            ImportedNode(
                operatorType: type, domain: "", name: name, inputs: inputs, outputs: [output],
                attributes: attributes, version: version))
    }
}
