// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Lets a pointwise convolution read past the channel shuffle before it (`in_shuffle`, the number
/// of groups shuffled). A depthwise convolution in between does not mind the order of its channels:
/// its weights are put into the order that they have before the shuffle.
public struct AbsorbShuffles: GraphPass {
    public static let name = "absorb-shuffles"

    /// What the kernels take (`in_shuffle` of `martlet_conv2d_f32_shape`).
    private static let groupsMax = 64

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in Array(graph.nodes) where try absorb(into: node, in: &graph) { changes += 1 }
        return changes
    }

    private func absorb(into node: NodeID, in graph: inout Graph) throws(GraphError) -> Bool {
        guard isPointwise(node, in: graph), let data = graph.input(0, of: node),
            graph.hasSingleUse(data), let before = graph.producer(of: data)
        else { return false }
        if let shuffle = shuffle(endingAt: before, in: graph) {
            graph.setInput(0, of: node, to: shuffle.source)
            graph.attributes[Int(node.index)]["in_shuffle"] = .int(Int64(shuffle.groups))
            return true
        }
        guard isDepthwise(before, in: graph), let shuffled = graph.input(0, of: before),
            graph.hasSingleUse(shuffled), let reshape = graph.producer(of: shuffled),
            let shuffle = shuffle(endingAt: reshape, in: graph),
            try unshuffle(before, shuffle, in: &graph)
        else { return false }
        graph.setInput(0, of: before, to: shuffle.source)
        graph.attributes[Int(node.index)]["in_shuffle"] = .int(Int64(shuffle.groups))
        return true
    }

    private func shuffle(endingAt node: NodeID, in graph: Graph) -> ChannelShuffle? {
        guard let found = ChannelShuffle(endingAt: node, in: graph),
            found.groups > 1, found.groups <= AbsorbShuffles.groupsMax
        else { return nil }
        return found
    }

    private func isPointwise(_ node: NodeID, in graph: Graph) -> Bool {
        guard graph.schema(of: node) == .fusedConv,
            graph.attribute("in_shuffle", of: node) == nil,
            graph.attribute("layout", of: node) == nil,
            let weights = graph.dimensions(of: graph.input(1, of: node)), weights.count == 4,
            weights[2].fixed == 1, weights[3].fixed == 1
        else { return false }
        let strides = graph.attribute("strides", of: node)?.ints ?? [1, 1]
        let pads = graph.attribute("pads", of: node)?.ints ?? [0, 0, 0, 0]
        return strides.allSatisfy { $0 == 1 } && pads.allSatisfy { $0 == 0 }
    }

    /// Whether the node is a depthwise convolution with nothing else of its channels' order.
    private func isDepthwise(_ node: NodeID, in graph: Graph) -> Bool {
        guard graph.schema(of: node) == .fusedConv, graph.input(3, of: node) == nil,
            graph.input(4, of: node) == nil, graph.attribute("layout", of: node) == nil,
            graph.attribute("in_shuffle", of: node) == nil,
            let weights = graph.dimensions(of: graph.input(1, of: node)), weights.count == 4,
            let channels = weights[0].fixed, weights[1].fixed == 1,
            graph.attributeInt("group", of: node, default: 1) == channels
        else { return false }
        return true
    }

    /// Puts a depthwise convolution's weights and bias into the order before the shuffle.
    private func unshuffle(
        _ node: NodeID, _ shuffle: ChannelShuffle, in graph: inout Graph
    ) throws(GraphError) -> Bool {
        let channels = shuffle.groups * shuffle.perGroup
        guard let weights = graph.input(1, of: node), let shape = graph.constant(weights)?.shape,
            let numbers = graph.constantFloats(weights), channels > 0, shape.first == channels,
            numbers.count % channels == 0
        else { return false }
        var bias: [Float]?
        if let value = graph.input(2, of: node) {
            guard let known = graph.constantFloats(value), known.count == channels else {
                return false
            }
            bias = known
        }
        func ordered(_ values: [Float]) -> [Float] {
            let each = values.count / channels
            var result: [Float] = []
            result.reserveCapacity(values.count)
            for group in 0..<shuffle.groups {
                for index in 0..<shuffle.perGroup {
                    let first = (index * shuffle.groups + group) * each
                    result += values[first..<(first + each)]
                }
            }
            return result
        }
        let name = graph.name(of: weights)
        let newWeights = try graph.addFloats(
            ordered(numbers), shape: shape, name: name + ".unshuffled")
        graph.setInput(1, of: node, to: newWeights)
        if let bias, let old = graph.input(2, of: node) {
            let newBias = try graph.addFloats(
                ordered(bias), shape: [channels], name: graph.name(of: old) + ".unshuffled")
            graph.setInput(2, of: node, to: newBias)
        }
        return true
    }
}
