// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Recognises rotary positions that an export wrote out in halves (Su et al. 2021, in the layout of
/// GPT-NeoX): x · cos + concat(-x₂, x₁) · sin, where both halves of cos and of sin are alike.
///
/// Where x is heads taken apart, [B, S, H·D] to [B, H, S, D], the rotation moves before that: what
/// follows may read the heads where they lie.
public struct RecoverRotary: GraphPass {
    public static let name = "recover-rotary"

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        // Layers share their angles.
        var halves: [ValueID: ValueID] = [:]
        for node in Array(graph.nodes) where graph.schema(of: node) == .add {
            guard let form = form(at: node, in: graph) else { continue }
            let cosines = try half(form.cosines, form, &halves, in: &graph)
            let sines = try half(form.sines, form, &halves, in: &graph)
            rewrite(node, form, cosines, sines, in: &graph)
            changes += 1
        }
        return changes
    }

    private struct Form {
        /// [B, H, S, D]
        var x: ValueID
        /// [B or 1, 1, S, D] or [S, D]
        var cosines: ValueID
        var sines: ValueID
        var half: Int
    }

    private func form(at addition: NodeID, in graph: Graph) -> Form? {
        for slot in 0..<2 {
            guard let straight = graph.producer(of: graph.input(slot, of: addition), is: .mul),
                let turned = graph.producer(of: graph.input(1 - slot, of: addition), is: .mul)
            else { continue }
            for side in 0..<2 {
                guard let (x, half) = turnedHalves(graph.input(side, of: turned), in: graph),
                    let sines = graph.input(1 - side, of: turned),
                    graph.inputs(of: straight).contains(x),
                    let cosines = graph.otherInput(of: straight, than: x),
                    isAngles(cosines, of: x, in: graph), isAngles(sines, of: x, in: graph)
                else { continue }
                return Form(x: x, cosines: cosines, sines: sines, half: half)
            }
        }
        return nil
    }

    /// x and half its last axis where the value is concat(-x₂, x₁).
    private func turnedHalves(_ value: ValueID?, in graph: Graph) -> (x: ValueID, half: Int)? {
        guard let concat = graph.producer(of: value, is: .concat),
            graph.isLastAxis(graph.attribute("axis", of: concat)?.int, of: value),
            graph.inputs(of: concat).count == 2,
            let negation = graph.producer(of: graph.input(0, of: concat), is: .neg),
            let lower = graph.input(1, of: concat), let upper = graph.input(0, of: negation),
            let x = source(of: lower, in: graph), source(of: upper, in: graph) == x,
            graph.isFloat32(x), graph.rank(of: x) == 4,
            let size = graph.dimensions(of: x)?.last?.fixed, size > 0, size % 2 == 0,
            start(of: lower, size: size, in: graph) == 0,
            start(of: upper, size: size, in: graph) == size / 2
        else { return nil }
        return (x, size / 2)
    }

    /// What a slice or a split takes its part of.
    private func source(of part: ValueID, in graph: Graph) -> ValueID? {
        let node = graph.producer(of: part, is: .slice) ?? graph.producer(of: part, is: .split)
        return node.flatMap { graph.input(0, of: $0) }
    }

    /// Where on the last axis of `size` a half begins that a slice or a split takes.
    private func start(of part: ValueID, size: Int, in graph: Graph) -> Int? {
        guard let node = graph.producer(of: part),
            graph.dimensions(of: part)?.last?.fixed == size / 2
        else { return nil }
        let x = graph.input(0, of: node)
        if graph.schema(of: node) == .split {
            guard graph.isLastAxis(graph.attributeInt("axis", of: node, default: 0), of: x),
                graph.outputs(of: node).count == 2
            else { return nil }
            return graph.output(0, of: node) == part ? 0 : size / 2
        }
        guard let starts = graph.constantIntegers(graph.input(1, of: node)), starts.count == 1,
            let axes = graph.constantIntegers(graph.input(3, of: node)), axes.count == 1,
            graph.isLastAxis(axes[0], of: x)
        else { return nil }
        if let steps = graph.input(4, of: node), graph.constantIntegers(steps) != [1] { return nil }
        return starts[0] < 0 ? starts[0] + size : starts[0]
    }

    // MARK: Angles

    /// Whether the value is of a shape that spreads over heads, and its halves are alike.
    private func isAngles(_ value: ValueID, of x: ValueID, in graph: Graph) -> Bool {
        guard let shape = graph.dimensions(of: x), let own = graph.dimensions(of: value),
            own.count == 4 || own.count == 2, graph.isFloat32(value),
            Array(own.suffix(1)) == Array(shape.suffix(1)), own[own.count - 2] == shape[2],
            own.count == 2 || own[1].fixed == 1 && (own[0].fixed == 1 || own[0] == shape[0])
        else { return false }
        return hasEqualHalves(value, in: graph, depth: 0)
    }

    /// Whether the two halves of the last axis are provably the same numbers.
    private func hasEqualHalves(_ value: ValueID, in graph: Graph, depth: Int) -> Bool {
        if let numbers = graph.constantFloats(value) {
            guard let size = graph.dimensions(of: value)?.last?.fixed, size > 0 else {
                return false
            }
            return numbers.indices.allSatisfy { index in
                index % size < size / 2 || numbers[index] == numbers[index - size / 2]
            }
        }
        guard depth < 12, let node = graph.producer(of: value) else { return false }
        func same(_ slot: Int) -> Bool {
            graph.input(slot, of: node).map { hasEqualHalves($0, in: graph, depth: depth + 1) }
                ?? false
        }
        switch graph.schema(of: node) {
        case .concat:
            let parts = graph.inputs(of: node)
            return parts.count == 2 && parts[0] == parts[1]
                && graph.isLastAxis(graph.attribute("axis", of: node)?.int, of: value)
        case .cos, .sin, .cast, .identity: return same(0)
        case .mul:
            if graph.scalar(graph.input(1, of: node)) != nil { return same(0) }
            return graph.scalar(graph.input(0, of: node)) != nil && same(1)
        case .unsqueeze:
            // A new last axis would have one element.
            return graph.dimensions(of: value)?.last == lastDimension(of: node, in: graph)
                && same(0)
        case .gather:
            // Rows of a table.
            return graph.attributeInt("axis", of: node, default: 0) == 0
                && graph.rank(of: graph.input(0, of: node)) ?? 0 >= 2 && same(0)
        case .slice:
            guard let axes = graph.constantIntegers(graph.input(3, of: node)),
                let rank = graph.rank(of: value)
            else { return false }
            return !axes.contains { $0 == -1 || $0 == rank - 1 } && same(0)
        default: return false
        }
    }

    private func lastDimension(of node: NodeID, in graph: Graph) -> Dimension? {
        graph.dimensions(of: graph.input(0, of: node))?.last
    }

    /// The first half of the angles, as [B or 1, S, half].
    private func half(
        _ value: ValueID, _ form: Form, _ halves: inout [ValueID: ValueID], in graph: inout Graph
    ) throws(GraphError) -> ValueID {
        if let known = halves[value] { return known }
        let rank = graph.rank(of: value) ?? 0
        let label = graph.name(of: value) + ".half"
        if let numbers = graph.constantFloats(value), let shape = graph.constant(value)?.shape {
            let kept = numbers.indices.filter { $0 % (2 * form.half) < form.half }
            let result = try graph.addFloats(
                kept.map { numbers[$0] },
                shape: [rank == 4 ? shape[0] : 1, shape[rank - 2], form.half], name: label)
            halves[value] = result
            return result
        }
        func integers(_ number: Int) throws(GraphError) -> ValueID {
            do throws(TensorError) {
                return graph.addConstant(name: "\(number)", try Tensor([Int64(number)]))
            } catch {
                throw GraphError(.invalidShape, error.message)
            }
        }
        let part = graph.apply(
            .slice, value, try integers(0), try integers(form.half), try integers(rank - 1),
            name: label)
        let result = graph.apply(
            rank == 4 ? .squeeze : .unsqueeze, part, try integers(rank == 4 ? 1 : 0))
        halves[value] = result
        return result
    }

    // MARK: Rewriting

    private func rewrite(
        _ node: NodeID, _ form: Form, _ cosines: ValueID, _ sines: ValueID, in graph: inout Graph
    ) {
        guard let transpose = graph.producer(of: form.x, is: .transpose),
            graph.attribute("perm", of: transpose)?.ints == [0, 2, 1, 3],
            let apart = graph.input(0, of: transpose),
            let reshape = graph.producer(of: apart, is: .reshape),
            let flat = graph.input(0, of: reshape), let target = graph.input(1, of: reshape),
            let before = graph.dimensions(of: flat), let after = graph.dimensions(of: apart),
            before.count == 3, before[0] == after[0], before[1] == after[1],
            let heads = after[2].fixed, heads > 0, before[2].fixed == heads * form.half * 2
        else {
            return graph.rewrite(
                node, as: .rotaryEmbedding, inputs: [form.x, cosines, sines])
        }
        let rotated = graph.apply(
            .rotaryEmbedding, flat, cosines, sines, name: graph.name(of: node),
            attributes: ["num_heads": .int(Int64(heads))])
        let rows = graph.apply(
            .reshape, rotated, target, attributes: graph.attributes[Int(reshape.index)])
        graph.rewrite(
            node, as: .transpose, inputs: [rows], attributes: ["perm": .ints([0, 2, 1, 3])])
    }
}
