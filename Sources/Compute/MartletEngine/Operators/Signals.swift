// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let dft = float32(.dft) { node in
        let (input, output) = (try node.input(), try node.output())
        try node.expectFloat32(input)
        let rank = input.shape.rank
        let axis = try transformAxis(node, rank: rank)
        let isHalf = node.int("onesided") != 0
        let isInverse = node.int("inverse") != 0
        let natural = isHalf && isInverse ? 2 * input.shape[axis] - 2 : input.shape[axis]
        let length = try statedLength(node, 1) ?? natural
        let transform = try fourier(node, length)
        let parts = input.shape[rank - 1]
        guard parts == 1 || parts == 2, axis < rank - 1 else {
            throw node.failure("numbers of \(parts) parts along axis \(axis)", .invalidInput)
        }
        let (from, to) = (input.shape[axis], output.shape[axis])
        let inner = input.shape.product((axis + 1)..<(rank - 1))
        let lines = input.shape.product(0..<axis) * inner
        let outParts = output.shape[rank - 1]
        try node.compute { run throws(StepFault) in
            let (x, y) = (run.floats(input), run.floats(output))
            KernelPool.parallel(parts: lines, maximumThreads: Int(run.threads)) { line in
                var real = [Double](repeating: 0, count: length)
                var imaginary = real
                let source = line / inner * from * inner + line % inner
                for index in 0..<Swift.min(from, length) {
                    let place = (source + index * inner) * parts
                    real[index] = Double(x[place])
                    imaginary[index] = parts == 2 ? Double(x[place + 1]) : 0
                }
                if isHalf && isInverse { mirror(&real, &imaginary, known: from) }
                transform.run(&real, &imaginary, inverse: isInverse)
                let target = line / inner * to * inner + line % inner
                for index in 0..<to {
                    let place = (target + index * inner) * outParts
                    y[place] = Float(real[index])
                    if outParts == 2 { y[place + 1] = Float(imaginary[index]) }
                }
            }
        }
    }

    /// Fills the second half of a real signal's spectrum: the conjugate of the first.
    private static func mirror(
        _ real: inout [Double], _ imaginary: inout [Double], known: Int
    ) {
        let length = real.count
        for index in Swift.max(length / 2 + 1, 1)..<Swift.max(length, length / 2 + 1) {
            real[index] = real[length - index]
            imaginary[index] = -imaginary[length - index]
        }
    }

    private static func statedLength(_ node: Lowering, _ index: Int) throws -> Int? {
        guard let given = node.optional(index) else { return nil }
        guard let known = given.integers?.first else {
            throw node.failure("the length must be known before the run")
        }
        return known
    }

    private static func fourier(_ node: Lowering, _ length: Int) throws -> FourierTransform {
        guard length >= 1, length <= FourierTransform.lengthMax else {
            throw node.failure("a transform of \(length) values", .limitExceeded)
        }
        return FourierTransform(length: length)
    }

    private static func transformAxis(_ node: Lowering, rank: Int) throws -> Int {
        if node.attributes["axis"] != nil {
            return try node.axis(node.int("axis"), rank: rank)
        }
        guard let given = node.optional(2) else { return rank - 2 }
        guard let raw = given.integers?.first else {
            throw node.failure("the axis must be known before the run")
        }
        return try node.axis(raw, rank: rank)
    }

    static let stft = float32(.stft) { node in
        let (signal, output) = (try node.input(0), try node.output())
        try node.expectFloat32(signal)
        let window = node.optional(2)
        guard let step = try node.input(1).integers?.first else {
            throw node.failure("the step must be known before the run")
        }
        let length = try statedLength(node, 3) ?? window?.count ?? signal.shape[1]
        let (total, parts) = (signal.shape[1], signal.shape[2])
        let (frames, bins) = (output.shape[1], output.shape[2])
        let transform = try fourier(node, length)
        guard window.map({ $0.count == length }) ?? true, parts == 1 || parts == 2, step > 0,
            (frames - 1) * step + length <= total
        else { throw node.failure("a window of \(length) every \(step)", .invalidInput) }
        try node.compute { run throws(StepFault) in
            let (x, y) = (run.floats(signal), run.floats(output))
            let window = window.map { run.floats($0) }
            let count = signal.shape[0] * frames
            KernelPool.parallel(parts: count, maximumThreads: Int(run.threads)) { frame in
                var real = [Double](repeating: 0, count: length)
                var imaginary = real
                let start = frame / frames * total + frame % frames * step
                for index in 0..<length {
                    let place = (start + index) * parts
                    let share = Double(window?[index] ?? 1)
                    real[index] = Double(x[place]) * share
                    imaginary[index] = parts == 2 ? Double(x[place + 1]) * share : 0
                }
                transform.run(&real, &imaginary, inverse: false)
                for index in 0..<bins {
                    y[2 * (frame * bins + index)] = Float(real[index])
                    y[2 * (frame * bins + index) + 1] = Float(imaginary[index])
                }
            }
        }
    }

    static let hannWindow = window(.hannWindow, [0.5, -0.5])
    static let hammingWindow = window(.hammingWindow, [25.0 / 46, -21.0 / 46])
    static let blackmanWindow = window(.blackmanWindow, [0.42, -0.5, 0.08])

    /// A sum of cosines: coefficient k times cos(k · angle).
    private static func window(
        _ schema: OperatorSchema, _ coefficients: [Double]
    ) -> NativeOperator {
        NativeOperator(schema) { node in
            let output = try node.output()
            let size = output.count
            try node.expectTable(of: size)
            let period = node.int("periodic", default: 1) != 0 ? size : size - 1
            let values = (0..<size).map { index -> Float in
                let angle = 2 * Double.pi * Double(index) / Double(Swift.max(period, 1))
                return coefficients.enumerated().reduce(Float(0)) { sum, entry in
                    sum + Float(entry.element * Glibc.cos(Double(entry.offset) * angle))
                }
            }
            try emitConverted(
                node, node.constantOperand(Tensor(values, shape: output.shape)), output)
        }
    }

    /// Triangles over the bins of a spectrum, evenly spaced on the mel scale.
    static let melWeightMatrix = NativeOperator(.melWeightMatrix) { node in
        let parameters = try (0..<5).map { try node.floats($0) }
        guard parameters.allSatisfy({ $0.count == 1 }) else {
            throw node.failure("needs scalars", .invalidInput)
        }
        let output = try node.output()
        let (rows, bins) = (output.shape[0], output.shape[1])
        try node.produce { target in
            try node.compute { run throws(StepFault) in
                let y = run.floats(target)
                y.fill(0)
                let numbers = parameters.map { Double(run.floats($0)[0]) }
                let (length, rate) = (numbers[1], numbers[2])
                let low = 2595 * log10(1 + numbers[3] / 700)
                let high = 2595 * log10(1 + numbers[4] / 700)
                let step = (high - low) / Double(bins + 2)
                func edge(_ index: Int) throws(StepFault) -> Int {
                    let hertz = 700 * (Glibc.pow(10, (low + Double(index) * step) / 2595) - 1)
                    let bin = ((length + 1) * hertz / rate).rounded(.down)
                    guard bin >= 0, bin < Double(rows) else { throw .invalidValue }
                    return Int(bin)
                }
                for bin in 0..<bins {
                    let (left, middle, right) = (
                        try edge(bin), try edge(bin + 1), try edge(bin + 2)
                    )
                    if left == middle { y[middle * bins + bin] = 1 }
                    for row in left..<Swift.max(middle + 1, left) where left < middle {
                        y[row * bins + bin] = Float(row - left) / Float(middle - left)
                    }
                    for row in middle..<Swift.max(right, middle) {
                        y[row * bins + bin] = Float(right - row) / Float(right - middle)
                    }
                }
            }
        }
    }
}
