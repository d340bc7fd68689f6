// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// A[…, M, K] · B[…, K, N] = [broadcast …, M, N]; one-dimensional inputs as numpy has them.
    public static let matMul = OperatorSchema("MatMul") { context throws(GraphError) in
        let left = try context.type(0)
        let right = try context.type(1)
        guard let first = left.dimensions, let second = right.dimensions else {
            return try context.setOutput(0, left.elementType ?? right.elementType, nil)
        }
        let result = try context.product(ofMatrices: first, second)
        try context.setOutput(0, left.elementType ?? right.elementType, result)
    }

    /// Y = alpha · A' · B' + beta · C; `transA`, `transB`, `alpha` (1), `beta` (1).
    public static let gemm = OperatorSchema("Gemm") { context throws(GraphError) in
        let left = try context.type(0)
        let right = try context.type(1)
        guard let first = left.dimensions, let second = right.dimensions else {
            return try context.setOutput(0, left.elementType ?? right.elementType, nil)
        }
        guard first.count == 2, second.count == 2 else {
            throw context.failure(
                "needs matrices, got \(context.describe(first)) and \(context.describe(second))")
        }
        let isLeftTransposed = context.int("transA") != 0
        let isRightTransposed = context.int("transB") != 0
        let rows = first[isLeftTransposed ? 1 : 0]
        let columns = second[isRightTransposed ? 0 : 1]
        try context.expectEqual(
            first[isLeftTransposed ? 0 : 1], second[isRightTransposed ? 1 : 0], "inner dimensions")
        if context.has(2), let bias = try context.dimensions(2) {
            let broadcast = try context.broadcast([rows, columns], bias)
            if broadcast.count > 2 { throw context.failure("C has \(bias.count) dimensions") }
        }
        try context.setOutput(0, left.elementType ?? right.elementType, [rows, columns])
    }

    /// activation(A[…, K] · B[K, N] + bias[N] + residual[…, N]).
    ///
    /// Inputs: A, B (a constant matrix), bias?, residual? (of the output's shape). Attributes:
    /// `transB` 1 when B is stored [N, K]; the activation as `FusedActivation` documents it.
    public static let fusedMatMul = OperatorSchema(
        "FusedMatMul", domain: "martlet"
    ) { context throws(GraphError) in
        let left = try context.type(0)
        guard let weights = try context.dimensions(1), weights.count == 2 else {
            throw context.failure("the second input must be a matrix")
        }
        let isTransposed = context.int("transB") != 0
        let columns = weights[isTransposed ? 0 : 1]
        if context.has(2), let bias = try context.length(2) {
            try context.expectEqual(Dimension(bias), columns, "bias and columns")
        }
        guard var result = left.dimensions else {
            return try context.setOutput(0, left.elementType, nil)
        }
        guard let inner = result.popLast() else { throw context.failure("A is a scalar") }
        try context.expectEqual(inner, weights[isTransposed ? 1 : 0], "inner dimensions")
        result.append(columns)
        if context.has(3), let residual = try context.dimensions(3) {
            guard residual.count == result.count else {
                throw context.failure("residual of shape \(context.describe(residual))")
            }
            for (own, other) in zip(result, residual) {
                try context.expectEqual(own, other, "residual and output")
            }
        }
        try context.setOutput(0, left.elementType, result)
    }
}

extension ShapeContext {
    /// The shape of numpy's `matmul` of two shapes.
    func product(
        ofMatrices first: [Dimension], _ second: [Dimension]
    ) throws(GraphError) -> [Dimension] {
        guard !first.isEmpty, !second.isEmpty else { throw failure("an input is a scalar") }
        let inner = second.count == 1 ? second[0] : second[second.count - 2]
        try expectEqual(first[first.count - 1], inner, "inner dimensions")
        var result = try broadcast(Array(first.dropLast(2)), Array(second.dropLast(2)))
        if first.count > 1 { result.append(first[first.count - 2]) }
        if second.count > 1 { result.append(second[second.count - 1]) }
        return result
    }
}

/// The activation that a fused operator applies last, as its attributes say.
///
/// `activation`: "" or absent (none), "Relu", "Clip" (`activationMin`, `activationMax`),
/// "LeakyRelu" (`activationAlpha`), "Gelu" (erf), "GeluTanh", "Silu", "Sigmoid", "Tanh",
/// "HardSwish", "HardSigmoid" (`activationAlpha`, `activationBeta`).
public enum FusedActivation: Hashable, Sendable {
    case none, relu, gelu, geluTanh, silu, sigmoid, tanh, hardSwish
    case clip(minimum: Float, maximum: Float)
    case leakyRelu(slope: Float)
    case hardSigmoid(alpha: Float, beta: Float)

    /// - Throws: `GraphError` for an unknown name.
    public init(attributes: [String: AttributeValue]) throws(GraphError) {
        let name = attributes["activation"]?.string ?? ""
        switch name {
        case "": self = .none
        case "Relu": self = .relu
        case "Gelu": self = .gelu
        case "GeluTanh": self = .geluTanh
        case "Silu": self = .silu
        case "Sigmoid": self = .sigmoid
        case "Tanh": self = .tanh
        case "HardSwish": self = .hardSwish
        case "Clip":
            self = .clip(
                minimum: attributes["activationMin"]?.float ?? -.greatestFiniteMagnitude,
                maximum: attributes["activationMax"]?.float ?? .greatestFiniteMagnitude)
        case "LeakyRelu": self = .leakyRelu(slope: attributes["activationAlpha"]?.float ?? 0.01)
        case "HardSigmoid":
            self = .hardSigmoid(
                alpha: attributes["activationAlpha"]?.float ?? 0.2,
                beta: attributes["activationBeta"]?.float ?? 0.5)
        default: throw GraphError(.unsupported, "unknown fused activation '\(name)'")
        }
    }

    public var attributes: [String: AttributeValue] {
        switch self {
        case .none: [:]
        case .relu: ["activation": .string("Relu")]
        case .gelu: ["activation": .string("Gelu")]
        case .geluTanh: ["activation": .string("GeluTanh")]
        case .silu: ["activation": .string("Silu")]
        case .sigmoid: ["activation": .string("Sigmoid")]
        case .tanh: ["activation": .string("Tanh")]
        case .hardSwish: ["activation": .string("HardSwish")]
        case .clip(let minimum, let maximum):
            [
                "activation": .string("Clip"), "activationMin": .float(minimum),
                "activationMax": .float(maximum),
            ]
        case .leakyRelu(let slope):
            ["activation": .string("LeakyRelu"), "activationAlpha": .float(slope)]
        case .hardSigmoid(let alpha, let beta):
            [
                "activation": .string("HardSigmoid"), "activationAlpha": .float(alpha),
                "activationBeta": .float(beta),
            ]
        }
    }
}
