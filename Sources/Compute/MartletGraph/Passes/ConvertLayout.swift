// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Moves convolutional regions to channels-last: convolutions, pools and what lies between them
/// work on [N, H, W, C]; transpositions stay at the regions' edges only. Weights keep their form.
public struct ConvertLayout: GraphPass {
    public static let name = "convert-layout"

    private static let toLast: [Int64] = [0, 2, 3, 1]
    private static let toFirst: [Int64] = [0, 3, 1, 2]
    private static let elementwise: Set<OperatorSchema> = [
        .relu, .leakyRelu, .sigmoid, .tanh, .hardSwish, .hardSigmoid, .swish, .gelu, .elu, .clip,
        .exp, .sqrt, .abs, .neg, .softplus, .softsign, .mish, .selu, .erf,
    ]
    private static let variadic: Set<OperatorSchema> = [
        .add, .mul, .sub, .div, .sum, .max, .min, .concat,
    ]

    /// Operators that take `layout` = "NHWC".
    private let anchors: Set<OperatorSchema>

    /// - Parameter anchors: the operators whose implementation takes channels-last data.
    public init(
        anchors: Set<OperatorSchema> = [
            .fusedConv, .maxPool, .averagePool, .globalAveragePool, .globalMaxPool, .scaleShift,
            .lrn, .quantizedConv,
        ]
    ) {
        self.anchors = anchors
    }

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        guard graph.nodes.contains(where: { isConvolution(graph.schema(of: $0)) }) else { return 0 }
        var changes = 0
        // The channels-last twins of values, as far as they exist.
        var twins: [ValueID: ValueID] = [:]
        for node in Array(graph.nodes) where convert(node, &twins, in: &graph) { changes += 1 }
        return changes
    }

    /// Where a region begins.
    private func isConvolution(_ schema: OperatorSchema) -> Bool {
        (schema == .fusedConv || schema == .quantizedConv) && anchors.contains(schema)
    }

    private func convert(
        _ node: NodeID, _ twins: inout [ValueID: ValueID], in graph: inout Graph
    ) -> Bool {
        let schema = graph.schema(of: node)
        if let shuffle = ChannelShuffle(endingAt: node, in: graph),
            let twin = twins[shuffle.source],
            let result = graph.result(of: node), shuffle.rewrite(node, reading: twin, in: &graph)
        {
            write(node, result, &twins, in: &graph)
            return true
        }
        guard let data = graph.input(0, of: node), let result = graph.result(of: node),
            graph.rank(of: result) == 4, graph.rank(of: data) == 4,
            graph.isFloat32(result) || graph.isByte(result),
            graph.outputs(of: node).dropFirst().allSatisfy({ $0 == nil })
        else { return false }
        if anchors.contains(schema) {
            guard graph.attribute("layout", of: node) == nil else { return false }
            // A region begins at a convolution; other operators only carry it on.
            guard isConvolution(schema) || (twins[data] != nil && graph.isFloat32(data)) else {
                return false
            }
            var slots = [0]
            if isConvolution(schema), graph.input(3, of: node) != nil { slots.append(3) }
            for slot in slots { read(slot, of: node, &twins, in: &graph) }
            graph.attributes[Int(node.index)]["layout"] = .string("NHWC")
        } else if ConvertLayout.elementwise.contains(schema) {
            guard twins[data] != nil else { return false }
            read(0, of: node, &twins, in: &graph)
        } else if schema == .quantizeLinear || schema == .dequantizeLinear {
            guard twins[data] != nil, graph.isSingle(graph.input(1, of: node)) else {
                return false
            }
            read(0, of: node, &twins, in: &graph)
        } else if schema == .quantizedBinary {
            guard let other = graph.input(3, of: node), twins[data] != nil || twins[other] != nil,
                graph.dimensions(of: other) == graph.dimensions(of: data)
            else { return false }
            read(0, of: node, &twins, in: &graph)
            read(3, of: node, &twins, in: &graph)
        } else if ConvertLayout.variadic.contains(schema) {
            guard convertVariadic(node, &twins, in: &graph) else { return false }
        } else if schema == .reduceMean {
            guard convertMean(node, twins, in: &graph) else { return false }
            read(0, of: node, &twins, in: &graph)
        } else {
            return false
        }
        write(node, result, &twins, in: &graph)
        return true
    }

    /// Every input must have a twin, be a constant that can be permuted, or hold one number.
    private func convertVariadic(
        _ node: NodeID, _ twins: inout [ValueID: ValueID], in graph: inout Graph
    ) -> Bool {
        let inputs = graph.inputs(of: node)
        let isConcat = graph.schema(of: node) == .concat
        var permuted: [Int: ValueID] = [:]
        var hasTwin = false
        for (slot, input) in inputs.enumerated() {
            guard let input else { return false }
            if twins[input] != nil {
                hasTwin = true
            } else if graph.constant(input)?.elementCount == 1, !isConcat {
                continue
            } else if !isConcat, let tensor = channelsLast(graph.constant(input)) {
                permuted[slot] = graph.addConstant(name: graph.name(of: input) + ".last", tensor)
            } else {
                return false
            }
        }
        guard hasTwin else { return false }
        if isConcat {
            let axis = graph.attributeInt("axis", of: node, default: 1)
            guard let place = ConvertLayout.toLast.firstIndex(of: Int64(axis < 0 ? axis + 4 : axis))
            else { return false }
            graph.attributes[Int(node.index)]["axis"] = .int(Int64(place))
        }
        for (slot, input) in inputs.enumerated() {
            if let value = permuted[slot] {
                graph.setInput(slot, of: node, to: value)
            } else if let input, twins[input] != nil {
                read(slot, of: node, &twins, in: &graph)
            }
        }
        return true
    }

    /// A constant by channel, [C, 1, 1] or [1, C, 1, 1], as [C].
    private func channelsLast(_ tensor: Tensor?) -> Tensor? {
        guard let tensor, tensor.shape.rank == 3 || tensor.shape.rank == 4 else { return nil }
        let channels = tensor.shape[tensor.shape.rank - 3]
        guard tensor.elementCount == channels else { return nil }
        return try? tensor.reshaped(to: [channels])
    }

    /// The mean over places that keeps the axes.
    private func convertMean(
        _ node: NodeID, _ twins: [ValueID: ValueID], in graph: inout Graph
    ) -> Bool {
        guard let data = graph.input(0, of: node), twins[data] != nil,
            graph.attributeInt("keepdims", of: node, default: 1) == 1,
            let axes = graph.constantIntegers(graph.input(1, of: node)),
            axes.map({ $0 < 0 ? $0 + 4 : $0 }).sorted() == [2, 3],
            let tensor = try? Tensor([1, 2] as [Int64])
        else { return false }
        graph.setInput(1, of: node, to: graph.addConstant(name: "axes.last", tensor))
        return true
    }

    /// Lets an input slot read the value's twin, made where there is none.
    private func read(
        _ slot: Int, of node: NodeID, _ twins: inout [ValueID: ValueID], in graph: inout Graph
    ) {
        guard let value = graph.input(slot, of: node) else { return }
        let twin: ValueID
        if let known = twins[value] {
            twin = known
        } else {
            twin = graph.addValue(
                name: graph.name(of: value) + ".nhwc", type: permuted(graph.type(of: value)))
            graph.addNode(
                .transpose, inputs: [value], outputs: [twin],
                attributes: ["perm": .ints(ConvertLayout.toLast)])
            twins[value] = twin
        }
        graph.setInput(slot, of: node, to: twin)
    }

    /// The node makes the twin; a transposition makes the value for those that still read it.
    private func write(
        _ node: NodeID, _ result: ValueID, _ twins: inout [ValueID: ValueID], in graph: inout Graph
    ) {
        let twin = graph.addValue(
            name: graph.name(of: result) + ".nhwc", type: permuted(graph.type(of: result)))
        graph.setOutput(0, of: node, to: twin)
        graph.addNode(
            .transpose, inputs: [twin], outputs: [result],
            attributes: ["perm": .ints(ConvertLayout.toFirst)])
        twins[result] = twin
    }

    private func permuted(_ type: ValueType) -> ValueType {
        ValueType(
            elementType: type.elementType,
            dimensions: type.dimensions.map { dimensions in
                ConvertLayout.toLast.map { dimensions[Int($0)] }
            })
    }
}
