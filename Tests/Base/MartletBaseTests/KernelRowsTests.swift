// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Products of rows with weights as files store them")
    struct Rows {
        /// The rows that each type of weights meets.
        static let kinds: [(weights: martlet_weights, rows: martlet_rows)] = [
            (MARTLET_WEIGHTS_F32, MARTLET_ROWS_F32), (MARTLET_WEIGHTS_F16, MARTLET_ROWS_F32),
            (MARTLET_WEIGHTS_BF16, MARTLET_ROWS_F32), (MARTLET_WEIGHTS_BF16, MARTLET_ROWS_BF16),
            (MARTLET_WEIGHTS_Q4_0, MARTLET_ROWS_INT8_8),
            (MARTLET_WEIGHTS_Q4_1, MARTLET_ROWS_INT8_8),
            (MARTLET_WEIGHTS_Q5_0, MARTLET_ROWS_INT8_16),
            (MARTLET_WEIGHTS_Q5_1, MARTLET_ROWS_INT8_128),
            (MARTLET_WEIGHTS_Q8_0, MARTLET_ROWS_INT8_128),
            (MARTLET_WEIGHTS_Q4_K, MARTLET_ROWS_INT8_32),
            (MARTLET_WEIGHTS_Q5_K, MARTLET_ROWS_INT8_8),
            (MARTLET_WEIGHTS_Q6_K, MARTLET_ROWS_INT8_32),
        ]

        @Test("every type agrees with the reference, blocks to the bit where there is FMA")
        func types() {
            for (index, kind) in Rows.kinds.enumerated() {
                let k = kind.weights.rawValue <= MARTLET_WEIGHTS_BF16.rawValue ? 301 : 512
                for n in [1, 2, 5, 12, 29] {
                    let work = RowsWork(kind, n: n, m: 37, k: k, seed: UInt64(index * 100 + n))
                    withEachLevel { level in work.check(level) }
                }
            }
        }

        @Test("bias, residual and bound are applied after the last input, over several passes")
        func endings() {
            for kind in Rows.kinds {
                let k = kind.weights.rawValue <= MARTLET_WEIGHTS_BF16.rawValue ? 2_100 : 2_304
                let work = RowsWork(kind, n: 3, m: 20, k: k, seed: 5, hasEnding: true)
                withEachLevel { level in work.check(level) }
            }
        }

        @Test("a row's answer is the same, to the bit, whatever rows there are besides")
        func company() {
            for kind in Rows.kinds {
                let many = RowsWork(kind, n: 27, m: 40, k: 512, seed: 9)
                let all = many.product(rows: 0..<27)
                for rows in [0..<1, 3..<5, 20..<27, 11..<14] {
                    let some = many.product(rows: rows)
                    let expected = Array(all[(rows.lowerBound * 40)..<(rows.upperBound * 40)])
                    #expect(some.map(\.bitPattern) == expected.map(\.bitPattern), "\(kind) \(rows)")
                }
            }
        }

        @Test("rows are normed and gated while they are prepared")
        func sources() {
            var generator = SeededRandom(seed: 31)
            let (n, k) = (5, 70)
            let x = Floats(random: n * 2 * k, &generator)
            let weight = Floats(random: k, &generator)
            for source in [MARTLET_ROWS_NORM, MARTLET_ROWS_SILU, MARTLET_ROWS_GELU_TANH] {
                withEachLevel { level in
                    let tile = Room(bytes: martlet_rows_bytes(MARTLET_ROWS_F32, 5, 70))
                    var args = unsafe martlet_rows_args(
                        type: MARTLET_ROWS_F32, source: source, n: 5, k: 70, x: x.pointer,
                        x_stride: 140, weight: weight.pointer, epsilon: 1e-5)
                    unsafe martlet_rows_prepare(&args, tile.pointer, 1)
                    let floats = unsafe tile.pointer.assumingMemoryBound(to: Float.self)
                    for row in 0..<n {
                        for column in 0..<k {
                            // A tile of five rows is laid out for six.
                            let got = unsafe floats[column * 6 + row]
                            let wanted = unsafe Rows.expected(
                                source, x.pointer + row * 140, weight.pointer, k, column)
                            #expect(
                                abs(got - wanted) < 1e-5,
                                "level \(level.rawValue), \(source) \(row) \(column)")
                        }
                    }
                }
            }
        }

        private static func expected(
            _ source: martlet_rows_source, _ x: UnsafePointer<Float>, _ w: UnsafePointer<Float>,
            _ k: Int, _ i: Int
        ) -> Float {
            let value = unsafe x[i]
            let second = unsafe x[k + i]
            if source == MARTLET_ROWS_NORM {
                var sum = 0.0
                for j in 0..<k { sum += unsafe Double(x[j]) * Double(x[j]) }
                return unsafe value / Float((sum / Double(k) + 1e-5).squareRoot()) * w[i]
            }
            var y = Floats(repeating: value, count: 1)
            y = y.copy()
            let op = source == MARTLET_ROWS_SILU ? MARTLET_SILU : MARTLET_GELU_TANH
            unsafe martlet_unary_f32_reference(op, y.pointer, y.pointer, 1, 0, 0)
            return unsafe y.pointer[0] * second
        }

        @Test("rows and panels that do not fit are told apart; rows of part blocks have no size")
        func misfits() {
            #expect(martlet_rows_fit(MARTLET_ROWS_BF16, MARTLET_WEIGHTS_F32) == 0)
            #expect(martlet_rows_fit(MARTLET_ROWS_INT8_8, MARTLET_WEIGHTS_Q8_0) == 0)
            #expect(martlet_rows_fit(MARTLET_ROWS_F32, MARTLET_WEIGHTS_Q4_K) == 0)
            #expect(martlet_weights_row_bytes(MARTLET_WEIGHTS_Q4_K, 128) == -1)
            #expect(martlet_weights_panel_bytes(MARTLET_WEIGHTS_Q6_K, 16, 100) == 0)
            let room = Room(bytes: 64)
            let status = unsafe martlet_weights_pack(
                MARTLET_WEIGHTS_Q4_0, room.pointer, 0, 16, 32, MARTLET_WEIGHTS_Q8_0, room.pointer,
                1)
            #expect(status == -1)
        }
    }
}

/// A product with random weights of a type, and its oracle's answer.
@safe final class RowsWork {
    private let kind: (weights: martlet_weights, rows: martlet_rows)
    private let n: Int
    private let m: Int
    private let k: Int
    private let x: Floats
    private let weights: Room
    private let rowBytes: Int
    private let packed: Room
    private let bias: Floats?
    private let residual: Floats?

    init(
        _ kind: (weights: martlet_weights, rows: martlet_rows), n: Int, m: Int, k: Int,
        seed: UInt64, hasEnding: Bool = false
    ) {
        var generator = SeededRandom(seed: seed)
        (self.kind, self.n, self.m, self.k) = (kind, n, m, k)
        x = Floats(random: n * k, &generator)
        bias = hasEnding ? Floats(random: m, &generator) : nil
        residual = hasEnding ? Floats(random: n * m, &generator) : nil
        rowBytes = Int(martlet_weights_row_bytes(kind.weights, Int64(k)))
        weights = Room(bytes: rowBytes * m)
        packed = Room(bytes: martlet_weights_panel_bytes(kind.weights, Int64(m), Int64(k)))
        fill(&generator)
        let status = unsafe martlet_weights_pack(
            kind.weights, weights.pointer, Int64(rowBytes), Int64(m), Int64(k), kind.weights,
            packed.pointer, 0)
        precondition(status == 0, "packs")
    }

    /// Random bits, with scales that are numbers.
    private func fill(_ generator: inout SeededRandom) {
        let bytes = unsafe weights.pointer.assumingMemoryBound(to: UInt8.self)
        for index in 0..<(rowBytes * m) {
            unsafe bytes[index] = UInt8(truncatingIfNeeded: generator.next())
        }
        let size = Int(martlet_weights_block_bytes(kind.weights))
        for block in 0..<(rowBytes * m / size) {
            let at = unsafe weights.pointer + block * size
            let small = Float.random(in: -0.01...0.01, using: &generator)
            let half = Float16(small).bitPattern
            switch kind.weights {
            case MARTLET_WEIGHTS_F32:
                unsafe at.storeBytes(of: small * 100, as: Float.self)
            case MARTLET_WEIGHTS_F16:
                unsafe at.storeBytes(of: Float16(small * 100).bitPattern, as: UInt16.self)
            case MARTLET_WEIGHTS_BF16:
                let bits = UInt16(truncatingIfNeeded: (small * 100).bitPattern >> 16)
                unsafe at.storeBytes(of: bits, as: UInt16.self)
            case MARTLET_WEIGHTS_Q6_K:
                unsafe (at + 208).storeBytes(of: half, as: UInt16.self)
            default:
                unsafe at.storeBytes(of: half, as: UInt16.self)
                if kind.weights != MARTLET_WEIGHTS_Q4_0 && kind.weights != MARTLET_WEIGHTS_Q5_0
                    && kind.weights != MARTLET_WEIGHTS_Q8_0
                {
                    unsafe (at + 2).storeBytes(of: half ^ 0x8000, as: UInt16.self)
                }
            }
        }
    }

    /// The product of some of the rows.
    func product(rows: Range<Int>) -> [Float] {
        let count = rows.count
        let tile = Room(bytes: martlet_rows_bytes(kind.rows, Int64(count), Int64(k)))
        var args = unsafe martlet_rows_args(
            type: kind.rows, source: MARTLET_ROWS_PLAIN, n: Int64(count), k: Int64(k),
            x: x.pointer + rows.lowerBound * k, x_stride: Int64(k), weight: nil, epsilon: 0)
        unsafe martlet_rows_prepare(&args, tile.pointer, 0)
        let output = Floats(repeating: 0, count: count * m)
        var product = unsafe description(count, output)
        unsafe product.rows = UnsafeRawPointer(tile.pointer)
        unsafe martlet_rows_multiply(&product, 0)
        #expect(output.fencesStand)
        return unsafe Array(UnsafeBufferPointer(start: output.pointer, count: count * m))
    }

    private func description(_ count: Int, _ output: Floats) -> martlet_rows_product {
        unsafe martlet_rows_product(
            type: kind.rows, panels: kind.weights, n: Int64(count), m: Int64(m), k: Int64(k),
            rows: nil, packed: packed.pointer, c: output.pointer, c_stride: Int64(m),
            bias: bias?.pointer, residual: residual?.pointer, residual_stride: Int64(m),
            cap: bias == nil ? 0 : 3)
    }

    func check(_ level: martlet_level) {
        let got = product(rows: 0..<n)
        let output = Floats(repeating: 0, count: n * m)
        var args = unsafe description(n, output)
        unsafe martlet_rows_multiply_reference(
            &args, x.pointer, Int64(k), weights.pointer, Int64(rowBytes))
        let wanted = unsafe Array(UnsafeBufferPointer(start: output.pointer, count: n * m))
        let isExact =
            kind.weights.rawValue > MARTLET_WEIGHTS_BF16.rawValue
            && level != MARTLET_LEVEL_REFERENCE && bias == nil
        if isExact {
            #expect(got.map(\.bitPattern) == wanted.map(\.bitPattern), "\(kind) \(level.rawValue)")
            return
        }
        let largest = wanted.reduce(1) { max($0, abs($1)) }
        for (a, b) in zip(got, wanted) where !(abs(a - b) <= 3e-5 * largest) {
            Issue.record("\(kind) level \(level.rawValue): \(a) for \(b)")
            return
        }
    }
}
