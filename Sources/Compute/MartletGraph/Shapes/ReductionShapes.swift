// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Inputs: data, axes? (all when absent or empty, unless `noop_with_empty_axes`). `keepdims` (1).
extension OperatorSchema {
    public static let reduceMean = reduction("ReduceMean")
    public static let reduceSum = reduction("ReduceSum", fold: { $0.adding($1) }, start: 0)
    public static let reduceProd = reduction(
        "ReduceProd", fold: { $0.multiplied(by: $1) }, start: 1)
    public static let reduceMax = reduction("ReduceMax")
    public static let reduceMin = reduction("ReduceMin")
    public static let reduceL1 = reduction("ReduceL1")
    public static let reduceL2 = reduction("ReduceL2")
    public static let reduceLogSum = reduction("ReduceLogSum")
    public static let reduceLogSumExp = reduction("ReduceLogSumExp")
    public static let reduceSumSquare = reduction("ReduceSumSquare")

    /// `axis` (0), `keepdims` (1), `select_last_index` (0).
    public static let argMax = argument("ArgMax")
    public static let argMin = argument("ArgMin")

    private static func reduction(
        _ name: String, fold: (@Sendable (Dimension, Dimension) -> Dimension?)? = nil,
        start: Dimension = 0
    ) -> OperatorSchema {
        OperatorSchema(name) { context throws(GraphError) in
            let data = try context.type(0)
            let keeps = context.int("keepdims", default: 1) != 0
            guard let dimensions = data.dimensions else {
                return try context.setOutput(0, data.elementType, nil)
            }
            var axes = Array(dimensions.indices)
            if context.has(1) {
                guard let raw = context.integers(1) else {
                    let unknown = keeps ? dimensions.map { _ in context.freshDimension() } : nil
                    return try context.setOutput(0, data.elementType, unknown)
                }
                if !raw.isEmpty { axes = try context.axes(raw, rank: dimensions.count) }
                if raw.isEmpty { try useAll(&axes, context) }
            } else {
                try useAll(&axes, context)
            }
            try context.setOutput(
                0, data.elementType, reduced(dimensions, axes: axes, keeps: keeps))
            guard let fold, dimensions.count == 1, axes == [0], context.isKnown(0),
                let numbers = context.value(0)?.dimensions, let elementType = data.elementType
            else { return }
            var total = start
            for number in numbers { total = fold(total, number) ?? context.freshDimension() }
            try context.setValue(
                0,
                HostValue(
                    elementType: elementType, shape: keeps ? [1] : [],
                    elements: .integers([total])))
        }
    }

    private static func useAll(_ axes: inout [Int], _ context: ShapeContext) throws(GraphError) {
        if context.int("noop_with_empty_axes") != 0 { axes = [] }
    }

    private static func argument(_ name: String) -> OperatorSchema {
        OperatorSchema(name) { context throws(GraphError) in
            guard let dimensions = try context.dimensions(0) else {
                return try context.setOutput(0, .int64, nil)
            }
            let axis = try context.axis(context.int("axis"), rank: dimensions.count)
            let keeps = context.int("keepdims", default: 1) != 0
            try context.setOutput(0, .int64, reduced(dimensions, axes: [axis], keeps: keeps))
        }
    }

    private static func reduced(
        _ dimensions: [Dimension], axes: [Int], keeps: Bool
    ) -> [Dimension] {
        var result: [Dimension] = []
        for (axis, dimension) in dimensions.enumerated() {
            if !axes.contains(axis) {
                result.append(dimension)
            } else if keeps {
                result.append(1)
            }
        }
        return result
    }
}
