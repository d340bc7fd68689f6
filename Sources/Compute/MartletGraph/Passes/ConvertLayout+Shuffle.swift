// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// A channel shuffle: [N, C, H, W] seen as [N, G, C/G, H, W], the two channel axes exchanged, and
/// seen as [N, C, H, W] again.
struct ChannelShuffle {
    var source: ValueID
    var groups: Int
    var perGroup: Int

    /// The shuffle that ends at this reshape, where nothing else reads its steps.
    init?(endingAt node: NodeID, in graph: Graph) {
        guard graph.schema(of: node) == .reshape, let exchanged = graph.input(0, of: node),
            graph.hasSingleUse(exchanged),
            let transpose = graph.producer(of: exchanged, is: .transpose),
            graph.attribute("perm", of: transpose)?.ints == [0, 2, 1, 3, 4],
            let split = graph.input(0, of: transpose), graph.hasSingleUse(split),
            let reshape = graph.producer(of: split, is: .reshape),
            let source = graph.input(0, of: reshape),
            let before = graph.dimensions(of: source), before.count == 4,
            let parts = graph.dimensions(of: split), parts.count == 5,
            let result = graph.result(of: node), graph.dimensions(of: result) == before,
            parts[0] == before[0], parts[3] == before[2], parts[4] == before[3],
            let groups = parts[1].fixed, let perGroup = parts[2].fixed,
            let channels = before[1].fixed, channels == groups * perGroup
        else { return nil }
        self.source = source
        self.groups = groups
        self.perGroup = perGroup
    }

    /// Rewrites the last reshape to do the same on [N, H, W, C].
    func rewrite(_ node: NodeID, reading twin: ValueID, in graph: inout Graph) -> Bool {
        let split: [Int64] = [0, 0, 0, Int64(groups), Int64(perGroup)]
        guard let splitTensor = try? Tensor(split),
            let joinTensor = try? Tensor([0, 0, 0, Int64(groups * perGroup)])
        else { return false }
        let name = graph.name(of: source)
        let parts = graph.apply(
            .reshape, twin, graph.addConstant(name: name + ".groups", splitTensor))
        let exchanged = graph.apply(
            .transpose, parts, attributes: ["perm": .ints([0, 1, 2, 4, 3])])
        let target = graph.addConstant(name: name + ".channels", joinTensor)
        graph.rewrite(node, as: .reshape, inputs: [exchanged, target])
        return true
    }
}
