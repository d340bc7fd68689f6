// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Matrix products with narrow weights")
    struct GemmNarrow {
        /// Sums of up to 4 500 products of values up to 1, in another order than the oracle's.
        static let tolerance: Float = 5e-4

        @Test(
            "every level agrees with the reference over shapes, strides and epilogues",
            arguments: [MARTLET_NARROW_BF16, MARTLET_NARROW_INT8])
        func shapes(type: martlet_narrow) {
            var generator = SeededRandom(seed: 21)
            let sizes = [
                (0, 5, 3), (1, 1, 1), (1, 100, 300), (2, 33, 7), (3, 32, 64), (5, 31, 17),
                (13, 64, 33), (15, 65, 40), (17, 100, 0), (29, 160, 401), (30, 40, 4500),
                (170, 70, 20), (128, 96, 384), (500, 70, 130),
            ]
            for (index, (m, n, k)) in sizes.enumerated() {
                let a = Floats(random: m * (k + 3), &generator)
                let b = Floats(random: k * n, &generator)
                let bias = index % 3 == 0 ? nil : Floats(random: n, &generator)
                let residual = index % 2 == 0 ? nil : Floats(random: m * (n + 2), &generator)
                for threads in [1, 0] {
                    let epilogue = unsafe martlet_epilogue_f32(
                        activations[index % 10], bias: bias, residual: residual, stride: n + 2)
                    unsafe check(
                        type, m, n, k, a, b, epilogue, transposed: index % 2 == 1,
                        threads: Int32(threads))
                }
            }
        }

        private func check(
            _ type: martlet_narrow, _ m: Int, _ n: Int, _ k: Int, _ a: Floats, _ b: Floats,
            _ epilogue: martlet_epilogue_f32, transposed: Bool, threads: Int32
        ) {
            let packed = Room(bytes: martlet_gemm_narrow_pack_b_bytes(type, Int64(k), Int64(n)))
            withEachLevel { level in
                let scratch = Room(
                    bytes: martlet_gemm_narrow_scratch_bytes(
                        type, Int64(m), Int64(n), Int64(k), threads))
                unsafe martlet_gemm_narrow_pack_b(
                    type, b.pointer, transposed ? 1 : Int64(n), transposed ? Int64(k) : 1,
                    Int64(k), Int64(n), packed.pointer, threads)
                let fast = Floats(repeating: 0.25, count: m * (n + 1))
                let slow = fast.copy()
                var args = unsafe martlet_gemm_f32_args(
                    m: Int64(m), n: Int64(n), k: Int64(k), a: a.pointer,
                    a_row_stride: Int64(k + 3), packed_b: packed.pointer, c: fast.pointer,
                    c_row_stride: Int64(n + 1), alpha: 0.5, epilogue: epilogue)
                unsafe martlet_gemm_narrow(type, &args, scratch.pointer, threads)
                unsafe args.c = slow.pointer
                unsafe martlet_gemm_narrow_reference(type, &args)
                #expect(
                    fast.difference(to: slow) <= GemmNarrow.tolerance,
                    "level \(level.rawValue), \(m)x\(k)x\(n), threads \(threads)")
                #expect(fast.fencesStand)
            }
        }

        @Test(
            "the answer is near the exact product: 2^-8 a value for bf16, a 127th for int8",
            arguments: [(MARTLET_NARROW_BF16, 0.004), (MARTLET_NARROW_INT8, 0.012)]
                as [(martlet_narrow, Float)])
        func nearness(type: martlet_narrow, share: Float) {
            var generator = SeededRandom(seed: 22)
            let (m, n, k) = (16, 64, 256)
            let a = Floats(random: m * k, &generator)
            let b = Floats(random: k * n, &generator)
            let c = product(type, a, b, m, n, k)
            var worst: Float = 0
            for i in 0..<m {
                for j in 0..<n {
                    var exact: Float = 0
                    var size: Float = 0
                    for p in 0..<k {
                        let term = a[i * k + p] * b[p * n + j]
                        exact += term
                        size += term * term
                    }
                    worst = max(worst, abs(c[i * n + j] - exact) / size.squareRoot())
                }
            }
            // Independent roundings: a few times the error of one term.
            #expect(worst < share * 6, "\(worst)")
            #expect(worst > 0)
        }

        @Test(
            "a row that is not finite spoils its own answers only",
            arguments: [MARTLET_NARROW_BF16, MARTLET_NARROW_INT8])
        func notFinite(type: martlet_narrow) {
            let (m, n, k) = (3, 40, 70)
            let a = Floats(repeating: 1, count: m * k)
            a[k + 2] = .nan
            let c = product(type, a, Floats(repeating: 0.5, count: k * n), m, n, k)
            #expect((0..<n).allSatisfy { abs(c[$0] - 35) < 0.2 })
            #expect((0..<n).allSatisfy { c[n + $0].isNaN })
            #expect((0..<n).allSatisfy { abs(c[2 * n + $0] - 35) < 0.2 })
        }

        private func product(
            _ type: martlet_narrow, _ a: Floats, _ b: Floats, _ m: Int, _ n: Int, _ k: Int
        ) -> Floats {
            let packed = Room(bytes: martlet_gemm_narrow_pack_b_bytes(type, Int64(k), Int64(n)))
            let scratch = Room(
                bytes: martlet_gemm_narrow_scratch_bytes(type, Int64(m), Int64(n), Int64(k), 1))
            unsafe martlet_gemm_narrow_pack_b(
                type, b.pointer, Int64(n), 1, Int64(k), Int64(n), packed.pointer, 1)
            let c = Floats(repeating: 0, count: m * n)
            var args = unsafe martlet_gemm_f32_args(
                m: Int64(m), n: Int64(n), k: Int64(k), a: a.pointer, a_row_stride: Int64(k),
                packed_b: packed.pointer, c: c.pointer, c_row_stride: Int64(n), alpha: 1,
                epilogue: martlet_epilogue_f32())
            unsafe martlet_gemm_narrow(type, &args, scratch.pointer, 1)
            return c
        }
    }
}
