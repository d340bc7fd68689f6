// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletGraph
internal import MartletTensor

/// A convolution over volumes as convolutions over their slices: each slice of the output is the
/// sum of the slices below its window, each with its own part of the weights.
struct VolumeConvolution: Sendable {
    private let window: WindowGeometry
    private let batch: Int
    private let shape: martlet_conv2d_f32_shape
    private let plan: martlet_conv2d_f32_plan
    private let packed: Slot
    /// Bytes from one part of the packed weights to the next.
    private let packedStride: Int
    private let scratch: Slot
    private let input: Operand
    private let output: Operand
    private let bias: Operand?

    /// Emits the convolution of a [N, C, D, H, W] tensor; false where the weights are not constant.
    static func emit(
        _ node: Lowering, _ input: Operand, _ weights: Operand, bias: Operand?, _ output: Operand
    ) throws -> Bool {
        guard input.shape.rank == 5, weights.constant != nil, input.count > 0 else { return false }
        let from = try node.temporary(.float32, input.shape)
        let to = try node.temporary(.float32, output.shape)
        try emitToChannelsLast(node, input, from.slot)
        let volume = try VolumeConvolution(
            node, from, weights, bias: bias, to, inputShape: input.shape)
        try node.compute { run throws(StepFault) in volume.run(run) }
        try emitToChannelsFirst(node, to.slot, output)
        return true
    }

    private init(
        _ node: Lowering, _ input: Operand, _ weights: Operand, bias: Operand?,
        _ output: Operand, inputShape: Shape
    ) throws {
        self.input = input
        self.output = output
        self.bias = bias
        batch = inputShape[0]
        window = try WindowGeometry(
            node, input: inputShape, output: output.shape,
            kernel: Array(weights.shape.dropFirst(2)))
        let (channels, outChannels) = (inputShape[1], output.shape[1])
        let groups = node.int("group", default: 1)
        guard groups > 0, channels % groups == 0, outChannels % groups == 0,
            weights.shape[0] == outChannels, weights.shape[1] == channels / groups,
            bias.map({ $0.count == outChannels }) ?? true
        else { throw node.failure("channels, groups or bias do not fit", .invalidModel) }
        shape = martlet_conv2d_f32_shape(
            batch: 1, in_height: Int64(window.input[1]), in_width: Int64(window.input[2]),
            in_channels: Int64(channels), out_height: Int64(window.output[1]),
            out_width: Int64(window.output[2]), out_channels: Int64(outChannels),
            groups: Int64(groups), kernel_height: Int64(window.kernel[1]),
            kernel_width: Int64(window.kernel[2]), stride_height: Int64(window.strides[1]),
            stride_width: Int64(window.strides[2]), dilation_height: Int64(window.dilations[1]),
            dilation_width: Int64(window.dilations[2]), pad_top: Int64(window.begins[1]),
            pad_left: Int64(window.begins[2]), in_pixel_stride: Int64(channels),
            out_pixel_stride: Int64(outChannels), in_shuffle: 1)
        var sizes = shape
        plan = unsafe martlet_conv2d_f32_make_plan(&sizes, MARTLET_CONV_AUTOMATIC, node.threads)
        packedStride = (plan.packed_bytes + 63) / 64 * 64
        scratch = node.scratch(byteCount: plan.scratch_bytes)
        let depth = window.kernel[0]
        let (algorithm, stride) = (plan.algorithm, packedStride)
        let slice = window.kernel[1] * window.kernel[2]
        let filters = outChannels * (channels / groups)
        packed = try unsafe node.packed(
            weights, format: "volume-\(algorithm.rawValue)-\(groups)",
            byteCount: depth * packedStride
        ) { tensor, target in
            let all = try tensor.elements(as: Float.self)
            for part in 0..<depth {
                var own: [Float] = []
                for filter in 0..<filters {
                    let first = (filter * depth + part) * slice
                    own += all[first..<(first + slice)]
                }
                unsafe martlet_conv2d_f32_pack(&sizes, algorithm, own, target + part * stride)
            }
        }
    }

    private func run(_ run: ComputationRun) {
        guard let x = unsafe run.frame.floats(input.slot),
            let y = unsafe run.frame.floats(output.slot),
            let weights = unsafe run.frame[packed]
        else { return }
        var (shape, plan) = (shape, plan)
        let inSlice = window.input[1] * window.input[2] * Int(shape.in_channels)
        let outSlice = window.output[1] * window.output[2] * Int(shape.out_channels)
        for slice in 0..<(batch * window.output[0]) {
            let (entry, depth) = (slice / window.output[0], slice % window.output[0])
            let target = unsafe y + slice * outSlice
            var epilogue = unsafe martlet_epilogue_f32()
            unsafe epilogue.bias = UnsafePointer(bias.flatMap { unsafe run.frame.floats($0.slot) })
            var isFirst = true
            for tap in 0..<window.kernel[0] {
                let at =
                    depth * window.strides[0] + tap * window.dilations[0] - window.begins[0]
                guard at >= 0, at < window.input[0] else { continue }
                unsafe martlet_conv2d_f32(
                    &shape, &plan, x + (entry * window.input[0] + at) * inSlice,
                    weights + tap * packedStride, target, &epilogue, run.frame[scratch],
                    run.threads)
                // What is there already is added to.
                unsafe epilogue.bias = nil
                unsafe epilogue.residual = UnsafePointer(target)
                unsafe epilogue.residual_stride = shape.out_channels
                isFirst = false
            }
            guard isFirst else { continue }
            let channels = Int(shape.out_channels)
            for index in 0..<outSlice {
                unsafe target[index] = epilogue.bias.map { unsafe $0[index % channels] } ?? 0
            }
        }
    }
}
