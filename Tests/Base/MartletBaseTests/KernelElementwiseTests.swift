// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Elementwise operations")
    struct Elementwise {
        static let unaries = (0..<MARTLET_UNARY_COUNT.rawValue).map { martlet_unary(rawValue: $0) }
        static let binaries = (0..<MARTLET_BINARY_COUNT.rawValue).map {
            martlet_binary(rawValue: $0)
        }

        @Test("every unary operation at every level agrees with the C library's, odd tails too")
        func unary() {
            var generator = SeededRandom(seed: 51)
            for count in [0, 1, 15, 16, 17, 63, 100, 1029] {
                let x = Floats(random: count, &generator)
                for index in 0..<count where index % 3 == 0 { x[index] *= 30 }
                for op in Elementwise.unaries {
                    let isFlag = op == MARTLET_IS_NAN || op == MARTLET_IS_INF
                    if isFlag || op == MARTLET_BIT_NOT { continue }
                    let slow = Floats(repeating: 0, count: count)
                    unsafe martlet_unary_f32_reference(
                        op, x.pointer, slow.pointer, Int64(count), 0.3, 0.6)
                    withEachLevel { level in
                        let fast = x.copy()
                        unsafe martlet_unary_f32(
                            op, fast.pointer, fast.pointer, Int64(count), 0.3, 0.6, 0)
                        // NaN where the reference has it; relative elsewhere.
                        for index in 0..<count where !(slow[index].isNaN && fast[index].isNaN) {
                            let bound = 1e-6 * max(abs(slow[index]), abs(x[index]), 1e-30)
                            let near = abs(fast[index] - slow[index]) <= bound
                            #expect(
                                near || fast[index] == slow[index],
                                "op \(op.rawValue), level \(level.rawValue), x \(x[index])")
                        }
                        #expect(fast.fencesStand)
                    }
                }
            }
        }

        @Test("exp, erf, tanh and sigmoid are within 1e-6 relative of the exact value")
        func accuracy() {
            let cases: [(martlet_unary, ClosedRange<Float>, (Double) -> Double)] = [
                (MARTLET_EXP, -87...88.5, { exp($0) }), (MARTLET_ERF, -5...5, { erf($0) }),
                (MARTLET_TANH, -10...10, { tanh($0) }),
                (MARTLET_SIGMOID, -80...80, { 1 / (1 + exp(-$0)) }),
            ]
            let count = 40_000
            for (op, range, exact) in cases {
                let step = (range.upperBound - range.lowerBound) / Float(count - 1)
                let x = Floats((0..<count).map { range.lowerBound + Float($0) * step })
                withEachLevel { level in
                    let y = Floats(repeating: 0, count: count)
                    unsafe martlet_unary_f32(op, x.pointer, y.pointer, Int64(count), 0, 0, 0)
                    var worst = 0.0
                    for index in 0..<count {
                        let value = exact(Double(x[index]))
                        guard value != 0 else { continue }
                        worst = max(worst, abs(Double(y[index]) / value - 1))
                    }
                    #expect(worst <= 1e-6, "op \(op.rawValue), level \(level.rawValue)")
                }
            }
        }

        @Test("extremes: infinities, NaN, overflow and underflow")
        func extremes() {
            let x: [Float] = [.infinity, -.infinity, .nan, 100, -100, 88.7, 0, -0.0]
            withEachLevel { _ in
                var y = [Float](repeating: 0, count: x.count)
                unsafe martlet_unary_f32(MARTLET_EXP, x, &y, Int64(x.count), 0, 0, 1)
                #expect(y[0] == .infinity && y[1] == 0 && y[2].isNaN && y[3] == .infinity)
                #expect(y[4] < 1e-37 && y[5].isFinite && y[6] == 1 && y[7] == 1)
                unsafe martlet_unary_f32(MARTLET_TANH, x, &y, Int64(x.count), 0, 0, 1)
                #expect(y[0] == 1 && y[1] == -1 && y[2].isNaN && y[6] == 0)
                unsafe martlet_unary_f32(MARTLET_RELU, x, &y, Int64(x.count), 0, 0, 1)
                #expect(y[0] == .infinity && y[1] == 0 && y[2].isNaN)
            }
        }

        @Test("binary operations broadcast by strides and agree with the plain loop")
        func binary() {
            var generator = SeededRandom(seed: 52)
            let shape: [Int64] = [3, 4, 37]
            let patterns: [[Int64]] = [
                [148, 37, 1], [0, 0, 0], [0, 0, 1], [37, 0, 1], [4, 1, 0],
            ]
            let a = Floats(random: 444, &generator)
            let b = Floats(random: 444, &generator)
            for index in 0..<444 where index % 7 == 0 { b[index] = a[index] }
            for op in Elementwise.binaries {
                for left in patterns {
                    for right in patterns {
                        let slow = Floats(repeating: 0, count: 444)
                        let known = unsafe martlet_binary_any_reference(
                            MARTLET_F32, op, a.pointer, b.pointer, slow.pointer, 3, shape, left,
                            right)
                        withEachLevel { level in
                            let fast = Floats(repeating: 0, count: 444)
                            let code = unsafe martlet_binary_any(
                                MARTLET_F32, op, a.pointer, b.pointer, fast.pointer, 3, shape,
                                left, right, 0)
                            #expect(code == known)
                            let same = zip(fast.values, slow.values).allSatisfy {
                                $0 == $1 || ($0.isNaN && $1.isNaN)
                                    || abs($0 - $1) <= 1e-6 * abs($1)
                            }
                            #expect(same, "op \(op.rawValue), level \(level.rawValue)")
                            #expect(fast.fencesStand)
                        }
                    }
                }
            }
        }

        @Test("integer arithmetic wraps, and division by zero gives 0")
        func integers() {
            let a: [Int64] = [.max, .min, 7, -7, 5, 2]
            let b: [Int64] = [1, -1, -2, 2, 0, 10]
            let expected: [(martlet_binary, [Int64])] = [
                (MARTLET_ADD, [.min, .max, 5, -5, 5, 12]),
                (MARTLET_DIV, [.max, .min, -3, -3, 0, 0]),
                (MARTLET_MOD, [0, 0, -1, 1, 0, 2]), (MARTLET_FMOD, [0, 0, 1, -1, 0, 2]),
                (MARTLET_POW, [.max, 0, 0, 49, 1, 1024]),
            ]
            for (op, values) in expected {
                var y = [Int64](repeating: 0, count: 6)
                let code = unsafe martlet_binary_any(
                    MARTLET_I64, op, a, b, &y, 1, [6], [1], [1], 1)
                #expect(code == 0)
                #expect(y == values, "op \(op.rawValue)")
            }
            var flags = [UInt8](repeating: 9, count: 6)
            let code = unsafe martlet_binary_any(
                MARTLET_I64, MARTLET_LESS, a, b, &flags, 1, [6], [1], [1], 1)
            #expect(code == 0)
            #expect(flags == [0, 1, 0, 1, 0, 1])
            #expect(
                unsafe martlet_binary_any(
                    MARTLET_F32, MARTLET_BIT_AND, a, b, &flags, 1, [1], [1], [1], 1) == -1)
        }

        @Test("selection and casts")
        func selectionAndCasts() {
            var selected = [Int32](repeating: 0, count: 4)
            let code = unsafe martlet_where(
                4, [1, 0], [1, 2, 3, 4] as [Int32], [9] as [Int32], &selected, 2, [2, 2], [1, 0],
                [2, 1], [0, 0], 1)
            #expect(code == 0)
            #expect(selected == [1, 2, 9, 9])

            let x: [Float] = [1.9, -1.9, 300, -300, .nan, .infinity, 0]
            var bytes = [UInt8](repeating: 7, count: 7)
            #expect(unsafe martlet_cast(MARTLET_F32, MARTLET_U8, x, &bytes, 7, 1) == 0)
            #expect(bytes == [1, 0, 255, 0, 0, 255, 0])
            var wide = [Int64](repeating: 7, count: 7)
            #expect(unsafe martlet_cast(MARTLET_F32, MARTLET_I64, x, &wide, 7, 1) == 0)
            #expect(wide == [1, -1, 300, -300, 0, .max, 0])
            #expect(unsafe martlet_cast(MARTLET_F32, MARTLET_BOOL, x, &bytes, 7, 1) == 0)
            #expect(bytes == [1, 1, 1, 1, 1, 1, 0])
            let long: [UInt64] = [.max, 1, 0]
            var floats = [Float](repeating: 0, count: 3)
            #expect(unsafe martlet_cast(MARTLET_U64, MARTLET_F32, long, &floats, 3, 1) == 0)
            #expect(floats == [0x1p64, 1, 0])
        }

        @Test("all half and brain floats go to f32 and back unchanged at every level")
        func halves() {
            let all = (0...UInt16.max).map { $0 }
            let count = Int64(all.count)
            withEachLevel { level in
                var floats = [Float](repeating: 0, count: all.count)
                var back = all
                unsafe martlet_f16_to_f32(all, &floats, count)
                unsafe martlet_f32_to_f16(floats, &back, count)
                var wrong = 0
                for (bits, float) in zip(all, floats) {
                    let exact = Float(Float16(bitPattern: bits))
                    if exact.isNaN ? !float.isNaN : exact != float { wrong += 1 }
                }
                for (index, bits) in back.enumerated() where !floats[index].isNaN {
                    if bits != all[index] { wrong += 1 }
                }
                unsafe martlet_bf16_to_f32(all, &floats, count)
                unsafe martlet_f32_to_bf16(floats, &back, count)
                for (index, bits) in back.enumerated() where !floats[index].isNaN {
                    if bits != all[index] { wrong += 1 }
                }
                #expect(wrong == 0, "level \(level.rawValue)")
            }
        }

        @Test("rounding to half floats is to nearest even at every level")
        func rounding() {
            var generator = SeededRandom(seed: 53)
            let x =
                (0..<5000).map { _ in
                    Float(bitPattern: UInt32.random(in: 0 ... .max, using: &generator))
                }
                + [65519, 65520, 5.9604645e-8, 2.9802322e-8, 2.9802326e-8, 1.0004883, 1.0014648]
            withEachLevel { level in
                var half = [UInt16](repeating: 0, count: x.count)
                unsafe martlet_f32_to_f16(x, &half, Int64(x.count))
                let wrong = zip(x, half).count { value, bits in
                    value.isNaN
                        ? !Float16(bitPattern: bits).isNaN : Float16(value).bitPattern != bits
                }
                #expect(wrong == 0, "level \(level.rawValue)")
            }
        }
    }
}
