// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let quantizedBinary = NativeOperator(.quantizedBinary) { node in
        let left = try node.input(0)
        let right = try node.input(3)
        let output = try node.output()
        guard left.shape == output.shape, right.shape == output.shape, left.elementType.isByte,
            right.elementType.isByte, output.elementType.isByte,
            (1...7).allSatisfy({ $0 == 3 || node.optional($0)?.constant != nil })
        else { return try emitWide(node, left, right, output) }
        func number(_ index: Int) throws -> Float {
            guard let operand = node.optional(index), let number = operand.reals?.first,
                operand.count == 1
            else { throw node.failure("input \(index) must be a constant number") }
            return Float(number)
        }
        func zero(_ index: Int, _ type: ElementType) throws -> Int32 {
            guard let operand = node.optional(index) else { return 0 }
            guard operand.elementType == type, let zero = try operand.bytes(node).first else {
                throw node.failure("input \(index) must be a constant number")
            }
            return zero
        }
        try unsafe node.emit(
            quantizedBinaryStep,
            QuantizedBinaryArguments(
                left: left.slot, right: right.slot, output: output.slot,
                form: martlet_binary_int8_args(
                    a: nil, b: nil, a_is_signed: left.elementType == .int8 ? 1 : 0,
                    b_is_signed: right.elementType == .int8 ? 1 : 0,
                    a_zero: zero(2, left.elementType), b_zero: zero(5, right.elementType),
                    a_scale: number(1), b_scale: number(4), y: nil,
                    y_is_signed: output.elementType == .int8 ? 1 : 0, y_scale: number(6),
                    y_zero: Float(zero(7, output.elementType)),
                    multiplies: node.string("operation") == "Mul" ? 1 : 0,
                    n: Int64(output.count))))
    }

    /// Tensors of several shapes, in floats.
    private static func emitWide(
        _ node: Lowering, _ left: Operand, _ right: Operand, _ output: Operand
    ) throws {
        func wide(_ operand: Operand, at index: Int) throws -> Operand {
            let value = try node.cast(operand, to: .float32)
            let result = try node.temporary(.float32, operand.shape)
            if let zero = try node.optionalFloats(index + 2) {
                try emitBinary(node, MARTLET_SUB, value, zero.viewed(as: []), result)
                try emitBinary(
                    node, MARTLET_MUL, result, node.floats(index + 1).viewed(as: []), result)
            } else {
                try emitBinary(
                    node, MARTLET_MUL, value, node.floats(index + 1).viewed(as: []), result)
            }
            return result
        }
        let sum = try node.temporary(.float32, output.shape)
        try emitBinary(
            node, node.string("operation") == "Mul" ? MARTLET_MUL : MARTLET_ADD,
            wide(left, at: 0), wide(right, at: 3), sum)
        try emitBinary(node, MARTLET_DIV, sum, node.floats(6).viewed(as: []), sum)
        try emitQuantized(
            node, sum, zero: node.optionalFloats(7)?.viewed(as: []), output)
    }
}

// Safe: the form's pointers stay nil here; the step fills in a copy's.
@safe struct QuantizedBinaryArguments: BitwiseCopyable {
    var left: Slot
    var right: Slot
    var output: Slot
    var form: martlet_binary_int8_args
}

func quantizedBinaryStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: QuantizedBinaryArguments.self)
    let frame = unsafe StepFrame(frame)
    var form = unsafe arguments.form
    unsafe form.a = UnsafeRawPointer(frame[arguments.left])
    unsafe form.b = UnsafeRawPointer(frame[arguments.right])
    unsafe form.y = frame[arguments.output]
    unsafe martlet_binary_int8(&form, frame.threads)
    return StepStatus.done
}
