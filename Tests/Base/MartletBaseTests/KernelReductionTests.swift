// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Reductions and selection")
    struct Reductions {
        static let operations = (0...9).map { martlet_reduction(rawValue: $0) }

        @Test("every reduction at every level agrees with the reference")
        func reductions() {
            var generator = SeededRandom(seed: 61)
            for (outer, n, inner) in [
                (1, 1, 1), (3, 17, 1), (2, 384, 1), (4, 5, 70), (2, 33, 3), (3, 0, 2), (0, 3, 3),
                (1, 5000, 1),
            ] {
                let x = Floats(random: outer * n * inner, &generator)
                for op in Reductions.operations {
                    let slow = Floats(repeating: 5, count: outer * inner)
                    unsafe martlet_reduce_reference(
                        MARTLET_F32, op, x.pointer, slow.pointer, Int64(outer), Int64(n),
                        Int64(inner))
                    withEachLevel { level in
                        let fast = Floats(repeating: 5, count: outer * inner)
                        unsafe martlet_reduce(
                            MARTLET_F32, op, x.pointer, fast.pointer, Int64(outer), Int64(n),
                            Int64(inner), 0)
                        let same = zip(fast.values, slow.values).allSatisfy {
                            $0 == $1 || ($0.isNaN && $1.isNaN)
                                || abs($0 - $1) <= 1e-5 * (1 + abs($1))
                        }
                        #expect(same, "op \(op.rawValue), level \(level.rawValue), n \(n)")
                        #expect(fast.fencesStand)
                    }
                }
            }
        }

        @Test("integer reductions")
        func integers() {
            let x: [Int32] = [3, -4, 5, 1, 2, -6]
            let expected: [(martlet_reduction, [Int32])] = [
                (MARTLET_REDUCE_SUM, [4, -3]), (MARTLET_REDUCE_MEAN, [1, -1]),
                (MARTLET_REDUCE_MAX, [5, 2]), (MARTLET_REDUCE_MIN, [-4, -6]),
                (MARTLET_REDUCE_PROD, [-60, -12]), (MARTLET_REDUCE_L1, [12, 9]),
                (MARTLET_REDUCE_SUM_SQUARE, [50, 41]), (MARTLET_REDUCE_L2, [7, 6]),
            ]
            for (op, values) in expected {
                var y: [Int32] = [0, 0]
                #expect(unsafe martlet_reduce(MARTLET_I32, op, x, &y, 2, 3, 1, 1) == 0)
                #expect(y == values, "op \(op.rawValue)")
            }
            var y: [UInt16] = [0]
            #expect(
                unsafe martlet_reduce(MARTLET_F16, MARTLET_REDUCE_SUM, x, &y, 1, 1, 1, 1) == -1)
        }

        @Test("arg max and arg min take the first or the last of equals")
        func argReduce() {
            let x: [Float] = [1, 5, 5, 0, 0, 2]
            func index(_ smallest: Int32, _ last: Int32) -> Int64 {
                var y: [Int64] = [-1]
                unsafe martlet_arg_reduce(MARTLET_F32, smallest, last, x, &y, 1, 6, 1, 1)
                return y[0]
            }
            #expect(index(0, 0) == 1)
            #expect(index(0, 1) == 2)
            #expect(index(1, 0) == 3)
            #expect(index(1, 1) == 4)
        }

        @Test("top-k is the head of a stable sort, along an inner dimension too")
        func topK() {
            var generator = SeededRandom(seed: 62)
            let (outer, n, inner, k) = (2, 50, 3, 7)
            let x = (0..<outer * n * inner).map { _ in
                Float(Int.random(in: 0...20, using: &generator))
            }
            for smallest in [false, true] {
                var values = [Float](repeating: 0, count: outer * k * inner)
                var indices = [Int64](repeating: 0, count: outer * k * inner)
                let code = unsafe martlet_top_k(
                    MARTLET_F32, smallest ? 1 : 0, Int64(k), x, &values, &indices, Int64(outer),
                    Int64(n), Int64(inner), 0)
                #expect(code == 0)
                for lane in 0..<outer * inner {
                    let (o, i) = (lane / inner, lane % inner)
                    let order = (0..<n).sorted { left, right in
                        let a = x[(o * n + left) * inner + i]
                        let b = x[(o * n + right) * inner + i]
                        return a == b ? left < right : (smallest ? a < b : a > b)
                    }
                    for place in 0..<k {
                        let at = (o * k + place) * inner + i
                        #expect(indices[at] == Int64(order[place]))
                        #expect(values[at] == x[(o * n + order[place]) * inner + i])
                    }
                }
            }
        }

        @Test("running sums: inclusive, exclusive, reversed, in place")
        func cumulate() {
            let x: [Int32] = [1, 2, 3, 4]
            let expected: [(Int32, Int32, [Int32])] = [
                (0, 0, [1, 3, 6, 10]), (1, 0, [0, 1, 3, 6]), (0, 1, [10, 9, 7, 4]),
                (1, 1, [9, 7, 4, 0]),
            ]
            for (exclusive, reverse, values) in expected {
                var y = x
                unsafe y.withUnsafeMutableBufferPointer { y in
                    let code = unsafe martlet_cumulate(
                        MARTLET_I32, 0, exclusive, reverse, y.baseAddress, y.baseAddress, 1, 4, 1,
                        1)
                    #expect(code == 0)
                }
                #expect(y == values)
            }
        }
    }
}
