// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletTensor

// Elementwise operators of two or more inputs: the output has the shape they broadcast to.
extension OperatorSchema {
    public static let add = arithmetic(
        "Add", HostFunction(onIntegers: { $0.adding($1) }, onReals: { $0 + $1 }))
    public static let sub = arithmetic(
        "Sub", HostFunction(onIntegers: { $0.subtracting($1) }, onReals: { $0 - $1 }))
    public static let mul = arithmetic(
        "Mul", HostFunction(onIntegers: { $0.multiplied(by: $1) }, onReals: { $0 * $1 }))
    public static let div = arithmetic(
        "Div", HostFunction(onIntegers: divided, onReals: { $0 / $1 }))
    public static let pow = OperatorSchema("Pow") { context throws(GraphError) in
        let dimensions = try context.broadcast([context.dimensions(0), context.dimensions(1)])
        try context.setOutput(0, context.type(0).elementType, dimensions)
    }
    /// ONNX's Mod: the divisor's sign for whole numbers, the dividend's with `fmod` = 1.
    public static let mod = OperatorSchema("Mod") { context throws(GraphError) in
        let usesDividendSign = context.int("fmod") != 0
        try inferBinary(
            &context,
            .known({ left, right in
                guard right != 0, right != -1 else { return right == -1 ? 0 : nil }
                let rest = left % right
                if usesDividendSign || rest == 0 || (rest < 0) == (right < 0) { return rest }
                return rest + right
            }))
    }

    public static let max = variadic(
        "Max", .known({ Swift.max($0, $1) }, reals: { Swift.max($0, $1) }))
    public static let min = variadic(
        "Min", .known({ Swift.min($0, $1) }, reals: { Swift.min($0, $1) }))
    public static let sum = variadic("Sum", HostFunction(onIntegers: { $0.adding($1) }))
    public static let mean = variadic("Mean", HostFunction(onIntegers: { _, _ in nil }))

    public static let equal = comparison(
        "Equal", HostFunction(onIntegers: areEqual, onRealsToBool: { $0 == $1 }))
    public static let greater = comparison("Greater", .comparison({ $0 > $1 }, reals: { $0 > $1 }))
    public static let greaterOrEqual = comparison(
        "GreaterOrEqual", .comparison({ $0 >= $1 }, reals: { $0 >= $1 }))
    public static let less = comparison("Less", .comparison({ $0 < $1 }, reals: { $0 < $1 }))
    public static let lessOrEqual = comparison(
        "LessOrEqual", .comparison({ $0 <= $1 }, reals: { $0 <= $1 }))
    public static let and = comparison("And", .known({ $0 & $1 }))
    public static let or = comparison("Or", .known({ $0 | $1 }))
    public static let xor = comparison("Xor", .known({ $0 ^ $1 }))

    public static let bitShift = arithmetic("BitShift", .known({ _, _ in nil }))
    public static let bitwiseAnd = arithmetic("BitwiseAnd", .known({ $0 & $1 }))
    public static let bitwiseOr = arithmetic("BitwiseOr", .known({ $0 | $1 }))
    public static let bitwiseXor = arithmetic("BitwiseXor", .known({ $0 ^ $1 }))

    /// Leaky slope by channel; the slope broadcasts to the data and not the other way.
    public static let pRelu = OperatorSchema("PRelu") { context throws(GraphError) in
        let data = try context.type(0)
        _ = try context.broadcast([data.dimensions, context.dimensions(1)])
        try context.setOutput(0, data.elementType, data.dimensions)
    }

    static func arithmetic(_ name: String, _ function: HostFunction) -> OperatorSchema {
        OperatorSchema(name) { context throws(GraphError) in try inferBinary(&context, function) }
    }

    static func comparison(_ name: String, _ function: HostFunction) -> OperatorSchema {
        OperatorSchema(name) { context throws(GraphError) in
            try inferBinary(&context, function, outputType: .bool)
        }
    }

    static func variadic(_ name: String, _ function: HostFunction) -> OperatorSchema {
        OperatorSchema(name) { context throws(GraphError) in
            if context.inputs.count == 2 { return try inferBinary(&context, function) }
            var shapes: [[Dimension]?] = []
            for index in context.inputs.indices { shapes.append(try context.dimensions(index)) }
            try context.setOutput(0, context.type(0).elementType, context.broadcast(shapes))
        }
    }

    private static func inferBinary(
        _ context: inout ShapeContext, _ function: HostFunction, outputType: ElementType? = nil
    ) throws(GraphError) {
        let left = try context.type(0)
        let right = try context.type(1)
        if let first = left.elementType, let second = right.elementType, first != second {
            throw context.failure("element types \(first) and \(second) differ")
        }
        let dimensions = try context.broadcast([left.dimensions, right.dimensions])
        let elementType = outputType ?? left.elementType ?? right.elementType
        try context.setOutput(0, elementType, dimensions)
        guard let elementType, context.isKnown(0), context.isKnown(1),
            let shape = ValueType(dimensions: dimensions).fixedShape,
            let first = context.value(0), let second = context.value(1),
            let folded = context.fold(
                function, first, second, elementType: elementType, shape: shape)
        else { return }
        try context.setValue(0, folded)
    }

    /// Whole-number division rounds towards zero; a symbol's multiple divides when it comes out
    /// even.
    @Sendable private static func divided(_ left: Dimension, _ right: Dimension) -> Dimension? {
        guard let divisor = right.fixed, divisor != 0 else { return nil }
        guard let dividend = left.fixed else {
            return divisor > 0 && left.constant % divisor == 0
                ? left.dividedRoundingDown(by: divisor) : nil
        }
        let (quotient, overflow) = dividend.dividedReportingOverflow(by: divisor)
        return overflow ? nil : Dimension(quotient)
    }

    /// Sizes are never negative, so a lone symbol differs from every negative number.
    @Sendable private static func areEqual(_ left: Dimension, _ right: Dimension) -> Dimension? {
        if left == right { return 1 }
        if left.fixed != nil && right.fixed != nil { return 0 }
        if left.symbol != nil, let number = right.fixed, number < 0 { return 0 }
        if right.symbol != nil, let number = left.fixed, number < 0 { return 0 }
        return nil
    }
}
