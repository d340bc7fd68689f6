// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// One axis after the other: a gather for "nearest", weighted sums for "linear" and "cubic".
    static let resize = NativeOperator(.resize) { node in
        let mode = node.string("mode", default: "nearest")
        guard ["nearest", "linear", "cubic"].contains(mode) else {
            throw node.failure("mode '\(mode)'")
        }
        let isCropped = node.string("coordinate_transformation_mode") == "tf_crop_and_resize"
        if mode == "nearest" && !isCropped {
            return try lowerResize(node, node.input(), node.output())
        }
        let input = try node.floats(0)
        try node.produce { output in try lowerResize(node, input, output) }
    }

    private static func lowerResize(
        _ node: Lowering, _ input: Operand, _ output: Operand
    ) throws {
        let mode = node.string("mode", default: "nearest")
        let axes = try ResizeAxis.all(node, input.shape, output.shape).filter { $0.changes }
        if axes.isEmpty {
            return try emitExpand(node, input, output)
        }
        var current = input
        for (index, axis) in axes.enumerated() {
            var shape = current.shape
            shape[axis.axis] = axis.length
            let target =
                index == axes.count - 1 ? output : try node.temporary(input.elementType, shape)
            if mode == "nearest" {
                let places = try axis.nearest(node)
                try emitGather(
                    node, current, node.constantOperand(Tensor(places)), target, axis: axis.axis)
            } else {
                try emitResample(
                    node, current, target, axis: axis.axis, axis.weights(node, mode: mode))
            }
            current = target
        }
        try emitOutside(node, axes, output)
    }

    /// Writes the stated value where a cropped coordinate lies outside the data.
    private static func emitOutside(
        _ node: Lowering, _ axes: [ResizeAxis], _ output: Operand
    ) throws {
        guard node.string("coordinate_transformation_mode") == "tf_crop_and_resize" else { return }
        let value = try node.filled(
            Double(node.float("extrapolation_value")), elementType: output.elementType)
        for axis in axes {
            let outside = axis.points.map { $0 < 0 || $0 > Double(axis.size - 1) }
            guard outside.contains(true) else { continue }
            var column = Shape(repeating: 1, rank: output.shape.rank)
            column[axis.axis] = axis.length
            let mask = try node.constantOperand(Tensor(booleans: outside, shape: column))
            try emitWhere(node, mask, value, output, output)
        }
    }

    /// Channels become places.
    static let depthToSpace = NativeOperator(.depthToSpace) { node in
        let output = try node.output()
        let input = try node.input()
        let block = node.int("blocksize", default: 1)
        let channels = output.shape[1]
        let isColumnFirst = node.string("mode", default: "DCR") == "CRD"
        let (height, width) = (input.shape[2], input.shape[3])
        let shape: Shape =
            isColumnFirst
            ? [input.shape[0], channels, block, block, height, width]
            : [input.shape[0], block, block, channels, height, width]
        try emitTranspose(
            node, input.viewed(as: shape), output,
            order: isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2])
    }

    /// Places become channels.
    static let spaceToDepth = NativeOperator(.spaceToDepth) { node in
        let input = try node.input()
        let output = try node.output()
        let block = node.int("blocksize", default: 1)
        let isColumnFirst = node.string("mode", default: "DCR") == "CRD"
        let blocks: Shape = [
            input.shape[0], input.shape[1], output.shape[2], block, output.shape[3], block,
        ]
        try emitTranspose(
            node, input.viewed(as: blocks), output,
            order: isColumnFirst ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4])
    }
}

/// What each place of a resized axis is made of: `taps` places and their weights.
struct ResampleTable {
    var taps: Int
    var places: [Int32]
    var weights: [Float]
}

struct ResampleArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var places: Slot
    var weights: Slot
    var outer: Int64
    var size: Int64
    var inner: Int64
    var length: Int64
    var taps: Int64
}

/// Emits weighted sums of 32-bit floats along an axis.
func emitResample(
    _ node: Lowering, _ input: Operand, _ output: Operand, axis: Int, _ table: ResampleTable
) throws {
    try unsafe node.emit(
        resampleStep,
        ResampleArguments(
            input: input.slot, output: output.slot, places: node.constant(Tensor(table.places)),
            weights: node.constant(Tensor(table.weights)),
            outer: Int64(input.shape.product(0..<axis)), size: Int64(input.shape[axis]),
            inner: Int64(input.shape.product((axis + 1)..<input.shape.rank)),
            length: Int64(output.shape[axis]), taps: Int64(table.taps)))
}

func resampleStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: ResampleArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_resample_f32(
        frame.floats(arguments.input), frame.floats(arguments.output), arguments.outer,
        arguments.size, arguments.inner, arguments.length, arguments.taps,
        frame[arguments.places]?.assumingMemoryBound(to: Int32.self),
        frame.floats(arguments.weights), frame.threads)
    return StepStatus.done
}
