// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Convolutions")
    struct Convolution {
        /// Winograd's transforms lose about a digit against the direct sums.
        static let tolerance: Float = 2e-4

        enum Kind: CaseIterable {
            case pointwise, any, grouped, shuffled, depthwise, threeByThree
        }

        @Test(
            "every algorithm at every level agrees with the reference", arguments: Kind.allCases)
        func algorithms(kind: Kind) {
            var generator = SeededRandom(seed: 21)
            for round in 0..<10 {
                let shape = shape(of: kind, round: round, &generator)
                check(shape, activations[round % 10], hasResidual: round % 2 == 0, &generator)
            }
        }

        private func shape(
            of kind: Kind, round: Int, _ generator: inout SeededRandom
        ) -> martlet_conv2d_f32_shape {
            func pick(_ range: ClosedRange<Int64>) -> Int64 {
                Int64.random(in: range, using: &generator)
            }
            var shape = martlet_conv2d_f32_shape()
            shape.batch = pick(1...2)
            shape.groups = kind == .grouped ? pick(2...3) : 1
            shape.in_channels = pick(1...20) * shape.groups
            shape.out_channels = pick(1...40) * shape.groups
            (shape.in_height, shape.in_width) = (pick(6...14), pick(6...33))
            (shape.kernel_height, shape.kernel_width) = (pick(1...4), pick(1...4))
            (shape.stride_height, shape.stride_width) = (pick(1...2), pick(1...2))
            (shape.dilation_height, shape.dilation_width) = (pick(1...2), pick(1...2))
            (shape.pad_top, shape.pad_left) = (pick(0...2), pick(0...2))
            var (bottom, right) = (pick(0...2), pick(0...2))
            if kind == .depthwise {
                shape.groups = pick(1...150)
                (shape.in_channels, shape.out_channels) = (shape.groups, shape.groups)
            }
            if kind == .shuffled {
                shape.groups = pick(1...4)
                shape.in_shuffle = pick(1...5)
                shape.in_channels = pick(1...9) * shape.groups * shape.in_shuffle
                shape.out_channels = pick(1...44) * shape.groups
            }
            let isPointwise = kind == .pointwise || kind == .shuffled
            if kind == .threeByThree || isPointwise {
                let size: Int64 = isPointwise ? 1 : 3
                (shape.kernel_height, shape.kernel_width) = (size, size)
                (shape.stride_height, shape.stride_width) = (1, 1)
                (shape.dilation_height, shape.dilation_width) = (1, 1)
            }
            if kind == .threeByThree {
                (shape.in_channels, shape.out_channels) = (16 * pick(1...9), 16 * pick(1...4))
            }
            if isPointwise || round % 4 == 1 {
                (shape.pad_top, shape.pad_left, bottom, right) = (0, 0, 0, 0)
            }
            let height = shape.in_height + shape.pad_top + bottom
            let width = shape.in_width + shape.pad_left + right
            shape.out_height =
                (height - (shape.kernel_height - 1) * shape.dilation_height - 1)
                / shape.stride_height + 1
            shape.out_width =
                (width - (shape.kernel_width - 1) * shape.dilation_width - 1)
                / shape.stride_width + 1
            shape.in_pixel_stride = shape.in_channels + (round % 2 == 0 ? 0 : pick(1...9))
            shape.out_pixel_stride = shape.out_channels + (round % 3 == 0 ? 0 : pick(1...9))
            return shape
        }

        private func check(
            _ given: martlet_conv2d_f32_shape, _ activation: martlet_activation,
            hasResidual: Bool, _ generator: inout SeededRandom
        ) {
            var shape = given
            let outPixels = Int(shape.batch * shape.out_height * shape.out_width)
            let inPixels = Int(shape.batch * shape.in_height * shape.in_width)
            let channels = Int(shape.out_channels)
            let kernel = Int(shape.kernel_height * shape.kernel_width)
            let x = Floats(random: inPixels * Int(shape.in_pixel_stride), &generator)
            let weights = Floats(
                random: channels * Int(shape.in_channels / shape.groups) * kernel, &generator)
            let bias = Floats(random: channels, &generator)
            let residual = hasResidual ? Floats(random: outPixels * channels, &generator) : nil
            var epilogue = unsafe martlet_epilogue_f32(
                activation, bias: bias, residual: residual, stride: channels)
            let start = Floats(random: outPixels * Int(shape.out_pixel_stride), &generator)
            let slow = start.copy()
            unsafe martlet_conv2d_f32_reference(
                &shape, x.pointer, weights.pointer, slow.pointer, &epilogue)
            for algorithm in (0...5).map({ martlet_conv_algorithm(rawValue: $0) }) {
                withEachLevel { level in
                    var plan = unsafe martlet_conv2d_f32_make_plan(&shape, algorithm, 2)
                    let packed = Room(bytes: plan.packed_bytes)
                    let scratch = Room(bytes: plan.scratch_bytes)
                    let fast = start.copy()
                    unsafe martlet_conv2d_f32_pack(
                        &shape, plan.algorithm, weights.pointer, packed.pointer)
                    unsafe martlet_conv2d_f32(
                        &shape, &plan, x.pointer, packed.pointer, fast.pointer, &epilogue,
                        scratch.pointer, 0)
                    #expect(
                        fast.difference(to: slow) <= Convolution.tolerance,
                        "level \(level.rawValue), algorithm \(plan.algorithm.rawValue), \(shape)")
                    #expect(fast.fencesStand)
                }
            }
        }

        @Test("the automatic choice follows the stated rule")
        func choice() {
            func algorithm(
                _ size: Int64, _ kernel: Int64, _ groups: Int64, channels: Int64 = 32
            ) -> UInt32 {
                var shape = martlet_conv2d_f32_shape(
                    batch: 1, in_height: size, in_width: size, in_channels: channels,
                    out_height: size,
                    out_width: size, out_channels: channels, groups: groups, kernel_height: kernel,
                    kernel_width: kernel, stride_height: 1, stride_width: 1, dilation_height: 1,
                    dilation_width: 1, pad_top: kernel / 2, pad_left: kernel / 2,
                    in_pixel_stride: channels, out_pixel_stride: channels, in_shuffle: 1)
                return unsafe martlet_conv2d_f32_make_plan(
                    &shape, MARTLET_CONV_AUTOMATIC, 1
                ).algorithm.rawValue
            }
            #expect(algorithm(14, 1, 1) == MARTLET_CONV_GEMM.rawValue)
            #expect(algorithm(14, 3, 1) == MARTLET_CONV_WINOGRAD.rawValue)
            #expect(algorithm(7, 3, 1) == MARTLET_CONV_DIRECT.rawValue)
            #expect(algorithm(14, 5, 1) == MARTLET_CONV_DIRECT.rawValue)
            #expect(algorithm(14, 3, 32) == MARTLET_CONV_DEPTHWISE.rawValue)
            #expect(algorithm(14, 3, 1, channels: 128) == MARTLET_CONV_WINOGRAD_LATE.rawValue)
            #expect(algorithm(28, 3, 1, channels: 128) == MARTLET_CONV_WINOGRAD.rawValue)
            #expect(algorithm(14, 1, 4) == MARTLET_CONV_GEMM.rawValue)
        }
    }
}
