// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletGraph
internal import MartletTensor

/// Rows that a step computes: as many as the extents say, at most the plan's capacity.
struct RowCount: BitwiseCopyable {
    var extents: Slot
    var index: Int
    var capacity: Int64

    init(_ node: Lowering, input: Int, index: Int = 0, capacity: Int) throws {
        let operand = try node.input(input)
        guard operand.elementType == .int32, operand.shape == [4] as Shape, (0..<4) ~= index else {
            throw node.failure("extents of shape \(operand.shape)", .invalidModel)
        }
        extents = operand.slot
        self.index = index
        self.capacity = Int64(capacity)
    }

    /// Nil where the run says something that the plan has no room for.
    func value(_ frame: StepFrame) -> Int64? {
        guard let base = unsafe frame[extents] else { return nil }
        let count = unsafe Int64(base.assumingMemoryBound(to: Int32.self)[index])
        return count >= 0 && count <= capacity ? count : nil
    }
}

/// A constant of weights, plain or in blocks, as its node describes it.
struct StoredWeights {
    let type: martlet_weights
    let operand: Operand
    let rows: Int
    let columns: Int
    let rowBytes: Int

    /// - Parameter columns: weights of a row.
    init(_ node: Lowering, input: Int, columns: Int) throws {
        operand = try node.input(input)
        let format = node.string("format")
        switch operand.elementType {
        case .float32: type = MARTLET_WEIGHTS_F32
        case .float16: type = MARTLET_WEIGHTS_F16
        case .bfloat16: type = MARTLET_WEIGHTS_BF16
        case .uint8:
            guard let found = StoredWeights.types[format] else {
                throw node.failure("weights of format '\(format)'")
            }
            type = found
        default: throw node.failure("weights of type \(operand.elementType.displayName)")
        }
        rowBytes = Int(martlet_weights_row_bytes(type, Int64(columns)))
        let isBlocks = operand.elementType == .uint8
        guard operand.shape.rank == 2, columns > 0, rowBytes > 0,
            operand.shape[1] == (isBlocks ? rowBytes : columns), operand.constant != nil
        else {
            throw node.failure(
                "weights of shape \(operand.shape) for \(columns) inputs", .invalidModel)
        }
        rows = operand.shape[0]
        self.columns = columns
    }

    static let types: [String: martlet_weights] = [
        "Q4_0": MARTLET_WEIGHTS_Q4_0, "Q4_1": MARTLET_WEIGHTS_Q4_1, "Q5_0": MARTLET_WEIGHTS_Q5_0,
        "Q5_1": MARTLET_WEIGHTS_Q5_1, "Q8_0": MARTLET_WEIGHTS_Q8_0, "Q4_K": MARTLET_WEIGHTS_Q4_K,
        "Q5_K": MARTLET_WEIGHTS_Q5_K, "Q6_K": MARTLET_WEIGHTS_Q6_K, "F32": MARTLET_WEIGHTS_F32,
        "F16": MARTLET_WEIGHTS_F16, "BF16": MARTLET_WEIGHTS_BF16,
    ]
}

extension NativeOperator {
    static let embedRows = NativeOperator(.embedRows) { node in
        let tokens = try node.input(0)
        let table = try StoredWeights(node, input: 1, columns: node.int("columns"))
        guard tokens.elementType == .int32 else { throw node.failure("tokens must be INT32") }
        try unsafe node.emit(
            embedRowsStep,
            EmbedRowsArguments(
                type: table.type, table: table.operand.slot, tokens: tokens.slot,
                output: node.output().slot,
                count: RowCount(node, input: 2, capacity: tokens.count),
                rowBytes: Int64(table.rowBytes), rows: Int64(table.rows),
                columns: Int64(table.columns), scale: node.float("scale", default: 1)))
    }

    static let normRows = NativeOperator(.normRows) { node in
        let input = try node.input(0)
        let weight = try node.input(1)
        try node.expectFloat32(input)
        try node.expectFloat32(weight)
        let width = input.shape[1]
        guard weight.count == width, node.optional(3).map({ $0.shape == input.shape }) ?? true
        else { throw node.failure("weight or residual does not fit \(input.shape)", .invalidModel) }
        node.mayReuse(input: 3)
        try unsafe node.emit(
            normRowsStep,
            NormRowsArguments(
                input: input.slot, weight: weight.slot, residual: node.optional(3)?.slot ?? .none,
                output: node.output().slot,
                count: RowCount(node, input: 2, capacity: input.shape[0]), width: Int64(width),
                epsilon: node.float("epsilon", default: 1e-5)))
    }

    static let takeRows = NativeOperator(.takeRows) { node in
        let input = try node.input(0)
        let rows = try node.input(1)
        try node.expectFloat32(input)
        guard rows.elementType == .int32 else { throw node.failure("rows must be INT32") }
        try unsafe node.emit(
            takeRowsStep,
            TakeRowsArguments(
                input: input.slot, rows: rows.slot, output: node.output().slot,
                count: RowCount(node, input: 2, capacity: input.shape[0]),
                wanted: RowCount(node, input: 2, index: 3, capacity: rows.count),
                width: Int64(input.shape[1])))
    }

    static let rotaryAngles = NativeOperator(.rotaryAngles) { node in
        let positions = try node.input(0)
        let frequencies = try node.input(1)
        try node.expectFloat32(frequencies)
        guard positions.elementType == .int32 else { throw node.failure("positions must be INT32") }
        try unsafe node.emit(
            rotaryAnglesStep,
            RotaryAnglesArguments(
                positions: positions.slot, frequencies: frequencies.slot,
                output: node.output().slot,
                count: RowCount(node, input: 2, capacity: positions.count),
                half: Int64(frequencies.count), factor: node.float("factor", default: 1)))
    }
}

struct EmbedRowsArguments: BitwiseCopyable {
    var type: martlet_weights
    var table: Slot
    var tokens: Slot
    var output: Slot
    var count: RowCount
    var rowBytes: Int64
    var rows: Int64
    var columns: Int64
    var scale: Float
}

func embedRowsStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: EmbedRowsArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let count = arguments.count.value(frame) else { return StepStatus.invalidValue }
    let status = unsafe martlet_embed(
        arguments.type, frame[arguments.table], arguments.rowBytes, arguments.rows,
        arguments.columns, frame.integers(arguments.tokens), count, arguments.scale,
        frame.floats(arguments.output), frame.threads)
    return status == 0 ? StepStatus.done : StepStatus.indexOutOfRange
}

struct NormRowsArguments: BitwiseCopyable {
    var input: Slot
    var weight: Slot
    var residual: Slot
    var output: Slot
    var count: RowCount
    var width: Int64
    var epsilon: Float
}

func normRowsStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: NormRowsArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let count = arguments.count.value(frame) else { return StepStatus.invalidValue }
    unsafe martlet_norm_rows(
        frame.floats(arguments.input), frame.floats(arguments.weight),
        frame.floats(arguments.residual), frame.floats(arguments.output), count, arguments.width,
        arguments.epsilon, frame.threads)
    return StepStatus.done
}

struct TakeRowsArguments: BitwiseCopyable {
    var input: Slot
    var rows: Slot
    var output: Slot
    var count: RowCount
    var wanted: RowCount
    var width: Int64
}

func takeRowsStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: TakeRowsArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let count = arguments.count.value(frame), let wanted = arguments.wanted.value(frame)
    else { return StepStatus.invalidValue }
    let status = unsafe martlet_take_rows(
        frame.floats(arguments.input), count, frame.integers(arguments.rows), wanted,
        arguments.width, frame.floats(arguments.output))
    return status == 0 ? StepStatus.done : StepStatus.indexOutOfRange
}

struct RotaryAnglesArguments: BitwiseCopyable {
    var positions: Slot
    var frequencies: Slot
    var output: Slot
    var count: RowCount
    var half: Int64
    var factor: Float
}

func rotaryAnglesStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: RotaryAnglesArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let count = arguments.count.value(frame) else { return StepStatus.invalidValue }
    unsafe martlet_rotary_angles(
        frame.integers(arguments.positions), count, frame.floats(arguments.frequencies),
        arguments.half, arguments.factor, frame.floats(arguments.output))
    return StepStatus.done
}

extension StepFrame {
    /// The slot's address as 32-bit integers; nil for an absent operand.
    func integers(_ slot: Slot) -> UnsafeMutablePointer<Int32>? {
        unsafe self[slot]?.assumingMemoryBound(to: Int32.self)
    }
}
