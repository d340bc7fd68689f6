// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// All take `layout` ("NCHW" or "NHWC", of input and output alike).
extension OperatorSchema {
    /// `kernel_shape`, `strides`, `pads`, `dilations`, `auto_pad`, `ceil_mode`. Output 1: indices.
    public static let maxPool = OperatorSchema("MaxPool") { context throws(GraphError) in
        try inferPool(&context)
        if let first = context.outputs.first {
            try context.setOutput(1, .int64, first.dimensions)
        }
    }

    /// As MaxPool, and `count_include_pad`.
    public static let averagePool = OperatorSchema("AveragePool") { context throws(GraphError) in
        try inferPool(&context)
    }

    /// As MaxPool, and `p` (2).
    public static let lpPool = OperatorSchema("LpPool") { context throws(GraphError) in
        try inferPool(&context)
    }

    /// Inputs: pooled values, their places, the output's shape?. `kernel_shape`, `strides`, `pads`.
    public static let maxUnpool = OperatorSchema("MaxUnpool") { context throws(GraphError) in
        let data = try context.type(0)
        guard let input = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard input.count >= 3 else { throw context.failure("needs [batch, channels, size…]") }
        if context.has(2) {
            guard let shape = context.value(2)?.dimensions else {
                let unknown = input.map { _ in context.freshDimension() }
                return try context.setOutput(0, data.elementType, unknown)
            }
            guard shape.count == input.count else {
                throw context.failure("a shape of another rank")
            }
            return try context.setOutput(0, data.elementType, shape)
        }
        let window = try Window(context, rank: input.count - 2)
        var result = [input[0], input[1]]
        for axis in 0..<(input.count - 2) {
            result.append(
                try window.transposedSize(context, input[axis + 2], axis: axis, extra: 0))
        }
        try context.setOutput(0, data.elementType, result)
    }

    public static let globalAveragePool = globalPool("GlobalAveragePool")
    public static let globalMaxPool = globalPool("GlobalMaxPool")
    public static let globalLpPool = globalPool("GlobalLpPool")

    private static func globalPool(_ name: String) -> OperatorSchema {
        OperatorSchema(name) { context throws(GraphError) in
            let data = try context.type(0)
            guard let raw = data.dimensions else {
                return try context.setOutput(0, data.elementType, nil)
            }
            let layout = try Layout(context, rank: raw.count)
            var result = layout.channelsFirst(raw)
            for axis in 2..<Swift.max(result.count, 2) { result[axis] = 1 }
            try context.setOutput(0, data.elementType, layout.asStored(result))
        }
    }

    private static func inferPool(_ context: inout ShapeContext) throws(GraphError) {
        let data = try context.type(0)
        guard let raw = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        let layout = try Layout(context, rank: raw.count)
        let input = layout.channelsFirst(raw)
        guard input.count >= 3 else { throw context.failure("needs [batch, channels, size…]") }
        let window = try Window(context, rank: input.count - 2)
        var result = [input[0], input[1]]
        for axis in 0..<(input.count - 2) {
            result.append(try window.size(context, input[axis + 2], axis: axis))
        }
        try context.setOutput(0, data.elementType, layout.asStored(result))
    }
}
