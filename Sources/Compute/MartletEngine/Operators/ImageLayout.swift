// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletTensor

struct LayoutArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var batch: Int64
    var channels: Int64
    var pixels: Int64
}

/// Emits the [batch, channels, …] tensor with its channels last.
func emitToChannelsLast(_ node: Lowering, _ input: Operand, _ output: Slot) throws {
    try unsafe node.emit(toChannelsLastStep, layoutArguments(input.shape, input.slot, output))
}

/// Emits the [batch, channels, …] output from a channels-last tensor.
func emitToChannelsFirst(_ node: Lowering, _ input: Slot, _ output: Operand) throws {
    try unsafe node.emit(toChannelsFirstStep, layoutArguments(output.shape, input, output.slot))
}

private func layoutArguments(_ shape: Shape, _ input: Slot, _ output: Slot) -> LayoutArguments {
    LayoutArguments(
        input: input, output: output, batch: Int64(shape[0]), channels: Int64(shape[1]),
        pixels: Int64(shape.product(2..<shape.rank)))
}

func toChannelsLastStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: LayoutArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_nchw_to_nhwc_f32(
        frame.floats(arguments.input), frame.floats(arguments.output), arguments.batch,
        arguments.channels, arguments.pixels, arguments.channels, frame.threads)
    return StepStatus.done
}

func toChannelsFirstStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: LayoutArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_nhwc_to_nchw_f32(
        frame.floats(arguments.input), frame.floats(arguments.output), arguments.batch,
        arguments.channels, arguments.pixels, arguments.channels, frame.threads)
    return StepStatus.done
}
