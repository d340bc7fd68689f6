// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let transpose = NativeOperator(.transpose) { node in
        let input = try node.input()
        let order = node.ints("perm") ?? Array(input.shape.indices.reversed())
        // Axes of size 1 may go anywhere without moving data.
        let moved = order.filter { input.shape[$0] != 1 }
        if moved == moved.sorted() { return try node.alias() }
        try emitTranspose(node, input, node.output(), order: order)
    }
}

struct TransposeArguments: BitwiseCopyable {
    var elementBytes: Int32
    var input: Slot
    var output: Slot
    var shape: Extents
    var order: Extents
}

/// Emits `output`, whose axis i is the input's axis `order[i]`; both dense.
func emitTranspose(
    _ node: Lowering, _ input: Operand, _ output: Operand, order: [Int]
) throws {
    try unsafe node.emit(
        transposeStep,
        TransposeArguments(
            elementBytes: node.elementBytes(input), input: input.slot, output: output.slot,
            shape: Extents(input.shape), order: Extents(order.map { Int64($0) })))
}

func transposeStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: TransposeArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe arguments.shape.withPointer { shape in
        unsafe arguments.order.withPointer { order in
            unsafe martlet_transpose(
                arguments.elementBytes, frame[arguments.input], frame[arguments.output],
                arguments.shape.count, shape, order, frame.threads)
        }
    }
}
