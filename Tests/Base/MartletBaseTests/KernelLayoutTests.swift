// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Layout, pooling and embeddings")
    struct Layout {
        @Test("transposes of any rank agree with index arithmetic at every level")
        func transposes() {
            let cases: [([Int64], [Int64])] = [
                ([5, 7], [1, 0]), ([16, 16], [1, 0]), ([3, 33, 50], [0, 2, 1]),
                ([4, 9, 5, 6], [0, 2, 1, 3]), ([2, 17, 19, 3], [3, 1, 0, 2]),
                ([1, 64, 100], [2, 1, 0]), ([70, 35], [1, 0]), ([0, 4], [1, 0]), ([6], [0]),
            ]
            for (shape, permutation) in cases {
                let count = Int(shape.reduce(1, *))
                let x = Floats((0..<count).map(Float.init))
                let expected = Layout.transposed(x, shape, permutation)
                withEachLevel { level in
                    let y = Floats(repeating: -1, count: count)
                    let code = unsafe martlet_transpose(
                        4, x.pointer, y.pointer, Int32(shape.count), shape, permutation, 0)
                    #expect(code == 0)
                    #expect(y.values == expected, "level \(level.rawValue), \(shape)")
                    #expect(y.fencesStand)
                }
                var bytes = [UInt8](repeating: 0, count: count)
                let small = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
                let code = unsafe martlet_transpose(
                    1, small, &bytes, Int32(shape.count), shape, permutation, 0)
                #expect(code == 0)
                #expect(bytes == expected.map { UInt8(truncatingIfNeeded: Int($0)) })
            }
        }

        private static func transposed(
            _ x: Floats, _ shape: [Int64], _ permutation: [Int64]
        ) -> [Float] {
            var strides = [Int](repeating: 1, count: shape.count)
            for axis in stride(from: shape.count - 2, through: 0, by: -1) {
                strides[axis] = strides[axis + 1] * Int(shape[axis + 1])
            }
            return (0..<x.count).map { index in
                var rest = index
                var source = 0
                for axis in permutation.reversed() {
                    let size = Int(shape[Int(axis)])
                    source += rest % size * strides[Int(axis)]
                    rest /= size
                }
                return x[source]
            }
        }

        @Test("a strided copy reverses, broadcasts and leaves gaps alone")
        func copies() {
            let x: [Int32] = [1, 2, 3, 4, 5, 6]
            var y = [Int32](repeating: 0, count: 9)
            unsafe x.withUnsafeBufferPointer { x in
                unsafe y.withUnsafeMutableBufferPointer { y in
                    _ = unsafe martlet_copy_strided(
                        4, y.baseAddress, x.baseAddress.map { unsafe $0 + 5 }, 2, [2, 3], [5, 1],
                        [-3, -1], 1)
                }
            }
            #expect(y == [6, 5, 4, 0, 0, 3, 2, 1, 0])
            #expect(unsafe martlet_copy_strided(3, &y, x, 1, [1], [1], [1], 1) == -1)
            let tooMany = [Int64](repeating: 1, count: 13)
            #expect(
                unsafe martlet_copy_strided(4, &y, x, 13, tooMany, tooMany, tooMany, 1) == -1)
        }

        @Test("gather refuses an index outside, and counts negative ones from the end")
        func gather() {
            let x: [Int64] = [10, 11, 20, 21, 30, 31]
            var y = [Int64](repeating: 0, count: 4)
            #expect(unsafe martlet_gather(8, x, &y, [-1, 0], 2, 1, 3, 2, 1) == 0)
            #expect(y == [30, 31, 10, 11])
            #expect(unsafe martlet_gather(8, x, &y, [0, 3], 2, 1, 3, 2, 1) == -1)
            #expect(unsafe martlet_gather(8, x, &y, [-4, 0], 2, 1, 3, 2, 1) == -1)
        }

        @Test("images go from channels first to channels last and back")
        func images() {
            var generator = SeededRandom(seed: 71)
            for (batch, channels, pixels, gap) in [(2, 3, 50, 0), (1, 64, 49, 8), (2, 17, 33, 1)] {
                let x = Floats(random: batch * channels * pixels, &generator)
                withEachLevel { _ in
                    let wide = channels + gap
                    let y = Floats(repeating: 7, count: batch * pixels * wide)
                    let back = Floats(repeating: 0, count: x.count)
                    unsafe martlet_nchw_to_nhwc_f32(
                        x.pointer, y.pointer, Int64(batch), Int64(channels), Int64(pixels),
                        Int64(wide), 0)
                    unsafe martlet_nhwc_to_nchw_f32(
                        y.pointer, back.pointer, Int64(batch), Int64(channels), Int64(pixels),
                        Int64(wide), 0)
                    #expect(y[wide + 2] == x[2 * pixels + 1])
                    #expect(back.values == x.values)
                    #expect(y.fencesStand && back.fencesStand)
                }
            }
        }

        @Test("pooling agrees with the reference over windows, pads and strides")
        func pooling() {
            var generator = SeededRandom(seed: 72)
            for round in 0..<30 {
                func pick(_ range: ClosedRange<Int64>) -> Int64 {
                    Int64.random(in: range, using: &generator)
                }
                var args = unsafe martlet_pool2d_f32_args()
                unsafe args.batch = pick(1...2)
                unsafe (args.in_height, args.in_width) = (pick(3...20), pick(3...20))
                unsafe args.channels = pick(1...90)
                let wide: Int64 = round % 7 == 0 ? 12 : 3
                unsafe (args.kernel_height, args.kernel_width) = (pick(1...wide), pick(1...wide))
                unsafe (args.stride_height, args.stride_width) = (pick(1...3), pick(1...3))
                unsafe (args.dilation_height, args.dilation_width) = (1, round % 5 == 0 ? 2 : 1)
                unsafe (args.pad_top, args.pad_left) = (pick(0...2), pick(0...2))
                unsafe (args.pad_bottom, args.pad_right) = (pick(0...2), pick(0...2))
                unsafe (args.out_height, args.out_width) = (pick(1...9), pick(1...9))
                unsafe args.in_pixel_stride = args.channels + pick(0...3)
                unsafe args.out_pixel_stride = args.channels + pick(0...3)
                unsafe args.count_include_pad = Int32(round % 2)
                let x = unsafe Floats(
                    random: Int(
                        args.batch * args.in_height * args.in_width * args.in_pixel_stride),
                    &generator)
                let count = unsafe Int(
                    args.batch * args.out_height * args.out_width * args.out_pixel_stride)
                unsafe args.x = unsafe UnsafePointer(x.pointer)
                unsafe compare(args, count: count)
            }
        }

        private func compare(_ given: martlet_pool2d_f32_args, count: Int) {
            for average in [false, true] {
                var args = unsafe given
                let slow = Floats(repeating: 0, count: count)
                unsafe args.y = slow.pointer
                unsafe average
                    ? martlet_average_pool2d_f32_reference(&args)
                    : martlet_max_pool2d_f32_reference(&args)
                withEachLevel { level in
                    let fast = Floats(repeating: 0, count: count)
                    unsafe args.y = fast.pointer
                    unsafe average
                        ? martlet_average_pool2d_f32(&args, 0) : martlet_max_pool2d_f32(&args, 0)
                    #expect(fast.difference(to: slow) <= 1e-5, "level \(level.rawValue)")
                    #expect(fast.fencesStand)
                }
            }
        }

        @Test("dot, cosine, distance, mean pooling and normalisation")
        func embeddings() {
            var generator = SeededRandom(seed: 73)
            for n in [0, 1, 15, 16, 33, 64, 100, 384, 1000] {
                let a = Floats(random: n, &generator)
                let b = Floats(random: n, &generator)
                let exact = unsafe martlet_dot_f32_reference(a.pointer, b.pointer, Int64(n))
                let apart = zip(a.values, b.values).reduce(0.0) {
                    $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1)
                }
                withEachLevel { level in
                    let dot = unsafe martlet_dot_f32(a.pointer, b.pointer, Int64(n))
                    #expect(abs(dot - exact) <= 1e-5 * (1 + Float(n).squareRoot()))
                    let distance = unsafe martlet_distance_f32(a.pointer, b.pointer, Int64(n))
                    #expect(abs(Double(distance) - apart) <= 1e-5 * (1 + apart))
                    let own = unsafe martlet_cosine_f32(a.pointer, a.pointer, Int64(n))
                    #expect(abs(own - (n == 0 ? 0 : 1)) <= 1e-6, "level \(level.rawValue)")
                }
            }
            let x: [Float] = [1, 2, 3, 4, 5, 6, 7, 8]
            var mean: [Float] = [9, 9, 9, 9]
            unsafe martlet_mean_pool_f32(x, [1, 1, 0, 0], &mean, 2, 2, 2, 1)
            #expect(mean == [2, 3, 0, 0])
            var unit: [Float] = [0, 0, 0, 0]
            unsafe martlet_l2_normalize_f32([3, 4, 0, 0], &unit, 2, 2, 1e-12, 1)
            #expect(abs(unit[0] - 0.6) < 1e-6 && abs(unit[1] - 0.8) < 1e-6 && unit[2] == 0)
        }
    }
}
