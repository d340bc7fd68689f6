// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let cast = NativeOperator(.cast) { node in try lowerCast(node) }
    static let castLike = NativeOperator(.castLike) { node in try lowerCast(node) }

    /// The same bits as another type of the same width.
    static let bitCast = NativeOperator(.bitCast) { node in try node.alias() }

    private static func lowerCast(_ node: Lowering) throws {
        let input = try node.input()
        let output = try node.output()
        if input.elementType == output.elementType { return try node.alias() }
        try emitCast(node, input, output, saturates: node.int("saturate", default: 1) != 0)
    }
}

struct CastArguments: BitwiseCopyable {
    var from: martlet_dtype
    var to: martlet_dtype
    var input: Slot
    var output: Slot
    var count: Int
}

/// Emits `output = input` in the output's element type.
/// - Parameter saturates: whether numbers that an 8-bit float cannot hold become its largest.
func emitCast(
    _ node: Lowering, _ input: Operand, _ output: Operand, saturates: Bool = true
) throws {
    if input.elementType.smallType != nil {
        return try emitDecoded(node, input, output)
    }
    if output.elementType.smallType != nil {
        return try emitEncoded(node, input, output, saturates: saturates)
    }
    try unsafe node.emit(
        castStep,
        CastArguments(
            from: node.dtype(input), to: node.dtype(output), input: input.slot,
            output: output.slot, count: input.count))
}

func castStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: CastArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe martlet_cast(
        arguments.from, arguments.to, frame[arguments.input], frame[arguments.output],
        Int64(arguments.count), frame.threads)
}

extension Lowering {
    /// The operand in another element type: itself, or a scratch copy that a step fills.
    func cast(_ operand: Operand, to elementType: ElementType) throws -> Operand {
        if operand.elementType == elementType { return operand }
        let copy = try temporary(elementType, operand.shape)
        try emitCast(self, operand, copy)
        return copy
    }

    /// Scratch as an operand.
    func temporary(_ elementType: ElementType, _ shape: Shape) throws -> Operand {
        guard let count = shape.elementCountChecked,
            let byteCount = elementType.byteCount(elements: count)
        else { throw failure("a temporary of shape \(shape) overflows", .limitExceeded) }
        return Operand(
            slot: scratch(byteCount: max(byteCount, 1)), elementType: elementType, shape: shape,
            constant: nil, value: nil)
    }

    /// A constant scalar.
    func filled(_ value: Double, elementType: ElementType) throws -> Operand {
        guard let tensor = try Tensor.scalar(value, elementType: elementType) else {
            throw failure("elements of type \(elementType.displayName)")
        }
        return Operand(
            slot: constant(tensor), elementType: elementType, shape: Shape(), constant: tensor,
            value: nil)
    }
}

extension Tensor {
    /// A scalar of any type that kernels know, converted as `Cast` does; nil for other types.
    static func scalar(_ value: Double, elementType: ElementType) throws -> Tensor? {
        guard let type = elementType.kernelType, let bits = elementType.bitWidth else { return nil }
        let storage = TensorStorage(byteCount: bits / 8)
        let status = unsafe withUnsafePointer(to: value) { source in
            unsafe martlet_cast(MARTLET_F64, type, source, storage.base, 1, 1)
        }
        guard status == 0 else { return nil }
        return try Tensor(elementType: elementType, shape: Shape(), storage: storage)
    }
}
