// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let gather = NativeOperator(.gather) { node in
        let input = try node.input(0)
        let axis = try node.axis(node.int("axis"), rank: input.shape.rank)
        try emitGather(node, input, node.cast(node.input(1), to: .int64), node.output(), axis: axis)
    }
}

struct GatherArguments: BitwiseCopyable {
    var elementBytes: Int32
    var input: Slot
    var indices: Slot
    var output: Slot
    var count: Int64
    var outer: Int64
    var size: Int64
    var inner: Int64
}

/// Emits the input's slices along `axis` at each of the int64 indices.
func emitGather(
    _ node: Lowering, _ input: Operand, _ indices: Operand, _ output: Operand, axis: Int
) throws {
    try unsafe node.emit(
        gatherStep,
        GatherArguments(
            elementBytes: node.elementBytes(input), input: input.slot, indices: indices.slot,
            output: output.slot, count: Int64(indices.count),
            outer: Int64(input.shape.product(0..<axis)), size: Int64(input.shape[axis]),
            inner: Int64(input.shape.product((axis + 1)..<input.shape.rank))))
}

func gatherStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: GatherArguments.self)
    let frame = unsafe StepFrame(frame)
    let status = unsafe martlet_gather(
        arguments.elementBytes, frame[arguments.input], frame[arguments.output],
        frame[arguments.indices]?.assumingMemoryBound(to: Int64.self), arguments.count,
        arguments.outer, arguments.size, arguments.inner, frame.threads)
    return status == 0 ? StepStatus.done : StepStatus.indexOutOfRange
}
