// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let abs = unary(.abs, MARTLET_ABS)
    static let neg = unary(.neg, MARTLET_NEG)
    static let floor = unary(.floor, MARTLET_FLOOR)
    static let ceil = unary(.ceil, MARTLET_CEIL)
    static let round = unary(.round, MARTLET_ROUND)
    static let sqrt = unary(.sqrt, MARTLET_SQRT)
    static let reciprocal = unary(.reciprocal, MARTLET_RECIPROCAL)
    static let sign = unary(.sign, MARTLET_SIGN)
    static let exp = unary(.exp, MARTLET_EXP)
    static let log = unary(.log, MARTLET_LOG)
    static let sin = unary(.sin, MARTLET_SIN)
    static let cos = unary(.cos, MARTLET_COS)
    static let tan = unary(.tan, MARTLET_TAN)
    static let asin = unary(.asin, MARTLET_ASIN)
    static let acos = unary(.acos, MARTLET_ACOS)
    static let atan = unary(.atan, MARTLET_ATAN)
    static let sinh = unary(.sinh, MARTLET_SINH)
    static let cosh = unary(.cosh, MARTLET_COSH)
    static let asinh = unary(.asinh, MARTLET_ASINH)
    static let acosh = unary(.acosh, MARTLET_ACOSH)
    static let atanh = unary(.atanh, MARTLET_ATANH)
    static let tanh = unary(.tanh, MARTLET_TANH)
    static let sigmoid = unary(.sigmoid, MARTLET_SIGMOID)
    static let relu = unary(.relu, MARTLET_RELU)
    static let erf = unary(.erf, MARTLET_ERF)
    static let softplus = unary(.softplus, MARTLET_SOFTPLUS)
    static let softsign = unary(.softsign, MARTLET_SOFTSIGN)
    static let mish = unary(.mish, MARTLET_MISH)
    static let hardSwish = unary(.hardSwish, MARTLET_HARD_SWISH)
    static let not = unary(.not, MARTLET_NOT)
    static let bitwiseNot = unary(.bitwiseNot, MARTLET_BIT_NOT)
    static let isNaN = unary(.isNaN, MARTLET_IS_NAN)

    static let leakyRelu = unary(.leakyRelu, MARTLET_LEAKY_RELU) {
        (Double($0.float("alpha", default: 0.01)), 0)
    }
    static let elu = unary(.elu, MARTLET_ELU) { (Double($0.float("alpha", default: 1)), 0) }
    static let celu = unary(.celu, MARTLET_CELU) { (Double($0.float("alpha", default: 1)), 0) }
    static let selu = unary(.selu, MARTLET_SELU) {
        (
            Double($0.float("alpha", default: 1.673_263_2)),
            Double($0.float("gamma", default: 1.050_701))
        )
    }
    static let thresholdedRelu = unary(.thresholdedRelu, MARTLET_THRESHOLDED_RELU) {
        (Double($0.float("alpha", default: 1)), 0)
    }
    static let hardSigmoid = unary(.hardSigmoid, MARTLET_HARD_SIGMOID) {
        (Double($0.float("alpha", default: 0.2)), Double($0.float("beta", default: 0.5)))
    }
    static let isInf = unary(.isInf, MARTLET_IS_INF) {
        (
            Double($0.int("detect_positive", default: 1)),
            Double($0.int("detect_negative", default: 1))
        )
    }

    static let gelu = NativeOperator(.gelu) { node in
        let isTanh = node.string("approximate", default: "none") == "tanh"
        node.mayReuse(input: 0)
        try emitUnary(
            node, isTanh ? MARTLET_GELU_TANH : MARTLET_GELU_ERF, node.input(), node.output())
    }

    /// `x · sigmoid(alpha · x)`.
    static let swish = NativeOperator(.swish) { node in
        let input = try node.input()
        let alpha = node.float("alpha", default: 1)
        if alpha == 1 {
            node.mayReuse(input: 0)
            return try emitUnary(node, MARTLET_SILU, input, node.output())
        }
        let output = try node.output()
        let factor = try node.filled(Double(alpha), elementType: input.elementType)
        try emitBinary(node, MARTLET_MUL, input, factor, output)
        try emitUnary(node, MARTLET_SIGMOID, output, output)
        try emitBinary(node, MARTLET_MUL, output, input, output)
    }

    /// Limits are attributes up to opset 6 and inputs from opset 11 on.
    static let clip = NativeOperator(.clip) { node in
        let input = try node.input()
        let output = try node.output()
        node.mayReuse(input: 0)
        if input.elementType == .float32, let (low, high) = knownLimits(node) {
            return try emitUnary(
                node, MARTLET_CLIP, input, output, alpha: low, beta: high)
        }
        var current = input
        for (index, name, operation) in [(1, "min", MARTLET_MAX), (2, "max", MARTLET_MIN)] {
            let limit: Operand
            if let given = node.optional(index) {
                limit = given
            } else if let value = node.attributes[name]?.float {
                limit = try node.filled(Double(value), elementType: input.elementType)
            } else {
                continue
            }
            try emitBinary(node, operation, current, limit, output)
            current = output
        }
        if current.slot == input.slot { try node.alias() }
    }

    /// Both limits of a clip, where they are known before the run.
    private static func knownLimits(_ node: Lowering) -> (Double, Double)? {
        var limits = [-Double.infinity, Double.infinity]
        for (index, name) in [(1, "min"), (2, "max")] {
            if let operand = node.optional(index) {
                guard let value = operand.reals?.first else { return nil }
                limits[index - 1] = value
            } else if let value = node.attributes[name]?.float {
                limits[index - 1] = Double(value)
            }
        }
        return (limits[0], limits[1])
    }

    private static func unary(
        _ schema: OperatorSchema, _ operation: martlet_unary,
        parameters: @escaping @Sendable (Lowering) -> (Double, Double) = { _ in (0, 0) }
    ) -> NativeOperator {
        NativeOperator(schema) { node in
            node.mayReuse(input: 0)
            let (alpha, beta) = parameters(node)
            try emitUnary(
                node, operation, node.input(), node.output(), alpha: alpha, beta: beta)
        }
    }
}

struct UnaryArguments: BitwiseCopyable {
    var type: martlet_dtype
    var operation: martlet_unary
    var input: Slot
    var output: Slot
    var count: Int
    var alpha: Double
    var beta: Double
}

/// Emits `output = op(input)`.
func emitUnary(
    _ node: Lowering, _ operation: martlet_unary, _ input: Operand, _ output: Operand,
    alpha: Double = 0, beta: Double = 0
) throws {
    try unsafe node.emit(
        input.elementType == .float32 ? unaryFloatStep : unaryStep,
        UnaryArguments(
            type: node.dtype(input), operation: operation, input: input.slot, output: output.slot,
            count: input.count, alpha: alpha, beta: beta))
}

func unaryFloatStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: UnaryArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_unary_f32(
        arguments.operation, frame.floats(arguments.input), frame[arguments.output],
        Int64(arguments.count), Float(arguments.alpha), Float(arguments.beta), frame.threads)
    return StepStatus.done
}

func unaryStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: UnaryArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe martlet_unary_any(
        arguments.type, arguments.operation, frame[arguments.input], frame[arguments.output],
        Int64(arguments.count), arguments.alpha, arguments.beta, frame.threads)
}
