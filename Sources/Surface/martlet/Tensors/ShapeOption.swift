// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletTensor

/// Shapes that a person gives as "NAME=1x3x224x224".
enum ShapeOption {
    /// The dimensions by input name.
    /// - Throws: `CommandFailure` when a text is not of that form or names no input.
    static func dimensions(_ texts: [String], inputs: [TensorSpec]) throws -> [String: [Int]] {
        var given: [String: [Int]] = [:]
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1)
            let numbers = parts.last?.split(separator: "x").map { Int($0) } ?? []
            guard parts.count == 2, !numbers.isEmpty,
                numbers.allSatisfy({ ($0 ?? -1) >= 0 }),
                inputs.contains(where: { $0.name == parts[0] })
            else { throw CommandFailure("'\(text)' is not INPUT=1x2x3") }
            given[String(parts[0])] = numbers.compactMap { $0 }
        }
        return given
    }

    /// A shape for every input; varying dimensions that are not given are 1.
    static func read(_ texts: [String], inputs: [TensorSpec]) throws -> [Shape] {
        let given = try dimensions(texts, inputs: inputs)
        return try inputs.map { spec in
            let numbers = given[spec.name] ?? spec.dimensions.map { max($0, 1) }
            guard let shape = Shape(numbers) else {
                throw CommandFailure("'\(spec.name)' has more than \(Shape.rankMax) dimensions")
            }
            return shape
        }
    }
}
