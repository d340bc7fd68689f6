// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Elementwise operators of one input: the output has its shape.
extension OperatorSchema {
    public static let abs = elementwise(
        "Abs", integers: { $0.fixed.map { Dimension($0.magnitudeChecked) } })
    public static let neg = elementwise(
        "Neg", integers: { $0.multiplied(by: -1) }, reals: { -$0 })
    public static let floor = elementwise("Floor", reals: { $0.rounded(.down) })
    public static let ceil = elementwise("Ceil", reals: { $0.rounded(.up) })
    public static let round = elementwise("Round", reals: { $0.rounded(.toNearestOrEven) })
    public static let sqrt = elementwise("Sqrt", reals: { $0.squareRoot() })
    public static let reciprocal = elementwise("Reciprocal", reals: { 1 / $0 })
    public static let sign = elementwise("Sign")
    public static let exp = elementwise("Exp")
    public static let log = elementwise("Log")
    public static let sin = elementwise("Sin")
    public static let cos = elementwise("Cos")
    public static let tan = elementwise("Tan")
    public static let asin = elementwise("Asin")
    public static let acos = elementwise("Acos")
    public static let atan = elementwise("Atan")
    public static let sinh = elementwise("Sinh")
    public static let cosh = elementwise("Cosh")
    public static let asinh = elementwise("Asinh")
    public static let acosh = elementwise("Acosh")
    public static let atanh = elementwise("Atanh")
    public static let tanh = elementwise("Tanh")
    public static let erf = elementwise("Erf")
    public static let sigmoid = elementwise("Sigmoid")
    public static let relu = elementwise("Relu")
    /// `alpha`: slope below zero (0.01).
    public static let leakyRelu = elementwise("LeakyRelu")
    public static let elu = elementwise("Elu")
    public static let selu = elementwise("Selu")
    public static let celu = elementwise("Celu")
    public static let thresholdedRelu = elementwise("ThresholdedRelu")
    public static let softplus = elementwise("Softplus")
    public static let softsign = elementwise("Softsign")
    public static let mish = elementwise("Mish")
    public static let hardSigmoid = elementwise("HardSigmoid")
    public static let hardSwish = elementwise("HardSwish")
    public static let shrink = elementwise("Shrink")
    /// `x · sigmoid(alpha · x)`.
    public static let swish = elementwise("Swish")
    /// `approximate`: "none" (erf) or "tanh".
    public static let gelu = elementwise("Gelu")
    public static let bitwiseNot = elementwise("BitwiseNot")
    public static let identity = elementwise("Identity", integers: { $0 }, reals: { $0 })

    public static let not = elementwise(
        "Not", integers: { $0.fixed.map { $0 == 0 ? 1 : 0 } }, outputType: .bool)
    public static let isNaN = elementwise("IsNaN", outputType: .bool)
    public static let isInf = elementwise("IsInf", outputType: .bool)

    // Shaped as their first input, whatever the others say.
    /// Inputs: data, minimum?, maximum?.
    public static let clip = elementwise("Clip")
    /// `axis` (-1): the whole of one dimension sums to one.
    public static let softmax = elementwise("Softmax")
    public static let logSoftmax = elementwise("LogSoftmax")
    public static let hardmax = elementwise("Hardmax")
    /// Local response normalisation; `size`, `alpha`, `beta`, `bias`, `layout`.
    public static let lrn = elementwise("LRN")
    public static let lpNormalization = elementwise("LpNormalization")
    public static let meanVarianceNormalization = elementwise("MeanVarianceNormalization")
    /// Inputs: data, axis. `exclusive`, `reverse`.
    public static let cumProd = elementwise("CumProd")
    /// Inputs: data, axis. `exclusive`, `reverse`.
    public static let cumSum = elementwise("CumSum")
    /// Inputs: data, diagonal?. `upper` (1).
    public static let trilu = elementwise("Trilu")

    /// Inputs: data, ratio?, training mode?; at inference an identity. Output 1: the mask.
    public static let dropout = OperatorSchema("Dropout") { context throws(GraphError) in
        let data = try context.type(0)
        try context.setOutput(0, data.elementType, data.dimensions)
        try context.setOutput(1, .bool, data.dimensions)
    }

    /// `to`: the element type.
    public static let cast = OperatorSchema("Cast") { context throws(GraphError) in
        let data = try context.type(0)
        guard let raw = UInt8(exactly: context.int("to")), let type = ElementType(rawValue: raw)
        else {
            throw context.failure(
                "casts to the unknown type \(context.int("to"))", code: .unsupported)
        }
        try context.setOutput(0, type, data.dimensions)
        if context.isKnown(0), let value = context.value(0),
            let cast = value.cast(to: type, fresh: { context.freshDimension() })
        {
            try context.setValue(0, cast)
        }
    }

    /// `to`: an element type of the same width, whose meaning the bits take on.
    public static let bitCast = OperatorSchema("BitCast") { context throws(GraphError) in
        let data = try context.type(0)
        guard let raw = UInt8(exactly: context.int("to")), let type = ElementType(rawValue: raw),
            let width = type.bitWidth
        else {
            throw context.failure("the unknown type \(context.int("to"))", code: .unsupported)
        }
        if let from = data.elementType, from.bitWidth != width {
            throw context.failure("\(from) and \(type) differ in width")
        }
        try context.setOutput(0, type, data.dimensions)
    }

    /// Inputs: data, a tensor of the wanted type.
    public static let castLike = OperatorSchema("CastLike") { context throws(GraphError) in
        let data = try context.type(0)
        try context.setOutput(0, context.type(1).elementType, data.dimensions)
    }

    static func elementwise(
        _ name: String, domain: String = "",
        integers: (@Sendable (Dimension) -> Dimension?)? = nil,
        reals: (@Sendable (Double) -> Double)? = nil, outputType: ElementType? = nil
    ) -> OperatorSchema {
        OperatorSchema(name, domain: domain) { context throws(GraphError) in
            let data = try context.type(0)
            try context.setOutput(0, outputType ?? data.elementType, data.dimensions)
            if name == "Identity", data.container != .tensor {
                return try context.setOutput(type: data)
            }
            guard integers != nil || reals != nil, context.isKnown(0), var value = context.value(0)
            else { return }
            switch value.elements {
            case .integers(let numbers):
                guard let integers else { return }
                value.elements = .integers(
                    numbers.map { integers($0) ?? context.freshDimension() })
            case .reals(let numbers):
                guard let reals else { return }
                value.elements = .reals(numbers.map { value.rounded(reals($0)) })
            }
            value.elementType = outputType ?? value.elementType
            try context.setValue(0, value)
        }
    }
}

extension Int {
    /// The magnitude, held at `Int.max` for the one number that has none.
    fileprivate var magnitudeChecked: Int { self == .min ? .max : Swift.abs(self) }
}
