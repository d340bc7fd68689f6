// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Matrix products")
    struct Gemm {
        /// Sums of up to 1 300 products of values up to 1.
        static let tolerance: Float = 2e-4

        @Test("every level agrees with the reference over shapes, strides and epilogues")
        func shapes() {
            var generator = SeededRandom(seed: 11)
            let sizes = [
                (0, 5, 3), (1, 1, 1), (1, 100, 300), (2, 33, 7), (3, 32, 64), (5, 31, 17),
                (13, 64, 33), (14, 96, 48), (15, 65, 40), (16, 16, 1), (17, 100, 0),
                (29, 160, 400), (43, 40, 1300), (170, 70, 20), (128, 96, 384),
            ]
            for (index, (m, n, k)) in sizes.enumerated() {
                let a = Floats(random: m * (k + 3), &generator)
                let b = Floats(random: k * n, &generator)
                let bias = index % 3 == 0 ? nil : Floats(random: n, &generator)
                let residual = index % 2 == 0 ? nil : Floats(random: m * (n + 2), &generator)
                for activation in [activations[index % activations.count], MARTLET_ACTIVATION_NONE]
                {
                    let epilogue = unsafe martlet_epilogue_f32(
                        activation, bias: bias, residual: residual, stride: n + 2)
                    unsafe check(
                        m, n, k, a, b, epilogue, transposed: index % 2 == 1, inPlace: false)
                    unsafe check(m, n, k, a, b, epilogue, transposed: false, inPlace: true)
                }
            }
        }

        private func check(
            _ m: Int, _ n: Int, _ k: Int, _ a: Floats, _ b: Floats,
            _ epilogue: martlet_epilogue_f32, transposed: Bool, inPlace: Bool
        ) {
            let packed = Room(bytes: martlet_gemm_f32_pack_b_bytes(Int64(k), Int64(n)))
            let scratch = Room(
                bytes: martlet_gemm_f32_scratch_bytes(Int64(m), Int64(n), Int64(k), 0))
            withEachLevel { level in
                unsafe martlet_gemm_f32_pack_b(
                    b.pointer, transposed ? 1 : Int64(n), transposed ? Int64(k) : 1, Int64(k),
                    Int64(n), packed.pointer)
                let fast = Floats(repeating: 0.25, count: m * (n + 1))
                let slow = fast.copy()
                var args = unsafe martlet_gemm_f32_args(
                    m: Int64(m), n: Int64(n), k: Int64(k), a: a.pointer,
                    a_row_stride: Int64(k + 3), packed_b: packed.pointer, c: fast.pointer,
                    c_row_stride: Int64(n + 1), alpha: 0.5, epilogue: epilogue)
                if inPlace {
                    unsafe args.epilogue.residual = unsafe UnsafePointer(fast.pointer)
                    unsafe args.epilogue.residual_stride = Int64(n + 1)
                }
                unsafe martlet_gemm_f32(&args, scratch.pointer, 0)
                unsafe args.c = slow.pointer
                if inPlace { unsafe args.epilogue.residual = unsafe UnsafePointer(slow.pointer) }
                unsafe martlet_gemm_f32_reference(&args)
                #expect(
                    fast.difference(to: slow) <= Gemm.tolerance,
                    "level \(level.rawValue), \(m)x\(k)x\(n), in place \(inPlace)")
                #expect(fast.fencesStand)
            }
        }

        @Test("batches of unpacked matrices with any strides agree with the reference")
        func batches() {
            var generator = SeededRandom(seed: 12)
            for round in 0..<24 {
                let batch = 1 + round % 5
                let m = Int.random(in: 1...40, using: &generator)
                let n = Int.random(in: 1...70, using: &generator)
                let k = Int.random(in: 1...60, using: &generator)
                let (flipA, flipB, shared) = (round % 2 == 0, round % 3 == 0, round % 4 == 0)
                let a = Floats(random: batch * m * k, &generator)
                let b = Floats(random: (shared ? 1 : batch) * k * n, &generator)
                let scratchAndArgs = unsafe martlet_matmul_f32_args(
                    batch: Int64(batch), m: Int64(m), n: Int64(n), k: Int64(k), a: a.pointer,
                    a_batch_stride: Int64(m * k), a_row_stride: flipA ? 1 : Int64(k),
                    a_column_stride: flipA ? Int64(m) : 1, b: b.pointer,
                    b_batch_stride: shared ? 0 : Int64(k * n),
                    b_row_stride: flipB ? 1 : Int64(n), b_column_stride: flipB ? Int64(k) : 1,
                    c: nil, c_batch_stride: Int64(m * n), c_row_stride: Int64(n), alpha: 1.5,
                    epilogue: martlet_epilogue_f32(
                        activations[round % 10], bias: nil, residual: nil, stride: 0))
                withEachLevel { level in
                    var args = unsafe scratchAndArgs
                    let scratch = unsafe Room(bytes: martlet_matmul_f32_scratch_bytes(&args, 0))
                    let fast = Floats(repeating: 0, count: batch * m * n)
                    let slow = fast.copy()
                    unsafe args.c = fast.pointer
                    unsafe martlet_matmul_f32(&args, scratch.pointer, 0)
                    unsafe args.c = slow.pointer
                    unsafe martlet_matmul_f32_reference(&args)
                    #expect(
                        fast.difference(to: slow) <= Gemm.tolerance,
                        "level \(level.rawValue), round \(round)")
                    #expect(fast.fencesStand)
                }
            }
        }

        @Test("integers multiply and wrap")
        func integers() {
            let a: [Int32] = [1, 2, .max, 4]
            let b: [Int32] = [5, 6, 2, 8]
            var c = [Int32](repeating: 0, count: 4)
            let code = unsafe martlet_matmul(
                MARTLET_I32, 2, 2, 2, a, 2, 1, b, 2, 1, &c, 2, 1)
            #expect(code == 0)
            let wrapped = Int32.max &* 5 &+ 8
            #expect(c == [9, 22, wrapped, Int32.max &* 6 &+ 32])
        }
    }
}
