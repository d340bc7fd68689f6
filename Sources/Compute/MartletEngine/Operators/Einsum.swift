// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// Pairwise: diagonals are taken, axes that nothing else needs summed up, and two operands
    /// joined by one batched matrix product.
    static let einsum = NativeOperator(.einsum) { node in
        switch try node.input().elementType {
        case .float16, .bfloat16: try node.lowerWidened { try lowerEinsum($0) }
        default: try lowerEinsum(node)
        }
    }

    private static func lowerEinsum(_ node: Lowering) throws {
        guard let equation = EinsumEquation(node.string("equation")),
            equation.inputs.count == node.inputs.count
        else { throw node.failure("equation '\(node.string("equation"))'", .invalidModel) }
        let output = try node.output()
        let named = equation.output.filter { $0 != "…" }.count
        let hidden = output.shape.rank - named
        // An ellipsis that the output drops is summed up like any other axis.
        let most =
            try node.inputs.indices.map { index in
                let letters = equation.inputs[index]
                return letters.contains("…")
                    ? try node.input(index).shape.rank - letters.count + 1 : 0
            }.max() ?? 0
        var terms: [EinsumTerm] = []
        for (index, letters) in equation.inputs.enumerated() {
            let operand = try node.input(index)
            let own = operand.shape.rank - letters.filter { $0 != "…" }.count
            let labels = letters.flatMap { letter in
                letter == "…"
                    ? ((most - own)..<most).map { EinsumLabel.hidden($0) } : [.named(letter)]
            }
            guard labels.count == operand.shape.rank else {
                throw node.failure("'\(String(letters))' for \(operand.shape)", .invalidModel)
            }
            terms.append(try EinsumTerm(node, operand, labels))
        }
        let result = equation.output.flatMap { letter in
            letter == "…"
                ? ((most - hidden)..<most).map { EinsumLabel.hidden($0) } : [.named(letter)]
        }
        guard Set(result).count == result.count else {
            throw node.failure("an axis that the output has twice", .invalidModel)
        }
        guard var term = terms.first else { throw node.failure("no inputs", .invalidModel) }
        try spread(node, &terms)
        term = terms[0]
        for index in 1..<Swift.max(terms.count, 1) {
            let later = terms[(index + 1)...].flatMap(\.labels) + result
            term = try join(node, term, terms[index], kept: Set(later))
        }
        try finish(node, term, result, output)
    }

    /// Drops axes of size 1 whose label is larger elsewhere: broadcasting.
    private static func spread(_ node: Lowering, _ terms: inout [EinsumTerm]) throws {
        var sizes: [EinsumLabel: Int] = [:]
        for term in terms {
            for (label, size) in zip(term.labels, term.operand.shape) {
                let known = sizes[label] ?? 1
                guard known == size || known == 1 || size == 1 else {
                    throw node.failure("sizes \(known) and \(size) of one axis", .invalidInput)
                }
                sizes[label] = known == 1 ? size : known
            }
        }
        for index in terms.indices {
            let term = terms[index]
            let kept = term.labels.indices.filter {
                term.operand.shape[$0] == sizes[term.labels[$0]]
            }
            terms[index] = EinsumTerm(
                operand: term.operand.viewed(
                    as: Shape(kept.map { term.operand.shape[$0] }) ?? Shape()),
                labels: kept.map { term.labels[$0] })
        }
    }

    private static func join(
        _ node: Lowering, _ left: EinsumTerm, _ right: EinsumTerm, kept: Set<EinsumLabel>
    ) throws -> EinsumTerm {
        let left = try left.summed(node, kept: kept.union(right.labels))
        let right = try right.summed(node, kept: kept.union(left.labels))
        let shared = left.labels.filter { right.labels.contains($0) }
        let batch = shared.filter { kept.contains($0) }
        let inner = shared.filter { !kept.contains($0) }
        let rows = left.labels.filter { !shared.contains($0) }
        let columns = right.labels.filter { !shared.contains($0) }
        let first = try left.ordered(node, batch + rows + inner)
        let second = try right.ordered(node, batch + inner + columns)
        func count(_ labels: [EinsumLabel], _ term: EinsumTerm) -> Int {
            labels.reduce(1) { $0 * term.size($1) }
        }
        let (b, m) = (count(batch, left), count(rows, left))
        let (k, n) = (count(inner, left), count(columns, right))
        let shape =
            batch.map { left.size($0) } + rows.map { left.size($0) }
            + columns.map { right.size($0) }
        guard let resultShape = Shape(shape) else {
            throw node.failure("more than \(Shape.rankMax) axes", .limitExceeded)
        }
        let result = try node.temporary(left.operand.elementType, resultShape)
        try emitMatMul(
            node,
            MatMulForm(
                left: first.viewed(as: [b, m, k]), right: second.viewed(as: [b, k, n]),
                output: result.viewed(as: [b, m, n])))
        return EinsumTerm(operand: result, labels: batch + rows + columns)
    }

    private static func finish(
        _ node: Lowering, _ term: EinsumTerm, _ result: [EinsumLabel], _ output: Operand
    ) throws {
        let last = try term.summed(node, kept: Set(result))
        guard Set(last.labels).isSubset(of: result) else {
            throw node.failure("an axis that no input has", .invalidModel)
        }
        // Axes that the operands lack repeat.
        let present = result.filter { last.labels.contains($0) }
        let operand = try last.ordered(node, present)
        var shape = Shape(repeating: 1, rank: output.shape.rank)
        for (axis, label) in result.enumerated() where present.contains(label) {
            shape[axis] = output.shape[axis]
        }
        try emitExpand(node, operand.viewed(as: shape), output)
    }
}

/// An axis' name: a letter, or a place of the ellipsis.
private enum EinsumLabel: Hashable {
    case named(Character)
    case hidden(Int)
}

/// An operand whose axes have names, each once.
private struct EinsumTerm {
    var operand: Operand
    var labels: [EinsumLabel]

    init(operand: Operand, labels: [EinsumLabel]) {
        self.operand = operand
        self.labels = labels
    }

    /// Takes the diagonal where a name repeats.
    init(_ node: Lowering, _ operand: Operand, _ labels: [EinsumLabel]) throws {
        self.init(operand: operand, labels: labels)
        guard Set(labels).count < labels.count else { return }
        var names: [EinsumLabel] = []
        var sizes: [Int] = []
        var strides: [Int64] = []
        for (axis, label) in labels.enumerated() {
            if let known = names.firstIndex(of: label) {
                guard sizes[known] == operand.shape[axis] else {
                    throw node.failure("a diagonal of \(operand.shape)", .invalidInput)
                }
                strides[known] += operand.strides[axis]
            } else {
                names.append(label)
                sizes.append(operand.shape[axis])
                strides.append(operand.strides[axis])
            }
        }
        let diagonal = try node.temporary(operand.elementType, Shape(sizes) ?? Shape())
        try emitStridedCopy(
            node, elementBytes: node.elementBytes(operand), shape: sizes.map { Int64($0) },
            from: StridedView(slot: operand.slot, offset: 0, strides: strides),
            to: StridedView(slot: diagonal.slot, offset: 0, strides: diagonal.strides))
        self.init(operand: diagonal, labels: names)
    }

    func size(_ label: EinsumLabel) -> Int {
        labels.firstIndex(of: label).map { operand.shape[$0] } ?? 1
    }

    /// Without the axes that are not kept: summed up.
    func summed(_ node: Lowering, kept: Set<EinsumLabel>) throws -> EinsumTerm {
        let axes = labels.indices.filter { !kept.contains(labels[$0]) }
        if axes.isEmpty { return self }
        let rest = labels.indices.filter { kept.contains(labels[$0]) }
        let sum = try node.temporary(
            operand.elementType, Shape(rest.map { operand.shape[$0] }) ?? Shape())
        try emitReduce(node, MARTLET_REDUCE_SUM, operand, sum, axes: axes)
        return EinsumTerm(operand: sum, labels: rest.map { labels[$0] })
    }

    func ordered(_ node: Lowering, _ order: [EinsumLabel]) throws -> Operand {
        if order == labels { return operand }
        let axes = order.compactMap { labels.firstIndex(of: $0) }
        let turned = try node.temporary(
            operand.elementType, Shape(axes.map { operand.shape[$0] }) ?? Shape())
        try emitTranspose(node, operand, turned, order: axes)
        return turned
    }
}
