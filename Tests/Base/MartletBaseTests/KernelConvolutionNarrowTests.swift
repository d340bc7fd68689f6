// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Convolutions with narrow weights")
    struct ConvolutionNarrow {
        static func shape(
            kernel: Int64, stride: Int64, size: Int64 = 13, pad: Int64, batch: Int64 = 2,
            from: Int64 = 9, to: Int64 = 40
        ) -> martlet_conv2d_f32_shape {
            let out = (size + 2 * pad - kernel) / stride + 1
            return martlet_conv2d_f32_shape(
                batch: batch, in_height: size, in_width: size, in_channels: from,
                out_height: out, out_width: out, out_channels: to, groups: 1,
                kernel_height: kernel, kernel_width: kernel, stride_height: stride,
                stride_width: stride, dilation_height: 1, dilation_width: 1, pad_top: pad,
                pad_left: pad, in_pixel_stride: from, out_pixel_stride: to, in_shuffle: 1)
        }

        @Test(
            "answers are near the f32 reference at every level, whatever kernel and stride",
            arguments: [(MARTLET_NARROW_BF16, 0.004), (MARTLET_NARROW_INT8, 0.02)]
                as [(martlet_narrow, Float)])
        func nearness(type: martlet_narrow, share: Float) {
            var generator = SeededRandom(seed: 41)
            let shapes = [
                Self.shape(kernel: 1, stride: 1, pad: 0), Self.shape(kernel: 1, stride: 2, pad: 0),
                Self.shape(kernel: 3, stride: 1, pad: 1), Self.shape(kernel: 3, stride: 2, pad: 1),
                Self.shape(kernel: 7, stride: 2, pad: 3, from: 3, to: 33),
                Self.shape(kernel: 3, stride: 1, size: 5, pad: 1, batch: 1, from: 260, to: 20),
            ]
            for (index, original) in shapes.enumerated() {
                var shape = original
                let depth = Int(shape.kernel_height * shape.kernel_width * shape.in_channels)
                let x = Floats(
                    random: Int(shape.batch * shape.in_height * shape.in_width * shape.in_channels),
                    &generator)
                let weights = Floats(random: depth * Int(shape.out_channels), &generator)
                let bias = Floats(random: Int(shape.out_channels), &generator)
                let count = Int(
                    shape.batch * shape.out_height * shape.out_width * shape.out_channels)
                let residual = Floats(random: count, &generator)
                var epilogue = unsafe martlet_epilogue_f32(
                    MARTLET_ACTIVATION_RELU, bias: bias, residual: index % 2 == 0 ? residual : nil,
                    stride: Int(shape.out_channels))
                let exact = Floats(repeating: 0, count: count)
                unsafe martlet_conv2d_f32_reference(
                    &shape, x.pointer, weights.pointer, exact.pointer, &epilogue)
                withEachLevel { level in
                    for threads: Int32 in [1, 0] {
                        let packed = Room(
                            bytes: unsafe martlet_conv2d_narrow_packed_bytes(type, &shape))
                        unsafe martlet_conv2d_narrow_pack(
                            type, &shape, weights.pointer, packed.pointer, threads)
                        let scratch = Room(
                            bytes: unsafe martlet_conv2d_narrow_scratch_bytes(
                                type, &shape, threads))
                        let y = Floats(repeating: 0, count: count)
                        unsafe martlet_conv2d_narrow(
                            type, &shape, x.pointer, packed.pointer, y.pointer, &epilogue,
                            scratch.pointer, threads)
                        var worst: Float = 0
                        for place in 0..<count { worst = max(worst, abs(y[place] - exact[place])) }
                        // Independent roundings of terms of about 1/3 each.
                        let bound = share * Float(depth).squareRoot() * 3
                        #expect(worst < bound, "level \(level.rawValue), shape \(index)")
                        #expect(worst > 0)
                        #expect(y.fencesStand)
                    }
                }
            }
        }

        @Test("groups and gaps between pixels are not for these kernels")
        func refused() {
            var grouped = Self.shape(kernel: 3, stride: 1, pad: 1)
            #expect(unsafe martlet_conv2d_narrow_can(&grouped) == 1)
            grouped.groups = 3
            #expect(unsafe martlet_conv2d_narrow_can(&grouped) == 0)
            var gapped = Self.shape(kernel: 3, stride: 1, pad: 1)
            gapped.in_pixel_stride += 1
            #expect(unsafe martlet_conv2d_narrow_can(&gapped) == 0)
        }
    }
}
