// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Attention")
    struct AttentionKernel {
        /// Weights sum to 1 over values up to 1.
        static let tolerance: Float = 2e-5
        /// Scores of up to 10 with 8 bits of mantissa.
        static let narrowTolerance: Float = 3e-2

        struct Case: Sendable {
            var batch = 1, heads = 2, keyHeads = 2, queries = 1, keys = 1, size = 32
            var isCausal = false, hasLengths = false, hasMask = false
            var softcap: Float = 0
        }

        static let all = [
            Case(), Case(queries: 16, keys: 16), Case(batch: 2, queries: 29, keys: 45, size: 64),
            Case(heads: 4, keyHeads: 2, queries: 57, keys: 57, size: 33, isCausal: true),
            Case(batch: 3, queries: 20, keys: 70, size: 7, hasLengths: true),
            Case(batch: 2, queries: 31, keys: 33, size: 40, hasMask: true),
            Case(
                batch: 2, heads: 6, keyHeads: 3, queries: 128, keys: 128, size: 32,
                isCausal: true, hasLengths: true, hasMask: true, softcap: 2),
            Case(heads: 1, keyHeads: 1, queries: 15, keys: 2100, size: 16, isCausal: true),
        ]

        @Test("every level agrees with the reference", arguments: all.indices)
        func cases(index: Int) {
            let test = AttentionKernel.all[index]
            var generator = SeededRandom(seed: 31)
            let width = test.heads * test.size
            let merged = width + 2 * test.keyHeads * test.size
            let rows = test.batch * max(test.queries, test.keys)
            let qkv = Floats(random: rows * merged, &generator)
            let mask = Floats(random: test.batch * test.keys, &generator)
            for key in 0..<mask.count where key % 5 == 1 {
                mask[key] = key % 2 == 0 ? -.infinity : -.greatestFiniteMagnitude
            }
            var lengths: [Int32] = (0..<test.batch).map { Int32($0 * test.keys / 3) }
            let sequence = Int64(max(test.queries, test.keys) * merged)
            unsafe lengths.withUnsafeMutableBufferPointer { lengths in
                var args = unsafe martlet_attention_f32_args()
                unsafe args.batch = Int64(test.batch)
                unsafe (args.heads, args.kv_heads) = (Int64(test.heads), Int64(test.keyHeads))
                unsafe (args.queries, args.keys) = (Int64(test.queries), Int64(test.keys))
                unsafe (args.head_size, args.value_size) = (Int64(test.size), Int64(test.size))
                unsafe args.q = unsafe UnsafePointer(qkv.pointer)
                unsafe args.k = unsafe UnsafePointer(qkv.pointer + width)
                unsafe args.v = unsafe UnsafePointer(
                    qkv.pointer + width + test.keyHeads * test.size)
                unsafe args.q_batch_stride = sequence
                unsafe args.k_batch_stride = sequence
                unsafe args.v_batch_stride = sequence
                unsafe args.q_head_stride = Int64(test.size)
                unsafe args.k_head_stride = Int64(test.size)
                unsafe args.v_head_stride = Int64(test.size)
                unsafe args.q_row_stride = Int64(merged)
                unsafe args.k_row_stride = Int64(merged)
                unsafe args.v_row_stride = Int64(merged)
                unsafe args.o_batch_stride = Int64(test.queries * width)
                unsafe (args.o_head_stride, args.o_row_stride) = (
                    Int64(test.size), Int64(width)
                )
                unsafe (args.scale, args.softcap) = (
                    3 / Float(test.size).squareRoot(), test.softcap
                )
                unsafe args.causal = test.isCausal ? 1 : 0
                unsafe args.causal_offset = Int64(test.keys - test.queries - 1)
                if test.hasLengths {
                    unsafe args.key_lengths = unsafe UnsafePointer(lengths.baseAddress)
                }
                if test.hasMask {
                    unsafe args.mask = unsafe UnsafePointer(mask.pointer)
                    unsafe (args.mask_batch_stride, args.mask_key_stride) = (Int64(test.keys), 1)
                }
                unsafe compare(&args, count: test.batch * test.queries * width)
            }
        }

        private func compare(_ args: inout martlet_attention_f32_args, count: Int) {
            let slow = Floats(repeating: 9, count: count)
            unsafe args.o = slow.pointer
            unsafe martlet_attention_f32_reference(&args)
            var copy = unsafe args
            withEachLevel { level in
                let fast = Floats(repeating: 9, count: count)
                let scratch = unsafe Room(bytes: martlet_attention_f32_scratch_bytes(&copy, 0))
                unsafe copy.o = fast.pointer
                unsafe martlet_attention_f32(&copy, scratch.pointer, 0)
                #expect(
                    fast.difference(to: slow) <= AttentionKernel.tolerance,
                    "level \(level.rawValue)")
                #expect(fast.fencesStand)
                let narrow = Floats(repeating: 9, count: count)
                let room = unsafe Room(bytes: martlet_attention_bf16_scratch_bytes(&copy, 0))
                unsafe copy.o = narrow.pointer
                unsafe martlet_attention_bf16(&copy, room.pointer, 0)
                #expect(
                    narrow.difference(to: slow) <= AttentionKernel.narrowTolerance,
                    "level \(level.rawValue), bf16")
                #expect(narrow.fencesStand)
            }
        }
    }
}
