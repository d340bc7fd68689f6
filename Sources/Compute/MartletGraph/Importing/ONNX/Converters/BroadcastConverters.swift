// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Before version 7 the second operand was laid along stated axes of the first.
extension ONNXConverters {
    /// `broadcast` with `axis`: the second operand's first dimension is the first one's at `axis`.
    /// Without `axis` the dimensions end together, as they do today.
    @Sendable static func statedBroadcast(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.version < 7 else { return [node] }
        let isBroadcast = node.take("broadcast")?.int ?? 0 != 0
        let axis = node.take("axis")?.int ?? -1
        guard isBroadcast, axis != -1 else { return [node] }
        return try aligned(&node, operand: 1, axis: axis, &build)
    }

    /// Gemm's third operand ends with the product's dimensions, as it does today.
    @Sendable static func gemm(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        if node.version < 7 { _ = node.take("broadcast") }
        return [node]
    }

    /// Before version 7 there was one slope, or one for each channel (axis 1).
    @Sendable static func pRelu(
        _ node: inout ImportedNode, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard node.version < 7 else { return [node] }
        return try aligned(&node, operand: 1, axis: 1, &build)
    }

    private static func aligned(
        _ node: inout ImportedNode, operand: Int, axis: Int, _ build: inout ONNXGraphBuild
    ) throws(GraphError) -> [ImportedNode] {
        guard let first = node.input(0), let second = node.input(operand) else {
            throw GraphError(.invalidModel, "an operand is missing")
        }
        let laid = build.freshName(near: node.outputs.first ?? "")
        let align = ImportedNode(
            operatorType: OperatorSchema.alignAxis.name, domain: OperatorSchema.alignAxis.domain,
            name: node.name, inputs: [second, first], outputs: [laid],
            attributes: ["axis": .int(Int64(axis))], version: node.version)
        node.setInput(operand, to: laid)
        return [align, node]
    }
}

extension OperatorSchema {
    /// Inputs: an operand, and the one whose rank it is given: its first dimension comes to stand
    /// at `axis`, ones fill the rest. Only an import has it: `ResolveAlignment` replaces it.
    static let alignAxis = OperatorSchema("AlignAxis", domain: "martlet") {
        context throws(GraphError) in
        let operand = try context.type(0)
        guard let own = operand.dimensions, let rank = try context.dimensions(1)?.count else {
            return try context.setOutput(0, operand.elementType, nil)
        }
        let trailing = try context.trailingOnes(own: own.count, rank: rank)
        let ones = [Dimension](repeating: 1, count: trailing)
        try context.setOutput(0, operand.elementType, own + ones)
    }
}

extension ShapeContext {
    /// How many dimensions of size 1 an aligned operand gets at its end.
    fileprivate func trailingOnes(own: Int, rank: Int) throws(GraphError) -> Int {
        // A scalar, and an operand of the same rank, fit as they are.
        if own == 0 || own == rank { return 0 }
        let axis = try axis(int("axis"), rank: rank)
        guard axis + own <= rank else {
            throw failure("\(own) dimensions from axis \(axis) on, of \(rank)")
        }
        return rank - axis - own
    }
}

/// Replaces what aligns old operands by Unsqueeze, now that ranks are known.
struct ResolveAlignment {
    let operators: OperatorSet

    func run(on graph: inout Graph) throws(GraphError) {
        var changed = false
        for node in Array(graph.nodes) where graph.schema(of: node) == .alignAxis {
            guard let operand = graph.input(0, of: node), let result = graph.result(of: node),
                let own = graph.rank(of: operand), let rank = graph.rank(of: result),
                let unsqueeze = operators.schema("Unsqueeze")
            else {
                throw GraphError(
                    .unsupported,
                    "\(graph.describe(node)): operands are laid along an axis of a tensor whose "
                        + "rank is not known")
            }
            changed = true
            if rank == own {
                graph.replaceUses(of: result, with: operand)
                graph.removeNode(node)
                continue
            }
            guard let axes = try? Tensor((own..<rank).map { Int64($0) }) else { continue }
            let added = graph.addConstant(name: graph.name(of: result) + ".axes", axes)
            graph.rewrite(node, as: unsqueeze, inputs: [operand, added])
        }
        if changed {
            graph = graph.compacted()
            try graph.inferShapes()
        }
    }
}
