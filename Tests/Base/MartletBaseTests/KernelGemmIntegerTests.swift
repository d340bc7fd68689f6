// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Products and convolutions of 8-bit values")
    struct GemmInteger {
        /// What a product is made of; `isNarrow` makes 8-bit answers.
        struct Form {
            var m = 0, n = 0, k = 0
            var isLeftSigned = false, isRightSigned = true
            var leftZero: Int32 = 0
            var zeros: [Int32] = [0]
            var isNarrow = false
            var isNarrowSigned = false
        }

        @Test("every level agrees with exact integers over shapes, signs and zero points")
        func products() {
            var generator = SeededRandom(seed: 31)
            let sizes = [
                (1, 5, 3), (1, 100, 300), (2, 33, 7), (13, 64, 33), (15, 65, 40), (29, 160, 401),
                (30, 40, 4500), (170, 70, 20), (128, 96, 384), (500, 70, 130),
            ]
            for (index, (m, n, k)) in sizes.enumerated() {
                for isLeftSigned in [false, true] {
                    var form = Form(m: m, n: n, k: k, isLeftSigned: isLeftSigned)
                    form.isRightSigned = index % 2 == 0
                    form.leftZero = isLeftSigned ? -7 : 131
                    form.zeros =
                        index % 3 == 0
                        ? [form.isRightSigned ? 0 : 128]
                        : (0..<n).map { _ in
                            Int32.random(
                                in: form.isRightSigned ? -9...9 : 120...140, using: &generator)
                        }
                    form.isNarrow = index % 2 == 1
                    form.isNarrowSigned = isLeftSigned
                    check(form, image: nil, &generator, threads: index % 2 == 0 ? 1 : 0)
                }
            }
        }

        @Test("convolutions agree with exact integers: padding is the zero point")
        func convolutions() {
            var generator = SeededRandom(seed: 32)
            for (index, kernel) in [1, 3, 5].enumerated() {
                for stride in 1...2 {
                    let size = Int64(9)
                    let pad = Int64(kernel / 2)
                    let dilation = Int64(index == 1 && stride == 1 ? 2 : 1)
                    let span = (Int64(kernel) - 1) * dilation + 1
                    let out = (size + 2 * pad - span) / Int64(stride) + 1
                    let image = martlet_conv2d_f32_shape(
                        batch: 2, in_height: size, in_width: size, in_channels: 7,
                        out_height: out, out_width: out, out_channels: 35, groups: 1,
                        kernel_height: Int64(kernel), kernel_width: Int64(kernel),
                        stride_height: Int64(stride), stride_width: Int64(stride),
                        dilation_height: dilation, dilation_width: dilation, pad_top: pad,
                        pad_left: pad, in_pixel_stride: 7, out_pixel_stride: 35,
                        in_shuffle: 1)
                    var form = Form(m: Int(2 * out * out), n: 35, k: kernel * kernel * 7)
                    form.isLeftSigned = stride == 2
                    form.leftZero = form.isLeftSigned ? 3 : 77
                    form.zeros = index == 0 ? [0] : (0..<35).map { Int32($0 % 5) - 2 }
                    form.isNarrow = stride == 1
                    check(form, image: image, &generator, threads: 0)
                }
            }
        }

        private func check(
            _ form: Form, image: martlet_conv2d_f32_shape?, _ generator: inout SeededRandom,
            threads: Int32
        ) {
            let (m, n, k) = (Int64(form.m), Int64(form.n), Int64(form.k))
            var image = image ?? martlet_conv2d_f32_shape()
            let isImage = image.batch > 0
            let leftCount =
                isImage
                ? Int(image.batch * image.in_height * image.in_width * image.in_channels)
                : form.m * form.k
            let a = Room(bytes: leftCount)
            let b = Room(bytes: form.k * form.n)
            unsafe fill(a.pointer, leftCount, &generator)
            unsafe fill(b.pointer, form.k * form.n, &generator)
            let scales = Floats(random: form.n, &generator)
            let bias = Floats(random: form.n, &generator)
            let packed = Room(bytes: martlet_gemm_int8_pack_b_bytes(k, n))
            let stride: Int64 = form.zeros.count == 1 ? 0 : 1
            withEachLevel { level in
                let scratch = Room(
                    bytes: martlet_gemm_int8_scratch_bytes(
                        m, n, k, form.isNarrow ? 1 : 0, threads))
                let fast = Floats(repeating: 0, count: form.m * form.n)
                let slow = Floats(repeating: 0, count: form.m * form.n)
                let fastBytes = Room(bytes: form.m * form.n)
                let slowBytes = Room(bytes: form.m * form.n)
                unsafe form.zeros.withUnsafeBufferPointer { zeros in
                    if isImage {
                        unsafe martlet_conv2d_int8_pack(
                            &image, b.pointer, form.isRightSigned ? 1 : 0, zeros.baseAddress,
                            stride, packed.pointer, threads)
                    } else {
                        unsafe martlet_gemm_int8_pack_b(
                            b.pointer, form.isRightSigned ? 1 : 0, n, 1, k, n, zeros.baseAddress,
                            stride, packed.pointer, threads)
                    }
                    for isFast in [true, false] {
                        var narrow = unsafe martlet_requantize(
                            y: isFast ? fastBytes.pointer : slowBytes.pointer, row_stride: n,
                            scale: 900, zero: form.isNarrowSigned ? 1 : 121,
                            is_signed: form.isNarrowSigned ? 1 : 0)
                        unsafe withUnsafePointer(to: &image) { image in
                            unsafe withUnsafePointer(to: &narrow) { narrow in
                                var args = unsafe martlet_gemm_int8_args(
                                    m: m, n: n, k: k, a: a.pointer, a_row_stride: k,
                                    image: isImage ? image : nil,
                                    a_is_signed: form.isLeftSigned ? 1 : 0,
                                    a_zero: form.leftZero, a_scale: 0.5,
                                    packed_b: packed.pointer, b_scales: scales.pointer,
                                    b_scale_stride: 1, c: isFast ? fast.pointer : slow.pointer,
                                    c_row_stride: n, narrow: form.isNarrow ? narrow : nil,
                                    epilogue: martlet_epilogue_f32(
                                        MARTLET_ACTIVATION_NONE, bias: bias, residual: nil,
                                        stride: Int(n)))
                                if isFast {
                                    unsafe martlet_gemm_int8(&args, scratch.pointer, threads)
                                } else {
                                    unsafe martlet_gemm_int8_reference(
                                        &args, b.pointer, form.isRightSigned ? 1 : 0,
                                        isImage ? 1 : n, isImage ? k : 1, zeros.baseAddress,
                                        stride)
                                }
                            }
                        }
                    }
                }
                let place = "level \(level.rawValue), \(form)"
                if form.isNarrow {
                    // One step apart where the answer lies between two.
                    var worst = 0
                    var different = 0
                    for index in 0..<(form.m * form.n) {
                        let left = unsafe fastBytes.pointer.load(
                            fromByteOffset: index, as: UInt8.self)
                        let right = unsafe slowBytes.pointer.load(
                            fromByteOffset: index, as: UInt8.self)
                        worst = max(worst, abs(Int(left) - Int(right)))
                        different += left == right ? 0 : 1
                    }
                    #expect(worst <= 1 || worst == 255, "\(place)")
                    #expect(different * 200 <= form.m * form.n, "\(place)")
                } else {
                    var worst: Float = 0
                    var largest: Float = 1
                    for index in 0..<(form.m * form.n) {
                        worst = max(worst, abs(fast[index] - slow[index]))
                        largest = max(largest, abs(slow[index]))
                    }
                    worst /= largest
                    #expect(worst < 1e-6, "\(place)")
                }
            }
        }

        private func fill(
            _ to: UnsafeMutableRawPointer, _ count: Int, _ generator: inout SeededRandom
        ) {
            for index in 0..<count {
                unsafe to.storeBytes(
                    of: UInt8.random(in: 0...255, using: &generator), toByteOffset: index,
                    as: UInt8.self)
            }
        }

        @Test("values go to 8 bits and back as the plain formulas say, at every level")
        func quantization() {
            var generator = SeededRandom(seed: 33)
            let (outer, channels, inner) = (3, 5, 37)
            let count = outer * channels * inner
            let x = Floats(random: count, &generator)
            let scales = (0..<channels).map { Float($0 + 1) * 0.01 }
            let zeros = (0..<channels).map { Int32($0) * 20 }
            withEachLevel { level in
                let y = Room(bytes: count)
                let back = Floats(repeating: 0, count: count)
                unsafe scales.withUnsafeBufferPointer { scales in
                    unsafe zeros.withUnsafeBufferPointer { zeros in
                        var args = unsafe martlet_quantize_args(
                            outer: Int64(outer), channels: Int64(channels), inner: Int64(inner),
                            scales: scales.baseAddress, zeros: zeros.baseAddress, is_signed: 0)
                        unsafe martlet_quantize_linear(&args, x.pointer, y.pointer, 0)
                        unsafe martlet_dequantize_linear(&args, y.pointer, back.pointer, 0)
                    }
                }
                for index in 0..<count {
                    let channel = index / inner % channels
                    let exact = (x[index] / scales[channel]).rounded(.toNearestOrEven)
                    let expected = min(max(exact + Float(zeros[channel]), 0), 255)
                    let got = unsafe y.pointer.load(fromByteOffset: index, as: UInt8.self)
                    #expect(Float(got) == expected, "level \(level.rawValue)")
                    #expect(
                        back[index] == (Float(got) - Float(zeros[channel])) * scales[channel])
                }
            }
        }

        @Test("a tensor's own range chooses scale and zero point; what is not finite is refused")
        func dynamicRange() {
            let x = Floats(repeating: 0, count: 1000)
            for index in 0..<1000 { x[index] = Float(index) * 0.003 - 1 }
            withEachLevel { level in
                let y = Room(bytes: 1000)
                var scale: Float = 0
                var zero: Int32 = 0
                x[500] = 0.5
                #expect(
                    unsafe martlet_dynamic_quantize(
                        x.pointer, y.pointer.assumingMemoryBound(to: UInt8.self), 1000, &scale,
                        &zero, 0) == 0)
                #expect(abs(scale - 2.997 / 255) < 1e-7)
                #expect(zero == 85)
                #expect(unsafe y.pointer.load(as: UInt8.self) == 0)
                #expect(unsafe y.pointer.load(fromByteOffset: 999, as: UInt8.self) == 255)
                for bad in [Float.nan, .infinity, -.infinity] {
                    x[500] = bad
                    #expect(
                        unsafe martlet_dynamic_quantize(
                            x.pointer, y.pointer.assumingMemoryBound(to: UInt8.self), 1000,
                            &scale, &zero, 0) == -1, "level \(level.rawValue)")
                }
            }
        }
    }
}
