// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Norms and softmax")
    struct Norms {
        static let tolerance: Float = 5e-6

        @Test("layer and RMS norm agree with the reference, with and without each operand")
        func norms() {
            var generator = SeededRandom(seed: 41)
            for (round, n) in [1, 3, 16, 31, 64, 100, 384, 1000].enumerated() {
                let rows = 1 + round
                let x = Floats(random: rows * (n + 1), &generator)
                let residual = Floats(random: rows * n, &generator)
                let gamma = Floats(random: n, &generator)
                let beta = Floats(random: n, &generator)
                for uses in 0..<8 {
                    var args = unsafe martlet_norm_f32_args()
                    unsafe args.x = unsafe UnsafePointer(x.pointer)
                    unsafe args.gamma = uses & 1 != 0 ? unsafe UnsafePointer(gamma.pointer) : nil
                    unsafe args.beta = uses & 2 != 0 ? unsafe UnsafePointer(beta.pointer) : nil
                    unsafe args.residual =
                        uses & 4 != 0 ? unsafe UnsafePointer(residual.pointer) : nil
                    unsafe (args.rows, args.n) = (Int64(rows), Int64(n))
                    unsafe (args.x_row_stride, args.y_row_stride) = (Int64(n + 1), Int64(n))
                    unsafe (args.residual_row_stride, args.sum_row_stride) = (Int64(n), Int64(n))
                    unsafe args.epsilon = 1e-5
                    unsafe compare(args, centered: true)
                    unsafe compare(args, centered: false)
                }
            }
        }

        private func compare(_ given: martlet_norm_f32_args, centered: Bool) {
            let count = unsafe Int(given.rows * given.n)
            let outputs = (0..<6).map { _ in Floats(repeating: 0, count: count) }
            var slow = unsafe given
            unsafe (slow.y, slow.sum, slow.mean) = (
                outputs[0].pointer, outputs[1].pointer, outputs[2].pointer
            )
            unsafe centered
                ? martlet_layer_norm_f32_reference(&slow) : martlet_rms_norm_f32_reference(&slow)
            withEachLevel { level in
                var fast = unsafe given
                unsafe (fast.y, fast.sum, fast.mean) = (
                    outputs[3].pointer, outputs[4].pointer, outputs[5].pointer
                )
                unsafe centered
                    ? martlet_layer_norm_f32(&fast, 0) : martlet_rms_norm_f32(&fast, 0)
                for index in 0..<3 {
                    // A row of one value has no variance: epsilon magnifies the mean's rounding.
                    let bound = unsafe given.n == 1 ? 1e-3 : Norms.tolerance
                    let difference = outputs[index + 3].difference(to: outputs[index])
                    #expect(difference <= bound, "level \(level.rawValue), output \(index)")
                    #expect(outputs[index + 3].fencesStand)
                }
            }
        }

        @Test("softmax and its logarithm along rows and down columns, in place too")
        func softmax() {
            var generator = SeededRandom(seed: 42)
            for (outer, n, inner) in [
                (1, 1, 1), (3, 7, 1), (5, 16, 1), (2, 33, 1), (4, 128, 1), (2, 1000, 1),
                (2, 5, 3), (3, 9, 70), (1, 64, 17), (0, 4, 4),
            ] {
                let x = Floats(random: outer * n * inner, &generator)
                for index in 0..<x.count { x[index] *= 20 }
                if x.count > 4 { x[3] = -.infinity }
                for logarithm: Int32 in [0, 1] {
                    let slow = Floats(repeating: 0, count: x.count)
                    unsafe martlet_softmax_f32_reference(
                        x.pointer, slow.pointer, Int64(outer), Int64(n), Int64(inner), logarithm)
                    if n == 1 || (logarithm == 1 && x.count > 4) {
                        slow[min(3, slow.count - 1)] = 0
                    }
                    withEachLevel { level in
                        let fast = x.copy()
                        unsafe martlet_softmax_f32(
                            fast.pointer, fast.pointer, Int64(outer), Int64(n), Int64(inner),
                            logarithm, 0)
                        if n == 1 || (logarithm == 1 && x.count > 4) {
                            fast[min(3, fast.count - 1)] = 0
                        }
                        #expect(
                            fast.difference(to: slow) <= Norms.tolerance,
                            "level \(level.rawValue), \(outer)x\(n)x\(inner)")
                        #expect(fast.fencesStand)
                    }
                }
            }
        }

        @Test("scale and shift per channel, channels last and channels first")
        func scaleShift() {
            var generator = SeededRandom(seed: 43)
            for (outer, channels, inner) in [(3, 5, 1), (2, 70, 1), (2, 3, 50)] {
                let x = Floats(random: outer * channels * inner, &generator)
                let scale = Floats(random: channels, &generator)
                let shift = Floats(random: channels, &generator)
                withEachLevel { level in
                    let y = Floats(repeating: 0, count: x.count)
                    unsafe martlet_scale_shift_f32(
                        x.pointer, y.pointer, scale.pointer, shift.pointer, Int64(outer),
                        Int64(channels), Int64(inner), MARTLET_ACTIVATION_RELU, 0, 0, 0)
                    let expected = Floats(
                        (0..<x.count).map { index in
                            let channel = index / inner % channels
                            return max(0, x[index] * scale[channel] + shift[channel])
                        })
                    #expect(y.difference(to: expected) <= 1e-6, "level \(level.rawValue)")
                    #expect(y.fencesStand)
                }
            }
        }

        @Test("group norm gives each group mean 0 and variance 1, then its channels' scale")
        func groupNorm() {
            var generator = SeededRandom(seed: 44)
            let (batch, channels, pixels, groups) = (2, 6, 20, 3)
            let each = channels / groups * pixels
            let x = Floats(random: batch * channels * pixels, &generator)
            let gamma = Floats(random: channels, &generator)
            let beta = Floats(random: channels, &generator)
            let y = Floats(repeating: 0, count: x.count)
            unsafe martlet_group_norm_f32(
                x.pointer, y.pointer, gamma.pointer, beta.pointer, Int64(batch * groups),
                Int64(each), Int64(channels / groups), Int64(channels), 1e-5, 0)
            let expected = (0..<x.count).map { index -> Float in
                let start = index / each * each
                let row = (start..<start + each).map { Double(x[$0]) }
                let mean = row.reduce(0, +) / Double(each)
                let square = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(each)
                let channel = index / pixels % channels
                let unit = (Double(x[index]) - mean) / (square + 1e-5).squareRoot()
                return Float(unit) * gamma[channel] + beta[channel]
            }
            #expect(y.difference(to: Floats(expected)) <= 1e-5)
        }
    }
}
