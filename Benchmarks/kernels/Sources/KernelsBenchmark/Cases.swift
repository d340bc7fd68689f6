// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels

/// One measured kernel: its name, its floating-point operations, and a call of it.
struct Case {
    var name: String
    var operations: Double
    var call: () -> Void
}

func gemm(_ m: Int64, _ k: Int64, _ n: Int64, _ threads: Int32) -> Case {
    let b = floats(Int(k * n))
    let packed = room(martlet_gemm_f32_pack_b_bytes(k, n))
    martlet_gemm_f32_pack_b(b, n, 1, k, n, packed)
    let scratch = room(martlet_gemm_f32_scratch_bytes(m, n, k, threads))
    var args = martlet_gemm_f32_args()
    (args.m, args.n, args.k, args.alpha) = (m, n, k, 1)
    (args.a, args.a_row_stride) = (UnsafePointer(floats(Int(m * k))), k)
    args.packed_b = UnsafeRawPointer(packed)
    (args.c, args.c_row_stride) = (floats(Int(m * n), random: false), n)
    args.epilogue.bias = UnsafePointer(floats(Int(n)))
    return Case(name: "gemm \(m)x\(k)x\(n)", operations: 2 * Double(m * n * k)) {
        martlet_gemm_f32(&args, scratch, threads)
    }
}

func convolution(
    _ size: Int64, _ input: Int64, _ output: Int64, kernel: Int64, stride: Int64,
    groups: Int64 = 1, _ threads: Int32
) -> Case {
    let outSize = (size + 2 * (kernel / 2) - kernel) / stride + 1
    var shape = martlet_conv2d_f32_shape(
        batch: 1, in_height: size, in_width: size, in_channels: input, out_height: outSize,
        out_width: outSize, out_channels: output, groups: groups, kernel_height: kernel,
        kernel_width: kernel, stride_height: stride, stride_width: stride, dilation_height: 1,
        dilation_width: 1, pad_top: kernel / 2, pad_left: kernel / 2, in_pixel_stride: input,
        out_pixel_stride: output, in_shuffle: 1)
    var plan = martlet_conv2d_f32_make_plan(&shape, MARTLET_CONV_AUTOMATIC, threads)
    let packed = room(plan.packed_bytes)
    let scratch = room(plan.scratch_bytes)
    let weights = floats(Int(output * (input / groups) * kernel * kernel))
    martlet_conv2d_f32_pack(&shape, plan.algorithm, weights, packed)
    let x = floats(Int(size * size * input))
    let y = floats(Int(outSize * outSize * output), random: false)
    var epilogue = martlet_epilogue_f32()
    epilogue.bias = UnsafePointer(floats(Int(output)))
    epilogue.activation = MARTLET_ACTIVATION_RELU
    let names = ["automatic", "gemm", "direct", "depthwise", "winograd"]
    let name = names[Int(plan.algorithm.rawValue)]
    let products = outSize * outSize * output * (input / groups) * kernel * kernel
    return Case(
        name: "conv \(size)x\(size) \(input)->\(output) \(kernel)x\(kernel)/\(stride) \(name)",
        operations: 2 * Double(products)
    ) {
        martlet_conv2d_f32(&shape, &plan, x, packed, y, &epilogue, scratch, threads)
    }
}

func attention(_ length: Int64, _ heads: Int64, _ size: Int64, _ threads: Int32) -> Case {
    let width = heads * size
    let qkv = UnsafePointer(floats(Int(length * 3 * width)))
    var args = martlet_attention_f32_args()
    (args.batch, args.heads, args.kv_heads) = (1, heads, heads)
    (args.queries, args.keys, args.head_size, args.value_size) = (length, length, size, size)
    (args.q, args.k, args.v) = (qkv, qkv + Int(width), qkv + Int(2 * width))
    args.o = floats(Int(length * width), random: false)
    (args.q_head_stride, args.k_head_stride, args.v_head_stride) = (size, size, size)
    (args.q_row_stride, args.k_row_stride, args.v_row_stride) = (3 * width, 3 * width, 3 * width)
    (args.o_head_stride, args.o_row_stride) = (size, width)
    args.scale = 1 / Float(size).squareRoot()
    args.mask = UnsafePointer(floats(Int(length), random: false))
    args.mask_key_stride = 1
    let scratch = room(martlet_attention_f32_scratch_bytes(&args, threads))
    return Case(
        name: "attention \(length) x \(heads) x \(size)",
        operations: 4 * Double(length * length * width)
    ) {
        martlet_attention_f32(&args, scratch, threads)
    }
}
