// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension RecoverAttention {
    /// Queries, keys or values of all heads.
    struct Heads {
        /// [B, count, S, D]; nil where only the flat form is there.
        var rows: ValueID?
        /// [B, S, count · D], where the rows were taken apart from that.
        var flat: ValueID?
        var count: Int
        /// How many heads of the product read each of these.
        var groupSize = 1
        var scale: Double
    }

    /// Where a [B, H, S, D] operand (or [B, H, D, S]) comes from.
    func heads(_ value: ValueID?, isTransposed: Bool, in graph: Graph) -> Heads? {
        guard let value else { return nil }
        var (current, scale) = scaled(value, in: graph)
        if isTransposed {
            guard let straight = straightened(current, in: graph) else {
                return transposedAtOnce(current, scale: scale, in: graph)
            }
            let (unscaled, more) = scaled(straight, in: graph)
            current = unscaled
            scale *= more
        }
        var groupSize = 1
        if let (rows, times) = unrepeated(current, in: graph) {
            current = rows
            groupSize = times
        }
        guard let shape = graph.dimensions(of: current), shape.count == 4,
            graph.isFloat32(current), let count = shape[1].fixed, count > 0,
            let size = shape[3].fixed, size > 0
        else { return nil }
        return Heads(
            rows: current, flat: flat(current, order: [0, 2, 1, 3], in: graph)?.value,
            count: count, groupSize: groupSize, scale: scale)
    }

    /// Keys whose heads are taken apart and turned by one transposition.
    private func transposedAtOnce(_ value: ValueID, scale: Double, in graph: Graph) -> Heads? {
        guard let (source, count) = flat(value, order: [0, 2, 3, 1], in: graph) else { return nil }
        return Heads(rows: nil, flat: source, count: count, scale: scale)
    }

    /// [B, S, H·D] and H where the value is that, reshaped to [B, S, H, D] and transposed.
    private func flat(
        _ value: ValueID, order: [Int64], in graph: Graph
    ) -> (value: ValueID, heads: Int)? {
        guard let transpose = graph.producer(of: value, is: .transpose),
            graph.attribute("perm", of: transpose)?.ints == order,
            let apart = graph.input(0, of: transpose),
            let reshape = graph.producer(of: apart, is: .reshape),
            let source = graph.input(0, of: reshape), graph.isFloat32(source),
            let before = graph.dimensions(of: source), let after = graph.dimensions(of: apart),
            before.count == 3, after.count == 4, before[0] == after[0], before[1] == after[1],
            let heads = after[2].fixed, let size = after[3].fixed, heads > 0,
            before[2].fixed == heads * size
        else { return nil }
        return (source, heads)
    }

    /// [B, H, S, D] where the value is its last two axes exchanged, perhaps with the first two
    /// (or, of heads spread over groups, the first three) joined meanwhile.
    private func straightened(_ value: ValueID, in graph: Graph) -> ValueID? {
        if let transpose = graph.producer(of: value, is: .transpose) {
            guard graph.attribute("perm", of: transpose)?.ints == [0, 1, 3, 2] else { return nil }
            return graph.input(0, of: transpose)
        }
        guard let apart = graph.producer(of: value, is: .reshape),
            let turned = graph.input(0, of: apart),
            let transpose = graph.producer(of: turned, is: .transpose),
            graph.attribute("perm", of: transpose)?.ints == [0, 2, 1],
            let joined = graph.producer(of: graph.input(0, of: transpose), is: .reshape),
            let rows = graph.input(0, of: joined), let before = graph.dimensions(of: rows),
            let middle = graph.dimensions(of: turned), let after = graph.dimensions(of: value),
            before.count == 4 || before.count == 5, middle.count == 3, after.count == 4,
            before[0] == after[0], before.count == 5 || before[1] == after[1],
            before[before.count - 2] == after[3], before[before.count - 1] == after[2],
            middle[1] == after[2], middle[2] == after[3]
        else { return nil }
        return rows
    }

    /// [B, K, S, D] and n where the value is each of its heads n times, [B, K · n, S, D] or
    /// [B, K, n, S, D].
    private func unrepeated(
        _ value: ValueID, in graph: Graph
    ) -> (rows: ValueID, times: Int)? {
        guard let after = graph.dimensions(of: value) else { return nil }
        let joined = after.count == 4 ? graph.producer(of: value, is: .reshape) : nil
        guard after.count == 5 || joined != nil,
            let spreading = joined.map({ graph.input(0, of: $0) }) ?? value,
            let expand = graph.producer(of: spreading, is: .expand),
            let unsqueeze = graph.producer(of: graph.input(0, of: expand), is: .unsqueeze),
            graph.constantIntegers(graph.input(1, of: unsqueeze)) == [2],
            let rows = graph.input(0, of: unsqueeze), let before = graph.dimensions(of: rows),
            let spread = graph.dimensions(of: spreading), before.count == 4, spread.count == 5,
            let heads = before[1].fixed, let times = spread[2].fixed, times > 0,
            before[0] == spread[0], before[1] == spread[1], before[2] == spread[3],
            before[3] == spread[4]
        else { return nil }
        if joined != nil {
            guard after[1].fixed == heads * times, before[0] == after[0], before[2] == after[2],
                before[3] == after[3]
            else { return nil }
        }
        return (rows, times)
    }
}
