// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import Testing

/// Operators that compute in Swift or by columns, against plain loops. Their forms are covered by
/// the cases of the onnx wheel (Conformance/onnx).
@Suite struct GeneralOperatorTests {
    private static func random(_ count: Int, seed: UInt64) -> [Float] {
        var generator = SeededRandom(seed: seed)
        return (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
    }

    @Test("A grouped transposed convolution adds up overlapping windows")
    func convTranspose() throws {
        let (x, w) = (Self.random(2 * 4 * 3 * 5, seed: 1), Self.random(4 * 3 * 3 * 2, seed: 2))
        let answer = try OperatorTests.run(
            .convTranspose, Tensor(x, shape: [2, 4, 3, 5]), [Tensor(w, shape: [4, 3, 3, 2])],
            ["group": .int(2), "strides": .ints([2, 3]), "pads": .ints([1, 0, 0, 1])])[0]
        #expect(answer.shape == [2, 6, 6, 13])
        var expected = [Float](repeating: 0, count: answer.elementCount)
        for n in 0..<2 {
            for c in 0..<4 {
                for (row, column) in (0..<15).map({ ($0 / 5, $0 % 5) }) {
                    for m in 0..<3 {
                        for (kh, kw) in (0..<6).map({ ($0 / 2, $0 % 2) }) {
                            let (h, v) = (row * 2 + kh - 1, column * 3 + kw)
                            guard (0..<6).contains(h), (0..<13).contains(v) else { continue }
                            expected[((n * 6 + c / 2 * 3 + m) * 6 + h) * 13 + v] +=
                                x[((n * 4 + c) * 3 + row) * 5 + column]
                                * w[((c * 3 + m) * 3 + kh) * 2 + kw]
                        }
                    }
                }
            }
        }
        let found = try answer.elements(as: Float.self)
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-4 })
    }

    @Test("A volume's convolution is the sum over its window")
    func volumes() throws {
        let (x, w) = (Self.random(2 * 4 * 4 * 4, seed: 3), Self.random(3 * 2 * 8, seed: 4))
        let answer = try OperatorTests.run(
            .conv, Tensor(x, shape: [1, 2, 4, 4, 4]), [Tensor(w, shape: [3, 2, 2, 2, 2])])[0]
        #expect(answer.shape == [1, 3, 3, 3, 3])
        let found = try answer.elements(as: Float.self)
        for place in 0..<81 {
            let (m, d, h, v) = (place / 27, place / 9 % 3, place / 3 % 3, place % 3)
            var sum: Float = 0
            for tap in 0..<16 {
                let (c, a, b, e) = (tap / 8, tap / 4 % 2, tap / 2 % 2, tap % 2)
                sum += x[((c * 4 + d + a) * 4 + h + b) * 4 + v + e] * w[m * 16 + tap]
            }
            #expect(abs(found[place] - sum) < 1e-4)
        }
    }

    @Test(
        "A Fourier transform of any length and back gives the signal", arguments: [1, 2, 7, 16, 30])
    func fourier(length: Int) throws {
        let x = Self.random(2 * length * 2, seed: UInt64(length))
        let signal = try Tensor(x, shape: [2, length, 2])
        let spectrum = try OperatorTests.run(.dft, signal)[0]
        let first = try spectrum.elements(as: Float.self)
        #expect(abs(first[0] - (0..<length).reduce(Float(0)) { $0 + x[2 * $1] }) < 1e-4)
        let back = try OperatorTests.run(.dft, spectrum, [], ["inverse": .int(1)])[0]
        let found = try back.elements(as: Float.self)
        #expect(zip(found, x).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test(
        "Einsum sums, transposes, takes diagonals and broadcasts",
        arguments: [
            ("ij->ji", [1, 4, 2, 5, 3, 6] as [Float]), ("ij->", [21]), ("ij->i", [6, 15]),
            ("ij,kj->ik", [14, 32, 32, 77]), ("ij,ij->j", [17, 29, 45]),
            ("...j,...j->...", [14, 77]),
        ])
    func einsum(equation: String, expected: [Float]) throws {
        let x = try OperatorTests.floats(1...6, [2, 3])
        let others = equation.contains(",") ? [x] : []
        let answer = try OperatorTests.run(.einsum, x, others, ["equation": .string(equation)])[0]
        #expect(try answer.elements(as: Float.self) == expected)
    }

    @Test("An LSTM's reverse direction is the forward one of the reversed sequence")
    func lstm() throws {
        let (length, batch, width, hidden) = (5, 2, 3, 4)
        let x = Self.random(length * batch * width, seed: 5)
        let weights = try Tensor(
            Self.random(4 * hidden * width, seed: 6), shape: [1, 4 * hidden, width])
        let recurrent = try Tensor(
            Self.random(4 * hidden * hidden, seed: 7), shape: [1, 4 * hidden, hidden])
        let row = batch * width
        let turned = (0..<length).reversed().flatMap { x[($0 * row)..<(($0 + 1) * row)] }
        func last(_ values: [Float], _ direction: String) throws -> [Float] {
            let answers = try OperatorTests.run(
                .lstm, Tensor(values, shape: [length, batch, width]), [weights, recurrent],
                ["hidden_size": .int(4), "direction": .string(direction)], outputs: 3)
            return try answers[1].elements(as: Float.self)
        }
        let (forward, backward) = (try last(x, "forward"), try last(turned, "reverse"))
        #expect(zip(forward, backward).allSatisfy { abs($0 - $1) < 1e-6 })
        #expect(forward.contains { $0 != 0 })
    }

    @Test(
        "An LSTM without peepholes answers as one whose peepholes are zero",
        arguments: ["forward", "reverse", "bidirectional"])
    func plainMemory(direction: String) throws {
        let (length, batch, width, hidden) = (6, 3, 5, 7)
        let count = direction == "bidirectional" ? 2 : 1
        func made(_ shape: [Int], _ seed: UInt64) throws -> Tensor {
            try Tensor(
                Self.random(shape.reduce(1, *), seed: seed), shape: Shape(shape) ?? Shape())
        }
        let x = try made([length, batch, width], 15)
        let others: [Tensor?] = [
            try made([count, 4 * hidden, width], 16), try made([count, 4 * hidden, hidden], 17),
            try made([count, 8 * hidden], 18), try Tensor([6, 2, 0] as [Int32]),
            try made([count, batch, hidden], 19), try made([count, batch, hidden], 20),
        ]
        let attributes: [String: AttributeValue] = [
            "hidden_size": .int(7), "direction": .string(direction), "clip": .float(0.75),
        ]
        let zeros = try Tensor(
            [Float](repeating: 0, count: count * 3 * hidden), shape: [count, 3 * hidden])
        let plain = try OperatorTests.run(.lstm, x, others, attributes, outputs: 3)
        let peeping = try OperatorTests.run(.lstm, x, others + [zeros], attributes, outputs: 3)
        for (one, other) in zip(plain, peeping) {
            let (one, other) = (
                try one.elements(as: Float.self), try other.elements(as: Float.self)
            )
            #expect(zip(one, other).allSatisfy { abs($0 - $1) < 1e-6 })
            #expect(one.contains { $0 != 0 })
        }
    }

    @Test("Scatters combine duplicates")
    func scatter() throws {
        let data = try OperatorTests.floats(1...3, [3])
        let places = try Tensor([1, 1, -1] as [Int64])
        let updates = try Tensor([10, 20, 30] as [Float])
        for (reduction, expected) in [
            ("add", [1, 32, 33]), ("mul", [1, 400, 90]), ("max", [1, 20, 30]), ("min", [1, 2, 3]),
        ] as [(String, [Float])] {
            let answer = try OperatorTests.run(
                .scatterElements, data, [places, updates], ["reduction": .string(reduction)])[0]
            #expect(try answer.elements(as: Float.self) == expected)
        }
    }
}
