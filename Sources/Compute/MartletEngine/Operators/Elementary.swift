// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletGraph
internal import MartletTensor

// Small operators that are seldom what a model spends its time in.
extension NativeOperator {
    /// 1 where the axis has its first maximum, else 0.
    static let hardmax = NativeOperator(.hardmax) { node in
        let input = try node.floats(0)
        let axis = try node.axis(node.int("axis", default: -1), rank: input.shape.rank)
        let size = input.shape[axis]
        let inner = input.shape.product((axis + 1)..<input.shape.rank)
        try node.produce { output in
            try node.compute { run throws(StepFault) in
                let (x, y) = (run.floats(input), run.floats(output))
                y.fill(0)
                guard size > 0 else { return }
                for line in 0..<(x.count / size) {
                    let start = line / inner * size * inner + line % inner
                    var best = 0
                    for index in 1..<Swift.max(size, 1)
                    where x[start + index * inner] > x[start + best * inner] {
                        best = index
                    }
                    y[start + best * inner] = 1
                }
            }
        }
    }

    /// Each line along the axis divided by its norm; a line of zeros stays.
    static let lpNormalization = NativeOperator(.lpNormalization) { node in
        let input = try node.floats(0)
        let axis = try node.axis(node.int("axis", default: -1), rank: input.shape.rank)
        let power = node.int("p", default: 2)
        guard power == 1 || power == 2 else { throw node.failure("p is \(power)") }
        let size = input.shape[axis]
        let inner = input.shape.product((axis + 1)..<input.shape.rank)
        try node.produce { output in
            try node.compute { run throws(StepFault) in
                let (x, y) = (run.floats(input), run.floats(output))
                guard size > 0 else { return }
                for line in 0..<(x.count / size) {
                    let start = line / inner * size * inner + line % inner
                    var sum: Float = 0
                    for index in 0..<size {
                        let value = x[start + index * inner]
                        sum += power == 1 ? Swift.abs(value) : value * value
                    }
                    let norm = power == 1 ? sum : sum.squareRoot()
                    for index in 0..<size {
                        let place = start + index * inner
                        y[place] = norm == 0 ? 0 : x[place] / norm
                    }
                }
            }
        }
    }

    /// Mean 0 and deviation 1 over `axes` ([0, 2, 3]).
    static let meanVarianceNormalization = float32(.meanVarianceNormalization) { node in
        let (input, output) = (try node.input(), try node.output())
        let axes = Set(
            try (node.ints("axes") ?? [0, 2, 3]).map { try node.axis($0, rank: input.shape.rank) }
        ).sorted()
        var shape = input.shape
        for axis in axes { shape[axis] = 1 }
        let mean = try node.temporary(.float32, shape)
        try emitReduce(node, MARTLET_REDUCE_MEAN, input, mean, axes: axes)
        let centred = try node.temporary(.float32, input.shape)
        try emitBinary(node, MARTLET_SUB, input, mean, centred)
        let squares = try node.temporary(.float32, input.shape)
        try emitUnary(node, MARTLET_SQUARE, centred, squares)
        try emitReduce(node, MARTLET_REDUCE_MEAN, squares, mean, axes: axes)
        try emitUnary(node, MARTLET_SQRT, mean, mean)
        let epsilon = try node.filled(1e-9, elementType: .float32)
        try emitBinary(node, MARTLET_ADD, mean, epsilon, mean)
        try emitBinary(node, MARTLET_DIV, centred, mean, output)
    }

    /// x + bias below -lambd, x - bias above lambd, 0 between.
    static let shrink = NativeOperator(.shrink) { node in
        let input = try node.floats(0)
        let limit = node.float("lambd", default: 0.5)
        let bias = node.float("bias")
        try node.produce { output in
            try node.compute { run throws(StepFault) in
                let (x, y) = (run.floats(input), run.floats(output))
                for index in 0..<x.count {
                    let value = x[index]
                    y[index] = value < -limit ? value + bias : value > limit ? value - bias : 0
                }
            }
        }
    }

    /// Ones on diagonal `k`.
    static let eyeLike = NativeOperator(.eyeLike) { node in
        let shape = try node.output().shape
        guard shape.rank == 2 else { throw node.failure("needs a matrix", .invalidInput) }
        let diagonal = node.int("k")
        try node.produce { output in
            try node.compute { run throws(StepFault) in
                let y = run.floats(output)
                y.fill(0)
                for row in 0..<shape[0] {
                    let (column, overflow) = row.addingReportingOverflow(diagonal)
                    if !overflow, column >= 0, column < shape[1] { y[row * shape[1] + column] = 1 }
                }
            }
        }
    }

    /// Determinants of square matrices, by elimination with row exchanges.
    static let det = NativeOperator(.det) { node in
        let input = try node.cast(node.input(), to: .float64)
        let size = input.shape.last ?? 0
        guard input.shape.rank >= 2, input.shape[input.shape.rank - 2] == size else {
            throw node.failure("needs square matrices, got \(input.shape)", .invalidInput)
        }
        let work = try node.temporary(.float64, [Swift.max(size, 1), Swift.max(size, 1)])
        try node.produce(as: .float64) { output in
            try node.compute { run throws(StepFault) in
                let x = run.values(input, as: Double.self)
                let y = run.values(output, as: Double.self)
                let rows = run.values(work, as: Double.self)
                for matrix in 0..<y.count {
                    rows.copy(x, from: matrix * size * size, to: 0, length: size * size)
                    y[matrix] = determinant(rows, size)
                }
            }
        }
    }

    /// Inputs: X[…, features], indices: the features at these places.
    static let arrayFeatureExtractor = NativeOperator(.arrayFeatureExtractor) { node in
        let input = try node.input(0)
        try emitGather(
            node, input, node.integers(1), node.output(), axis: input.shape.rank - 1)
    }

    /// 1 above the threshold, else 0.
    static let binarizer = NativeOperator(.binarizer) { node in
        let input = try node.floats(0)
        let limit = node.float("threshold")
        try node.produce { output in
            try node.compute { run throws(StepFault) in
                let (x, y) = (run.floats(input), run.floats(output))
                for index in 0..<x.count { y[index] = x[index] > limit ? 1 : 0 }
            }
        }
    }
}

/// The determinant of a matrix, which is overwritten.
private func determinant(_ rows: Values<Double>, _ size: Int) -> Double {
    var result = 1.0
    for column in 0..<size {
        var pivot = column
        for row in column..<size
        where Swift.abs(rows[row * size + column]) > Swift.abs(rows[pivot * size + column]) {
            pivot = row
        }
        let value = rows[pivot * size + column]
        if value == 0 { return 0 }
        if pivot != column {
            result = -result
            for index in 0..<size {
                let held = rows[column * size + index]
                rows[column * size + index] = rows[pivot * size + index]
                rows[pivot * size + index] = held
            }
        }
        result *= value
        for row in (column + 1)..<Swift.max(size, column + 1) {
            let share = rows[row * size + column] / value
            for index in column..<size {
                rows[row * size + index] -= share * rows[column * size + index]
            }
        }
    }
    return result
}
