// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletTensor

/// Moves elements between two strided views: slices, concatenations, pads, expands, flips.
struct StridedCopyArguments: BitwiseCopyable {
    var elementBytes: Int32
    var from: Slot
    var to: Slot
    /// Of the first element, in bytes.
    var fromOffset: Int
    var toOffset: Int
    var shape: Extents
    var fromStrides: Extents
    var toStrides: Extents
}

/// A view of an operand's elements: where it begins and how far apart neighbours are, in elements.
struct StridedView {
    var slot: Slot
    var offset: Int
    var strides: [Int64]
}

func emitStridedCopy(
    _ node: Lowering, elementBytes: Int32, shape: [Int64], from: StridedView, to: StridedView
) throws {
    if shape.contains(0) { return }
    try unsafe node.emit(
        stridedCopyStep,
        StridedCopyArguments(
            elementBytes: elementBytes, from: from.slot, to: to.slot,
            fromOffset: from.offset * Int(elementBytes), toOffset: to.offset * Int(elementBytes),
            shape: Extents(shape), fromStrides: Extents(from.strides),
            toStrides: Extents(to.strides)))
}

func stridedCopyStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: StridedCopyArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let from = unsafe frame[arguments.from], let to = unsafe frame[arguments.to] else {
        return -1
    }
    return unsafe arguments.shape.withPointer { shape in
        unsafe arguments.fromStrides.withPointer { fromStrides in
            unsafe arguments.toStrides.withPointer { toStrides in
                unsafe martlet_copy_strided(
                    arguments.elementBytes, to + arguments.toOffset, from + arguments.fromOffset,
                    arguments.shape.count, shape, toStrides, fromStrides, frame.threads)
            }
        }
    }
}

/// Emits `output = input` repeated to the output's shape.
func emitExpand(_ node: Lowering, _ input: Operand, _ output: Operand) throws {
    try node.expectBroadcast([input], to: output.shape)
    let loops = BroadcastLoops(output: output.shape, operands: [input.shape, output.shape])
    try emitStridedCopy(
        node, elementBytes: node.elementBytes(input), shape: loops.shape,
        from: StridedView(slot: input.slot, offset: 0, strides: loops.strides[0]),
        to: StridedView(slot: output.slot, offset: 0, strides: loops.strides[1]))
}
