// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let conv = float32(.conv) { node in try lowerConv(node) }
    static let fusedConv = float32(.fusedConv) { node in try lowerConv(node) }

    private static func lowerConv(_ node: Lowering) throws {
        let input = try node.input(0)
        let weights = try node.input(1)
        let output = try node.output()
        try node.expectFloat32(input)
        guard input.shape.rank == 4 || node.optional(4) == nil else {
            throw node.failure("scaled weights of rank \(weights.shape.rank)")
        }
        if input.shape.rank > 4, node.string("layout") != "NHWC", node.optional(3) == nil {
            let bias = node.optional(2)
            if try !VolumeConvolution.emit(node, input, weights, bias: bias, output) {
                try emitGeneralConvolution(node, input, weights, bias: bias, output)
            }
            return try emitActivation(node, output)
        }
        let geometry = try ImageGeometry(
            node, input: input.shape, output: output.shape,
            kernel: Array(weights.shape.dropFirst(2)))
        let shape = convShape(node, geometry)
        let plan = makePlan(shape, node)
        guard shape.in_shuffle <= 1 || plan.algorithm == MARTLET_CONV_GEMM else {
            throw node.failure("a channel shuffle before a kernel of more than one pixel")
        }
        let narrow = NarrowConvolution(node, weights, shape)
        var epilogue = Epilogue()
        epilogue.bias = node.optional(2)?.slot ?? .none
        epilogue.residualStride = Int64(geometry.outChannels)
        try epilogue.setActivation(FusedActivation(attributes: node.attributes))
        var from = input.slot
        var to = output.slot
        // A single channel or pixel lies alike in both layouts.
        let convertsInput =
            !geometry.isChannelsLast && geometry.channels > 1 && geometry.inPixels > 1
        let convertsOutput =
            !geometry.isChannelsLast && geometry.outChannels > 1 && geometry.outPixels > 1
        if convertsInput {
            from = try node.temporary(.float32, input.shape).slot
            try emitToChannelsLast(node, input, from)
        }
        if convertsOutput { to = try node.temporary(.float32, output.shape).slot }
        if let residual = node.optional(3) {
            // Passes give one that fits; a file's fourth input may be anything.
            guard residual.shape == output.shape, residual.elementType == .float32 else {
                throw node.failure("a residual of \(residual.shape)", .invalidModel)
            }
            epilogue.residual = residual.slot
            if convertsOutput {
                epilogue.residual = try node.temporary(.float32, residual.shape).slot
                try emitToChannelsLast(node, residual, epilogue.residual)
            }
        }
        if let narrow {
            try narrow.emit(node, weights, from: from, to: to, epilogue)
        } else {
            let packed = try packConvWeights(node, weights, shape, plan)
            try unsafe node.emit(
                convStep,
                ConvArguments(
                    shape: shape, plan: plan, input: from, packed: packed, output: to,
                    scratch: node.scratch(byteCount: plan.scratch_bytes), epilogue: epilogue))
        }
        if convertsOutput { try emitToChannelsFirst(node, to, output) }
    }

    /// The fused activation, where the convolution's own kernel did not apply it.
    private static func emitActivation(_ node: Lowering, _ output: Operand) throws {
        let fused = try FusedActivation(attributes: node.attributes)
        switch fused {
        case .none: return
        case .relu: try emitUnary(node, MARTLET_RELU, output, output)
        case .clip(let low, let high):
            try emitUnary(
                node, MARTLET_CLIP, output, output, alpha: Double(low), beta: Double(high))
        case .leakyRelu(let slope):
            try emitUnary(node, MARTLET_LEAKY_RELU, output, output, alpha: Double(slope))
        case .sigmoid: try emitUnary(node, MARTLET_SIGMOID, output, output)
        case .tanh: try emitUnary(node, MARTLET_TANH, output, output)
        case .gelu: try emitUnary(node, MARTLET_GELU_ERF, output, output)
        case .geluTanh: try emitUnary(node, MARTLET_GELU_TANH, output, output)
        case .silu: try emitUnary(node, MARTLET_SILU, output, output)
        case .hardSwish: try emitUnary(node, MARTLET_HARD_SWISH, output, output)
        case .hardSigmoid(let alpha, let beta):
            try emitUnary(
                node, MARTLET_HARD_SIGMOID, output, output, alpha: Double(alpha),
                beta: Double(beta))
        }
    }

    static func convShape(
        _ node: Lowering, _ geometry: ImageGeometry
    ) -> martlet_conv2d_f32_shape {
        martlet_conv2d_f32_shape(
            batch: Int64(geometry.batch), in_height: Int64(geometry.inHeight),
            in_width: Int64(geometry.inWidth), in_channels: Int64(geometry.channels),
            out_height: Int64(geometry.outHeight), out_width: Int64(geometry.outWidth),
            out_channels: Int64(geometry.outChannels),
            groups: Int64(node.int("group", default: 1)),
            kernel_height: Int64(geometry.kernelHeight), kernel_width: Int64(geometry.kernelWidth),
            stride_height: Int64(geometry.strideHeight), stride_width: Int64(geometry.strideWidth),
            dilation_height: Int64(geometry.dilationHeight),
            dilation_width: Int64(geometry.dilationWidth), pad_top: Int64(geometry.padTop),
            pad_left: Int64(geometry.padLeft), in_pixel_stride: Int64(geometry.channels),
            out_pixel_stride: Int64(geometry.outChannels),
            in_shuffle: Int64(node.int("in_shuffle", default: 1)))
    }

    private static func makePlan(
        _ shape: martlet_conv2d_f32_shape, _ node: Lowering
    ) -> martlet_conv2d_f32_plan {
        var shape = shape
        return unsafe martlet_conv2d_f32_make_plan(
            &shape, MARTLET_CONV_AUTOMATIC, node.threads)
    }

    /// Constant weights are packed once; others by a step of every run.
    private static func packConvWeights(
        _ node: Lowering, _ weights: Operand, _ shape: martlet_conv2d_f32_shape,
        _ plan: martlet_conv2d_f32_plan
    ) throws -> Slot {
        if weights.constant != nil {
            return try unsafe node.packedConvolution(
                weights,
                format: "conv-\(plan.algorithm.rawValue)-\(shape.groups)-\(shape.in_shuffle)",
                byteCount: plan.packed_bytes
            ) { source, target in
                var shape = shape
                unsafe martlet_conv2d_f32_pack(&shape, plan.algorithm, source, target)
            }
        }
        guard node.optional(4) == nil else {
            throw node.failure("a scale for weights that are computed")
        }
        let packed = node.scratch(byteCount: plan.packed_bytes)
        try unsafe node.emit(
            packConvStep,
            PackConvArguments(shape: shape, plan: plan, weights: weights.slot, packed: packed))
        return packed
    }
}

struct ConvArguments: BitwiseCopyable {
    var shape: martlet_conv2d_f32_shape
    var plan: martlet_conv2d_f32_plan
    var input: Slot
    var packed: Slot
    var output: Slot
    var scratch: Slot
    var epilogue: Epilogue
}

func convStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    var arguments = unsafe raw.load(as: ConvArguments.self)
    let frame = unsafe StepFrame(frame)
    var epilogue = unsafe arguments.epilogue.bound(to: frame)
    var plan = arguments.plan
    unsafe martlet_conv2d_f32(
        &arguments.shape, &plan, frame.floats(arguments.input), frame[arguments.packed],
        frame.floats(arguments.output), &epilogue, frame[arguments.scratch], frame.threads)
    return StepStatus.done
}

struct PackConvArguments: BitwiseCopyable {
    var shape: martlet_conv2d_f32_shape
    var plan: martlet_conv2d_f32_plan
    var weights: Slot
    var packed: Slot
}

func packConvStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    var arguments = unsafe raw.load(as: PackConvArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_conv2d_f32_pack(
        &arguments.shape, arguments.plan.algorithm, frame.floats(arguments.weights),
        frame[arguments.packed])
    return StepStatus.done
}
