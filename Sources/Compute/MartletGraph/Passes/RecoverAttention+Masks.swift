// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension RecoverAttention {
    enum MaskForm {
        case addend(ValueID)
        /// Where(condition, hidden, scores), or the other way round.
        case choice(condition: ValueID, hidden: ValueID, hidesWhereTrue: Bool)
    }

    struct Mask {
        var scores: ValueID
        var form: MaskForm
    }

    func findMask(_ scores: ValueID, shape: [Dimension], in graph: Graph) -> Mask? {
        guard let node = graph.producer(of: scores), graph.hasSingleUse(scores) else { return nil }
        if graph.schema(of: node) == .add {
            for slot in 0..<2 {
                guard let part = graph.input(slot, of: node), graph.hasSingleUse(part),
                    graph.dimensions(of: part) == shape, products(part, in: graph) != nil,
                    let mask = graph.input(1 - slot, of: node), graph.isFloat32(mask),
                    (graph.rank(of: mask) ?? 5) <= 4
                else { continue }
                return Mask(scores: part, form: .addend(mask))
            }
        }
        if graph.schema(of: node) == .where, let condition = graph.input(0, of: node),
            (graph.rank(of: condition) ?? 5) <= 4
        {
            for slot in 1...2 {
                guard let part = graph.input(slot, of: node), graph.dimensions(of: part) == shape,
                    let hidden = graph.input(3 - slot, of: node),
                    let number = graph.scalar(hidden), number <= -1e4
                else { continue }
                return Mask(
                    scores: part,
                    form: .choice(
                        condition: condition, hidden: hidden, hidesWhereTrue: slot == 2))
            }
        }
        return nil
    }

    /// Whether ONNX's Attention reads the mask as it is meant: keys past its end would be hidden.
    func coversKeys(_ mask: Mask, of scores: [Dimension], in graph: Graph) -> Bool {
        let source =
            switch mask.form {
            case .addend(let value): value
            case .choice(let condition, _, _): condition
            }
        guard let shape = graph.dimensions(of: source), (1...4).contains(shape.count) else {
            return false
        }
        return shape.last == scores.last
    }

    /// The mask as an addend: a chosen constant becomes one that is added to the score.
    func additive(_ mask: Mask, in graph: inout Graph) throws(GraphError) -> ValueID {
        switch mask.form {
        case .addend(let value): return value
        case .choice(let condition, let hidden, let hidesWhereTrue):
            let zero = try graph.addFloats([0], shape: [], name: "zero")
            return hidesWhereTrue
                ? graph.apply(.where, condition, hidden, zero)
                : graph.apply(.where, condition, zero, hidden)
        }
    }

    /// Whether the mask is a constant that hides exactly the keys after each query.
    func isCausal(_ mask: Mask, shape: [Dimension], in graph: Graph) -> Bool {
        guard let length = shape[2].fixed, length > 1, shape[3] == shape[2] else { return false }
        let isHidden: (Int) -> Bool?
        let source: ValueID
        switch mask.form {
        case .addend(let value):
            guard let numbers = graph.constantFloats(value) else { return false }
            source = value
            isHidden = { numbers[$0] == 0 ? false : numbers[$0] <= -1e4 ? true : nil }
        case .choice(let condition, _, let hidesWhereTrue):
            guard let tensor = graph.constant(condition), tensor.elementType == .bool,
                let flags = try? tensor.elements(as: UInt8.self)
            else { return false }
            source = condition
            isHidden = { (flags[$0] != 0) == hidesWhereTrue }
        }
        guard let own = graph.dimensions(of: source), own.count >= 2,
            own.dropLast(2).allSatisfy({ $0.fixed == 1 }),
            Array(own.suffix(2)) == Array(shape.suffix(2))
        else { return false }
        return (0..<(length * length)).allSatisfy { place in
            isHidden(place) == (place % length > place / length)
        }
    }
}
