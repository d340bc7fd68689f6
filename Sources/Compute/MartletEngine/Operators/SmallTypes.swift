// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension ElementType {
    /// The kernels' number for types of eight bits and fewer that are only stored and converted.
    var smallType: martlet_small? {
        switch self {
        case .float8E4M3FN: MARTLET_F8_E4M3FN
        case .float8E4M3FNUZ: MARTLET_F8_E4M3FNUZ
        case .float8E5M2: MARTLET_F8_E5M2
        case .float8E5M2FNUZ: MARTLET_F8_E5M2FNUZ
        case .float8E8M0: MARTLET_F8_E8M0
        case .float4E2M1: MARTLET_F4_E2M1
        case .uint4: MARTLET_U4
        case .int4: MARTLET_I4
        case .uint2: MARTLET_U2
        case .int2: MARTLET_I2
        default: nil
        }
    }

    /// Whether the elements are whole numbers, booleans included.
    var isInteger: Bool {
        switch self {
        case .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64, .bool, .uint4,
            .int4, .uint2, .int2:
            true
        default: false
        }
    }

    /// The lowest and highest value of whole numbers of up to 32 bits.
    var integerRange: (low: Double, high: Double)? {
        guard let bits = bitWidth, bits <= 32, isInteger, self != .bool else { return nil }
        let whole = Double(1 << bits)
        return switch self {
        case .int8, .int16, .int32, .int4, .int2: (-whole / 2, whole / 2 - 1)
        default: (0, whole - 1)
        }
    }
}

struct SmallArguments: BitwiseCopyable {
    var type: martlet_small
    var saturates: Int32
    var rounding: martlet_rounding
    var input: Slot
    var output: Slot
    var count: Int64
}

/// Emits the conversion from a small type.
func emitDecoded(_ node: Lowering, _ input: Operand, _ output: Operand) throws {
    guard let type = input.elementType.smallType else {
        throw node.failure("elements of type \(input.elementType.displayName)")
    }
    let isDirect = output.elementType == .float32
    let wide = isDirect ? output : try node.temporary(.float32, output.shape)
    try unsafe node.emit(
        decodeStep,
        SmallArguments(
            type: type, saturates: 1, rounding: MARTLET_ROUND_UP, input: input.slot,
            output: wide.slot, count: Int64(input.count)))
    if !isDirect { try emitCast(node, wide, output) }
}

/// Emits the conversion to a small type.
func emitEncoded(
    _ node: Lowering, _ input: Operand, _ output: Operand, saturates: Bool
) throws {
    guard let type = output.elementType.smallType else {
        throw node.failure("elements of type \(output.elementType.displayName)")
    }
    // Whole numbers keep their low bits, as between larger whole numbers.
    let isPacked = input.elementType.isInteger && output.elementType.isInteger
    let rounding =
        switch node.string("round_mode", default: "up") {
        case "down": MARTLET_ROUND_DOWN
        case "nearest": MARTLET_ROUND_NEAREST
        default: MARTLET_ROUND_UP
        }
    try unsafe node.emit(
        isPacked ? packStep : encodeStep,
        SmallArguments(
            type: type, saturates: saturates ? 1 : 0, rounding: rounding,
            input: node.cast(input, to: isPacked ? .uint8 : .float32).slot, output: output.slot,
            count: Int64(input.count)))
}

func decodeStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: SmallArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe martlet_small_decode(
        arguments.type, frame[arguments.input], frame.floats(arguments.output), arguments.count)
}

func encodeStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: SmallArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe martlet_small_encode(
        arguments.type, arguments.saturates, arguments.rounding, frame.floats(arguments.input),
        frame[arguments.output], arguments.count)
}

func packStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: SmallArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe martlet_small_pack(
        arguments.type, frame[arguments.input]?.assumingMemoryBound(to: UInt8.self),
        frame[arguments.output], arguments.count)
}
