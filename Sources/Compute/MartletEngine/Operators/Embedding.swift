// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// LayerNormalization(word[ids] + position + type[types]).
    static let embeddingLayerNorm = NativeOperator(.embeddingLayerNorm) { node in
        let output = try node.output()
        try node.expectFloat32(output)
        let words = try node.input(2)
        let positions = try node.input(3)
        let width = output.shape[2]
        let length = output.shape[1]
        let offset = node.int("positionOffset")
        guard offset >= 0, length + offset <= positions.shape[0] else {
            throw node.failure(
                "\(length) positions from \(offset) on; the table has \(positions.shape[0])",
                .invalidInput)
        }
        let ids = try node.cast(node.input(0), to: .int64)
        try emitGather(node, words, ids, output, axis: 0)
        if let types = node.optional(1), let table = node.optional(4) {
            let typed = try node.temporary(.float32, output.shape)
            try emitGather(node, table, node.cast(types, to: .int64), typed, axis: 0)
            try emitBinary(node, MARTLET_ADD, output, typed, output)
        }
        let rows = Operand(
            slot: node.builder.slots.addView(
                of: positions.slot, offset: offset * width * 4, byteCount: length * width * 4),
            elementType: .float32, shape: [length, width], constant: nil, value: nil)
        try emitBinary(node, MARTLET_ADD, output, rows, output)
        try emitNorm(
            node,
            NormForm(
                input: output, residual: nil, scale: node.input(5), bias: node.optional(6),
                output: output, sum: nil, mean: nil, inverse: nil, axis: 2, isRMS: false),
            epsilon: node.float("epsilon", default: 1e-12))
    }

    /// The mean over the positions whose mask is not 0.
    static let maskedMeanPooling = float32(.maskedMeanPooling) { node in
        let input = try node.input()
        try node.expectFloat32(input)
        let mask = try node.cast(node.input(1), to: .int64)
        try unsafe node.emit(
            meanPoolStep,
            MeanPoolArguments(
                input: input.slot, mask: mask.slot, output: node.output().slot,
                batch: Int64(input.shape[0]), length: Int64(input.shape[1]),
                width: Int64(input.shape[2])))
    }
}

struct MeanPoolArguments: BitwiseCopyable {
    var input: Slot
    var mask: Slot
    var output: Slot
    var batch: Int64
    var length: Int64
    var width: Int64
}

func meanPoolStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: MeanPoolArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_mean_pool_f32(
        frame.floats(arguments.input),
        frame[arguments.mask]?.assumingMemoryBound(to: Int64.self),
        frame.floats(arguments.output), arguments.batch, arguments.length, arguments.width,
        frame.threads)
    return StepStatus.done
}
