// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Operators that rename the elements' places without moving data.
extension OperatorSchema {
    /// Inputs: data, shape: -1 is what is left over, 0 the input's own (unless `allowzero`).
    public static let reshape = OperatorSchema("Reshape") { context throws(GraphError) in
        let data = try context.type(0)
        guard let target = context.value(1)?.dimensions else {
            let rank = try context.length(1)
            let unknown = rank.map { (0..<Swift.min($0, 64)).map { _ in context.freshDimension() } }
            return try context.setOutput(0, data.elementType, unknown)
        }
        var result: [Dimension] = []
        var inferred: Int?
        for (axis, wanted) in target.enumerated() {
            if wanted.fixed == -1 {
                if inferred != nil { throw context.failure("two dimensions are -1") }
                inferred = axis
                result.append(1)
            } else if wanted.fixed == 0, context.int("allowzero") == 0 {
                guard let dimensions = data.dimensions else {
                    result.append(context.freshDimension())
                    continue
                }
                guard axis < dimensions.count else {
                    throw context.failure("dimension \(axis) of \(dimensions.count) is to be kept")
                }
                result.append(dimensions[axis])
            } else {
                result.append(wanted)
            }
        }
        if let inferred {
            result[inferred] = try remainder(context, of: data.dimensions, over: result)
        } else if let dimensions = data.dimensions {
            try expectSameCount(context, dimensions, result)
        }
        try setReshaped(&context, data, result)
    }

    /// `axis` (1): all before it become rows, the rest columns.
    public static let flatten = OperatorSchema("Flatten") { context throws(GraphError) in
        let data = try context.type(0)
        guard let dimensions = data.dimensions else {
            return try context.setOutput(
                0, data.elementType, [context.freshDimension(), context.freshDimension()])
        }
        let raw = context.int("axis", default: 1)
        let axis = raw == dimensions.count ? raw : try context.axis(raw, rank: dimensions.count)
        let result = [
            try product(context, dimensions[..<axis]), try product(context, dimensions[axis...]),
        ]
        try setReshaped(&context, data, result)
    }

    /// Inputs: data, axes? (all of size 1 when absent).
    public static let squeeze = OperatorSchema("Squeeze") { context throws(GraphError) in
        let data = try context.type(0)
        guard let dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        var removed: [Int]
        if context.has(1) {
            guard let raw = context.integers(1) else {
                return try context.setOutput(0, data.elementType, nil)
            }
            removed = try context.axes(raw, rank: dimensions.count)
            for axis in removed {
                try context.expectEqual(dimensions[axis], 1, "size of squeezed axis \(axis)")
            }
        } else {
            removed = dimensions.indices.filter { dimensions[$0].fixed == 1 }
        }
        let kept = dimensions.indices.filter { !removed.contains($0) }
        try setReshaped(&context, data, kept.map { dimensions[$0] })
    }

    /// Inputs: data, axes: where the new dimensions of size 1 are in the result.
    public static let unsqueeze = OperatorSchema("Unsqueeze") { context throws(GraphError) in
        let data = try context.type(0)
        guard let dimensions = data.dimensions, let raw = context.integers(1) else {
            return try context.setOutput(0, data.elementType, nil)
        }
        var result = dimensions
        for axis in try context.axes(raw, rank: dimensions.count + raw.count) {
            result.insert(1, at: axis)
        }
        try setReshaped(&context, data, result)
    }

    private static func setReshaped(
        _ context: inout ShapeContext, _ data: ValueType, _ dimensions: [Dimension]
    ) throws(GraphError) {
        try context.setOutput(0, data.elementType, dimensions)
        guard let shape = ValueType(dimensions: dimensions).fixedShape, context.isKnown(0),
            var value = context.value(0), value.count == shape.elementCountChecked
        else { return }
        value.shape = shape
        try context.setValue(0, value)
    }

    private static func product(
        _ context: ShapeContext, _ dimensions: ArraySlice<Dimension>
    ) throws(GraphError) -> Dimension {
        var result: Dimension = 1
        for dimension in dimensions { result = try context.product(result, dimension) }
        return result
    }

    /// What "-1" stands for: the elements of `whole` over those of `parts`, common symbols
    /// cancelled.
    private static func remainder(
        _ context: ShapeContext, of whole: [Dimension]?, over parts: [Dimension]
    ) throws(GraphError) -> Dimension {
        guard let whole else { return context.freshDimension() }
        var symbolic = whole.filter { $0.fixed == nil }
        var unmatched = false
        for part in parts where part.fixed == nil {
            if let match = symbolic.firstIndex(of: part) {
                symbolic.remove(at: match)
            } else {
                unmatched = true
            }
        }
        let total = try product(context, whole.filter { $0.fixed != nil }[...])
        let divisor = try product(context, parts.filter { $0.fixed != nil }[...])
        guard let total = total.fixed, let divisor = divisor.fixed, !unmatched else {
            return context.freshDimension()
        }
        if symbolic.isEmpty {
            if divisor == 0 {
                if total == 0 { return 0 }
                throw context.failure("-1 cannot be worked out beside a dimension of 0")
            }
            guard total % divisor == 0 else {
                throw context.failure(
                    "\(context.describe(whole)) does not fill \(context.describe(parts)) evenly")
            }
            return Dimension(total / divisor)
        }
        guard symbolic.count == 1, divisor > 0,
            let scaled = symbolic[0].multiplied(by: total), scaled.constant % divisor == 0
        else { return context.freshDimension() }
        return scaled.dividedRoundingDown(by: divisor) ?? context.freshDimension()
    }

    private static func expectSameCount(
        _ context: ShapeContext, _ dimensions: [Dimension], _ result: [Dimension]
    ) throws(GraphError) {
        guard dimensions.allSatisfy({ $0.fixed != nil }), result.allSatisfy({ $0.fixed != nil })
        else { return }
        let before = try product(context, dimensions[...])
        let after = try product(context, result[...])
        guard before == after else {
            throw context.failure(
                "\(context.describe(dimensions)) does not fill \(context.describe(result))")
        }
    }
}
