// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletGraph
internal import MartletTensor
internal import Synchronization

// Operators that draw: each plan's node has a generator of its own, from `seed` where the model
// gives one. Other runtimes draw other numbers from the same seed.
extension NativeOperator {
    static let randomNormal = drawn(.randomNormal) { node in normal(node) }
    static let randomNormalLike = drawn(.randomNormalLike) { node in normal(node) }
    static let randomUniform = drawn(.randomUniform) { node in uniform(node) }
    static let randomUniformLike = drawn(.randomUniformLike) { node in uniform(node) }

    /// 1 with each element's probability.
    static let bernoulli = NativeOperator(.bernoulli) { node in
        let input = try node.floats(0)
        let source = RandomSource(node)
        try node.produce { output in
            try node.compute { run throws(StepFault) in
                let (x, y) = (run.floats(input), run.floats(output))
                source.draw { generator in
                    for index in 0..<x.count {
                        y[index] =
                            Double.random(in: 0..<1, using: &generator) < Double(x[index]) ? 1 : 0
                    }
                }
            }
        }
    }

    /// Inputs: unnormalised log probabilities[B, classes]. `sample_size`.
    static let multinomial = NativeOperator(.multinomial) { node in
        let input = try node.floats(0)
        let output = try node.output()
        guard input.shape.rank == 2, input.shape[1] > 0 else {
            throw node.failure("needs [batch, classes]", .invalidInput)
        }
        let (classes, samples) = (input.shape[1], output.shape[1])
        let source = RandomSource(node)
        try node.produce(as: .int64) { target in
            try node.compute { run throws(StepFault) in
                let x = run.floats(input)
                let y = run.values(target, as: Int64.self)
                source.draw { generator in
                    for row in 0..<input.shape[0] {
                        let line = (0..<classes).map { Double(x[row * classes + $0]) }
                        let largest = line.max() ?? 0
                        let shares = line.map { Glibc.exp($0 - largest) }
                        let sum = shares.reduce(0, +)
                        for sample in 0..<samples {
                            var rest = Double.random(in: 0..<1, using: &generator) * sum
                            var choice = 0
                            while choice < classes - 1, rest >= shares[choice] {
                                rest -= shares[choice]
                                choice += 1
                            }
                            y[row * samples + sample] = Int64(choice)
                        }
                    }
                }
            }
        }
    }

    private static func drawn(
        _ schema: OperatorSchema,
        _ distribution: @escaping @Sendable (Lowering) -> @Sendable (inout SeededRandom) -> Double
    ) -> NativeOperator {
        NativeOperator(schema) { node in
            let next = distribution(node)
            let source = RandomSource(node)
            try node.produce { output in
                try node.compute { run throws(StepFault) in
                    let y = run.floats(output)
                    source.draw { generator in
                        for index in 0..<y.count { y[index] = Float(next(&generator)) }
                    }
                }
            }
        }
    }

    private static func uniform(_ node: Lowering) -> @Sendable (inout SeededRandom) -> Double {
        let low = Double(node.float("low"))
        let high = Double(node.float("high", default: 1))
        return { low + (high - low) * Double.random(in: 0..<1, using: &$0) }
    }

    /// By Box and Muller's method.
    private static func normal(_ node: Lowering) -> @Sendable (inout SeededRandom) -> Double {
        let mean = Double(node.float("mean"))
        let deviation = Double(node.float("scale", default: 1))
        return { generator in
            let radius = Glibc.sqrt(-2 * Glibc.log(1 - Double.random(in: 0..<1, using: &generator)))
            let angle = 2 * Double.pi * Double.random(in: 0..<1, using: &generator)
            return mean + deviation * radius * Glibc.cos(angle)
        }
    }
}

/// A generator that runs of one plan share.
private final class RandomSource: Sendable {
    private let generator: Mutex<SeededRandom>

    init(_ node: Lowering) {
        let seed =
            node.attributes["seed"]?.float.map { UInt64($0.bitPattern) }
            ?? UInt64.random(in: .min ... .max)
        generator = Mutex(SeededRandom(seed: seed))
    }

    func draw(_ body: (inout SeededRandom) -> Void) {
        generator.withLock { body(&$0) }
    }
}
