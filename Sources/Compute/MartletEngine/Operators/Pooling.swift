// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let maxPool = NativeOperator(.maxPool) { node in
        let input = try node.input()
        let indices = node.optionalOutput(1)
        if input.elementType == .float32, indices == nil, input.shape.rank <= 4 {
            return try lowerPool(node, isMaximum: true)
        }
        if indices == nil, input.shape.rank <= 4, !input.elementType.isInteger {
            return try node.lowerWidened { try lowerPool($0, isMaximum: true) }
        }
        let wide = try node.floats(0)
        guard let shape = node.optionalOutput(0)?.shape ?? indices?.shape else { return }
        let values = try node.optionalOutput(0) ?? node.temporary(.float32, shape)
        guard values.elementType != .float32 else {
            return try emitGeneralPool(node, wide, values, .maximum, indices: indices)
        }
        let pooled = try node.temporary(.float32, shape)
        try emitGeneralPool(node, wide, pooled, .maximum, indices: indices)
        try emitCast(node, pooled, values)
    }
    static let averagePool = float32(.averagePool) { node in
        if try node.input().shape.rank > 4 {
            let kind = PoolKind.mean(countsPadding: node.int("count_include_pad") != 0)
            return try emitGeneralPool(node, node.input(), node.output(), kind)
        }
        try lowerPool(node, isMaximum: false)
    }
    static let globalAveragePool = float32(.globalAveragePool) { node in
        let input = try node.input()
        if node.string("layout") == "NHWC" {
            try emitGlobalPool(node, input)
        } else {
            try emitReduce(
                node, MARTLET_REDUCE_MEAN, input, node.output(),
                axes: Array(2..<Swift.max(input.shape.rank, 2)))
        }
    }
    static let globalMaxPool = float32(.globalMaxPool) { node in
        let input = try node.input()
        let isLast = node.string("layout") == "NHWC"
        let axes = isLast ? 1..<(input.shape.rank - 1) : 2..<Swift.max(input.shape.rank, 2)
        try emitReduce(node, MARTLET_REDUCE_MAX, input, node.output(), axes: Array(axes))
    }

    private static func lowerPool(_ node: Lowering, isMaximum: Bool) throws {
        let input = try node.input()
        let output = try node.output()
        try node.expectFloat32(input)
        guard let kernel = node.ints("kernel_shape") else {
            throw node.failure("attribute 'kernel_shape' is missing", .invalidModel)
        }
        let geometry = try ImageGeometry(
            node, input: input.shape, output: output.shape, kernel: kernel)
        var from = input.slot
        var to = output.slot
        if !geometry.isChannelsLast {
            from = try node.temporary(.float32, input.shape).slot
            to = try node.temporary(.float32, output.shape).slot
            try emitToChannelsLast(node, input, from)
        }
        try unsafe node.emit(
            poolStep,
            PoolArguments(
                input: from, output: to, isMaximum: isMaximum,
                countsPadding: node.int("count_include_pad") != 0, sizes: Sizes(geometry)))
        if !geometry.isChannelsLast { try emitToChannelsFirst(node, to, output) }
    }

    private static func emitGlobalPool(_ node: Lowering, _ input: Operand) throws {
        let channels = input.shape[input.shape.rank - 1]
        try unsafe node.emit(
            globalPoolStep,
            GlobalPoolArguments(
                input: input.slot, output: node.output().slot, batch: Int64(input.shape[0]),
                pixels: Int64(input.shape.product(1..<(input.shape.rank - 1))),
                channels: Int64(channels)))
    }
}

/// The pool kernel's sizes.
struct Sizes: BitwiseCopyable {
    var batch, inHeight, inWidth, channels, outHeight, outWidth: Int64
    var kernelHeight, kernelWidth, strideHeight, strideWidth: Int64
    var dilationHeight, dilationWidth: Int64
    var padTop, padLeft, padBottom, padRight: Int64

    init(_ geometry: ImageGeometry) {
        batch = Int64(geometry.batch)
        inHeight = Int64(geometry.inHeight)
        inWidth = Int64(geometry.inWidth)
        channels = Int64(geometry.channels)
        outHeight = Int64(geometry.outHeight)
        outWidth = Int64(geometry.outWidth)
        kernelHeight = Int64(geometry.kernelHeight)
        kernelWidth = Int64(geometry.kernelWidth)
        strideHeight = Int64(geometry.strideHeight)
        strideWidth = Int64(geometry.strideWidth)
        dilationHeight = Int64(geometry.dilationHeight)
        dilationWidth = Int64(geometry.dilationWidth)
        padTop = Int64(geometry.padTop)
        padLeft = Int64(geometry.padLeft)
        padBottom = Int64(geometry.padBottom)
        padRight = Int64(geometry.padRight)
    }
}

struct PoolArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var isMaximum: Bool
    var countsPadding: Bool
    var sizes: Sizes
}

func poolStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: PoolArguments.self)
    let frame = unsafe StepFrame(frame)
    let sizes = arguments.sizes
    var pool = unsafe martlet_pool2d_f32_args(
        x: frame.floats(arguments.input), y: frame.floats(arguments.output), batch: sizes.batch,
        in_height: sizes.inHeight, in_width: sizes.inWidth, channels: sizes.channels,
        out_height: sizes.outHeight, out_width: sizes.outWidth, kernel_height: sizes.kernelHeight,
        kernel_width: sizes.kernelWidth, stride_height: sizes.strideHeight,
        stride_width: sizes.strideWidth, dilation_height: sizes.dilationHeight,
        dilation_width: sizes.dilationWidth, pad_top: sizes.padTop, pad_left: sizes.padLeft,
        pad_bottom: sizes.padBottom, pad_right: sizes.padRight, in_pixel_stride: sizes.channels,
        out_pixel_stride: sizes.channels, count_include_pad: arguments.countsPadding ? 1 : 0)
    if arguments.isMaximum {
        unsafe martlet_max_pool2d_f32(&pool, frame.threads)
    } else {
        unsafe martlet_average_pool2d_f32(&pool, frame.threads)
    }
    return StepStatus.done
}

struct GlobalPoolArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var batch: Int64
    var pixels: Int64
    var channels: Int64
}

func globalPoolStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: GlobalPoolArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_global_average_pool_f32(
        frame.floats(arguments.input), frame.floats(arguments.output), arguments.batch,
        arguments.pixels, arguments.channels, arguments.channels, frame.threads)
    return StepStatus.done
}
