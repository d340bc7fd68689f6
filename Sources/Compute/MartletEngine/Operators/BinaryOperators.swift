// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let add = binary(.add, MARTLET_ADD)
    static let sub = binary(.sub, MARTLET_SUB)
    static let mul = binary(.mul, MARTLET_MUL)
    static let div = binary(.div, MARTLET_DIV)
    static let pRelu = binary(.pRelu, MARTLET_PRELU)
    static let equal = binary(.equal, MARTLET_EQUAL)
    static let less = binary(.less, MARTLET_LESS)
    static let lessOrEqual = binary(.lessOrEqual, MARTLET_LESS_EQUAL)
    static let greater = binary(.greater, MARTLET_GREATER)
    static let greaterOrEqual = binary(.greaterOrEqual, MARTLET_GREATER_EQUAL)
    static let and = binary(.and, MARTLET_AND)
    static let or = binary(.or, MARTLET_OR)
    static let xor = NativeOperator(.xor) { node in
        try emitBinary(node, MARTLET_XOR, node.input(0), node.input(1), node.output())
    }
    static let bitwiseAnd = binary(.bitwiseAnd, MARTLET_BIT_AND)
    static let bitwiseOr = binary(.bitwiseOr, MARTLET_BIT_OR)
    static let bitwiseXor = binary(.bitwiseXor, MARTLET_BIT_XOR)

    static let bitShift = NativeOperator(.bitShift) { node in
        let operation =
            node.string("direction") == "LEFT" ? MARTLET_SHIFT_LEFT : MARTLET_SHIFT_RIGHT
        try emitBinary(node, operation, node.input(0), node.input(1), node.output())
    }

    static let mod = NativeOperator(.mod) { node in
        let operation = node.int("fmod") != 0 ? MARTLET_FMOD : MARTLET_MOD
        try emitBinary(node, operation, node.input(0), node.input(1), node.output())
    }

    /// The exponent may have another type than the base.
    static let pow = NativeOperator(.pow) { node in
        let base = try node.input(0)
        let exponent = try node.cast(node.input(1), to: base.elementType)
        try emitBinary(node, MARTLET_POW, base, exponent, node.output())
    }

    static let max = variadic(.max, MARTLET_MAX)
    static let min = variadic(.min, MARTLET_MIN)
    static let sum = variadic(.sum, MARTLET_ADD)

    static let mean = NativeOperator(.mean) { node in
        try lowerVariadic(node, MARTLET_ADD)
        let output = try node.output()
        let count = try node.filled(Double(node.inputs.count), elementType: output.elementType)
        try emitBinary(node, MARTLET_DIV, output, count, output)
    }

    private static func binary(
        _ schema: OperatorSchema, _ operation: martlet_binary
    ) -> NativeOperator {
        NativeOperator(schema) { node in
            let left = try node.input(0)
            node.mayReuse(input: 0)
            node.mayReuse(input: 1)
            try emitBinary(node, operation, left, node.input(1), node.output())
        }
    }

    private static func variadic(
        _ schema: OperatorSchema, _ operation: martlet_binary
    ) -> NativeOperator {
        NativeOperator(schema) { node in try lowerVariadic(node, operation) }
    }

    private static func lowerVariadic(_ node: Lowering, _ operation: martlet_binary) throws {
        guard node.inputs.count > 1 else {
            return try emitExpand(node, node.input(), node.output())
        }
        if node.inputs.count == 2 {
            node.mayReuse(input: 0)
            node.mayReuse(input: 1)
        }
        let output = try node.output()
        try emitBinary(node, operation, node.input(0), node.input(1), output)
        for index in 2..<Swift.max(node.inputs.count, 2) {
            try emitBinary(node, operation, output, node.input(index), output)
        }
    }
}

struct BinaryArguments: BitwiseCopyable {
    var type: martlet_dtype
    var operation: martlet_binary
    var left: Slot
    var right: Slot
    var output: Slot
    var shape: Extents
    var leftStrides: Extents
    var rightStrides: Extents
}

/// Emits `output = left op right` with broadcasting.
func emitBinary(
    _ node: Lowering, _ operation: martlet_binary, _ left: Operand, _ right: Operand,
    _ output: Operand
) throws {
    guard left.elementType == right.elementType else {
        throw node.failure(
            "element types \(left.elementType.displayName) and "
                + "\(right.elementType.displayName) differ")
    }
    try node.expectBroadcast([left, right], to: output.shape)
    let loops = BroadcastLoops(output: output.shape, operands: [left.shape, right.shape])
    try unsafe node.emit(
        binaryStep,
        BinaryArguments(
            type: node.dtype(left), operation: operation, left: left.slot, right: right.slot,
            output: output.slot, shape: Extents(loops.shape),
            leftStrides: Extents(loops.strides[0]), rightStrides: Extents(loops.strides[1])))
}

func binaryStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: BinaryArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe arguments.shape.withPointer { shape in
        unsafe arguments.leftStrides.withPointer { leftStrides in
            unsafe arguments.rightStrides.withPointer { rightStrides in
                unsafe martlet_binary_any(
                    arguments.type, arguments.operation, frame[arguments.left],
                    frame[arguments.right], frame[arguments.output], arguments.shape.count, shape,
                    leftStrides, rightStrides, frame.threads)
            }
        }
    }
}
