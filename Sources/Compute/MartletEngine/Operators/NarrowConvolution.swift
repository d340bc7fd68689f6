// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

/// A convolution with weights of fewer bits.
struct NarrowConvolution {
    private let type: martlet_narrow
    private let shape: martlet_conv2d_f32_shape

    /// Nil where the f32 kernels are to do it: as asked, for a shape that has no narrow form, for
    /// weights that are computed or few, and on machines without instructions for the type.
    init?(_ node: Lowering, _ weights: Operand, _ shape: martlet_conv2d_f32_shape) {
        var shape = shape
        let depth = shape.in_channels * shape.kernel_height * shape.kernel_width
        let choice = GemmWeights(node.precision, k: depth, n: shape.out_channels)
        guard weights.constant != nil, let type = choice.narrowType,
            martlet_gemm_narrow_is_fast(type) != 0,
            unsafe martlet_conv2d_narrow_can(&shape) != 0
        else { return nil }
        self.type = type
        self.shape = shape
    }

    func emit(
        _ node: Lowering, _ weights: Operand, from: Slot, to: Slot, _ epilogue: Epilogue
    ) throws {
        var shape = shape
        let threads = node.builder.threads
        let packed = try unsafe node.packedConvolution(
            weights, format: "conv-narrow-\(type.rawValue)",
            byteCount: martlet_conv2d_narrow_packed_bytes(type, &shape)
        ) { source, target in
            var shape = self.shape
            unsafe martlet_conv2d_narrow_pack(type, &shape, source, target, threads)
        }
        let scratch = unsafe node.scratch(
            byteCount: martlet_conv2d_narrow_scratch_bytes(type, &shape, node.threads))
        try unsafe node.emit(
            narrowConvStep,
            NarrowConvArguments(
                type: type, shape: shape, input: from, packed: packed, output: to,
                scratch: scratch, epilogue: epilogue))
    }
}

struct NarrowConvArguments: BitwiseCopyable {
    var type: martlet_narrow
    var shape: martlet_conv2d_f32_shape
    var input: Slot
    var packed: Slot
    var output: Slot
    var scratch: Slot
    var epilogue: Epilogue
}

func narrowConvStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    var arguments = unsafe raw.load(as: NarrowConvArguments.self)
    let frame = unsafe StepFrame(frame)
    var epilogue = unsafe arguments.epilogue.bound(to: frame)
    unsafe martlet_conv2d_narrow(
        arguments.type, &arguments.shape, frame.floats(arguments.input),
        frame[arguments.packed], frame.floats(arguments.output), &epilogue,
        frame[arguments.scratch], frame.threads)
    return StepStatus.done
}
