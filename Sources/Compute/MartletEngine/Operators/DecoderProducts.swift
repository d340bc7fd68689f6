// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let prepareRows = NativeOperator(.prepareRows) { node in
        let input = try node.input(0)
        try node.expectFloat32(input)
        let inputs = node.int("inputs")
        let type = try rowsType(node)
        let source = try rowsSource(node)
        let capacity = input.shape[0]
        let output = try node.output()
        let needed = martlet_rows_bytes(type, Int64(capacity), Int64(inputs))
        guard needed <= output.count else {
            throw node.failure("a capacity of \(capacity) rows does not fill its tiles")
        }
        if source == MARTLET_ROWS_NORM {
            let weight = try node.input(2)
            try node.expectFloat32(weight)
            guard weight.count == inputs else {
                throw node.failure("a weight of shape \(weight.shape)", .invalidModel)
            }
        }
        let isGated = source != MARTLET_ROWS_PLAIN && source != MARTLET_ROWS_NORM
        guard input.shape[1] == (isGated ? 2 * inputs : inputs) else {
            throw node.failure("rows of shape \(input.shape)", .invalidModel)
        }
        try unsafe node.emit(
            prepareRowsStep,
            PrepareRowsArguments(
                type: type, source: source, input: input.slot,
                weight: node.optional(2)?.slot ?? .none, output: output.slot,
                count: RowCount(node, input: 1, index: node.int("extent"), capacity: capacity),
                inputs: Int64(inputs), width: Int64(input.shape[1]),
                epsilon: node.float("epsilon", default: 1e-5)))
    }

    static func rowsType(_ node: Lowering) throws -> martlet_rows {
        switch node.string("kind") {
        case "f32": return MARTLET_ROWS_F32
        case "bf16": return MARTLET_ROWS_BF16
        case "q8": return MARTLET_ROWS_INT8_8
        case "q16": return MARTLET_ROWS_INT8_16
        case "q32": return MARTLET_ROWS_INT8_32
        case "q128": return MARTLET_ROWS_INT8_128
        default: throw node.failure("kind '\(node.string("kind"))'")
        }
    }

    static func rowsSource(_ node: Lowering) throws -> martlet_rows_source {
        switch node.string("source") {
        case "": return MARTLET_ROWS_PLAIN
        case "Norm": return MARTLET_ROWS_NORM
        case "Silu": return MARTLET_ROWS_SILU
        case "GeluTanh": return MARTLET_ROWS_GELU_TANH
        case "Gelu": return MARTLET_ROWS_GELU
        default: throw node.failure("source '\(node.string("source"))'")
        }
    }

    static let multiplyRows = NativeOperator(.multiplyRows) { node in
        let rows = try node.input(0)
        let (inputs, outputs) = (node.int("inputs"), node.int("outputs"))
        let parts = try ([1] + Array(5..<Swift.max(node.inputs.count, 5))).map {
            try StoredWeights(node, input: $0, columns: inputs)
        }
        let type = try rowsType(node)
        guard let panels = StoredWeights.types[node.string("panels")],
            martlet_rows_fit(type, panels) != 0
        else {
            throw node.failure(
                "rows '\(node.string("kind"))' with panels '\(node.string("panels"))'")
        }
        let output = try node.output()
        // Panels hold 16 outputs: all but the last matrix must fill theirs.
        guard parts.reduce(0, { $0 + $1.rows }) == outputs,
            parts.dropLast().allSatisfy({ $0.rows % 16 == 0 }), rows.elementType == .uint8,
            rows.shape[1]
                == OperatorSchema.preparedRowBytes(
                    kind: node.string("kind"), inputs: inputs),
            node.optional(3).map({ $0.count == outputs && $0.elementType == .float32 }) ?? true,
            node.optional(4).map({ $0.shape == output.shape }) ?? true
        else {
            throw node.failure(
                "weights \(parts.map(\.operand.shape)), rows \(rows.shape), bias or residual do not "
                    + "fit \(inputs) inputs and \(outputs) outputs", .invalidModel)
        }
        node.mayReuse(input: 4)
        try unsafe node.emit(
            multiplyRowsStep,
            MultiplyRowsArguments(
                type: type, panels: panels, rows: rows.slot,
                packed: packPanels(node, parts, panels), output: output.slot,
                bias: node.optional(3)?.slot ?? .none, residual: node.optional(4)?.slot ?? .none,
                count: RowCount(
                    node, input: 2, index: node.int("extent"), capacity: rows.shape[0]),
                inputs: Int64(inputs), outputs: Int64(outputs),
                cap: node.float("cap")))
    }

    /// The weights in panels, one matrix under the other; made once a session.
    static func packPanels(
        _ node: Lowering, _ parts: [StoredWeights], _ panels: martlet_weights
    ) throws -> Slot {
        let sizes = parts.map {
            martlet_weights_panel_bytes(panels, Int64($0.rows), Int64($0.columns))
        }
        let byteCount = sizes.reduce(0, +)
        guard sizes.allSatisfy({ $0 > 0 }) else {
            throw node.failure("\(parts[0].columns) inputs are not whole blocks", .invalidModel)
        }
        return try unsafe node.packed(
            parts[0].operand, format: "panels-\(panels.rawValue)-\(parts.count)",
            byteCount: byteCount
        ) { _, target in
            unsafe adviseLargePages(target, byteCount)
            var offset = 0
            for (part, size) in zip(parts, sizes) {
                guard let tensor = part.operand.constant else { continue }
                let status = unsafe martlet_weights_pack(
                    part.type, tensor.bytes.baseAddress, Int64(part.rowBytes), Int64(part.rows),
                    Int64(part.columns), panels, target + offset, node.builder.threads)
                guard status == 0 else { throw node.failure("these weights cannot be packed") }
                offset += size
            }
        }
    }

    /// Asks for large pages before memory is first touched: reading weights is then a quarter
    /// faster. Where there are none the advice does nothing.
    private static func adviseLargePages(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
        let large = 2 << 20
        let mask = ~UInt(large - 1)
        let start = (UInt(bitPattern: base) + UInt(large - 1)) & mask
        let end = (UInt(bitPattern: base) + UInt(byteCount)) & mask
        guard end > start, let address = unsafe UnsafeMutableRawPointer(bitPattern: start) else {
            return
        }
        unsafe madvise(address, Int(end - start), MADV_HUGEPAGE)
    }
}

struct PrepareRowsArguments: BitwiseCopyable {
    var type: martlet_rows
    var source: martlet_rows_source
    var input: Slot
    var weight: Slot
    var output: Slot
    var count: RowCount
    var inputs: Int64
    var width: Int64
    var epsilon: Float
}

func prepareRowsStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: PrepareRowsArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let count = arguments.count.value(frame) else { return StepStatus.invalidValue }
    var kernel = unsafe martlet_rows_args(
        type: arguments.type, source: arguments.source, n: count, k: arguments.inputs,
        x: frame.floats(arguments.input), x_stride: arguments.width,
        weight: frame.floats(arguments.weight), epsilon: arguments.epsilon)
    unsafe martlet_rows_prepare(&kernel, frame[arguments.output], frame.threads)
    return StepStatus.done
}

struct MultiplyRowsArguments: BitwiseCopyable {
    var type: martlet_rows
    var panels: martlet_weights
    var rows: Slot
    var packed: Slot
    var output: Slot
    var bias: Slot
    var residual: Slot
    var count: RowCount
    var inputs: Int64
    var outputs: Int64
    var cap: Float
}

func multiplyRowsStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: MultiplyRowsArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let count = arguments.count.value(frame) else { return StepStatus.invalidValue }
    var product = unsafe martlet_rows_product(
        type: arguments.type, panels: arguments.panels, n: count, m: arguments.outputs,
        k: arguments.inputs, rows: frame[arguments.rows], packed: frame[arguments.packed],
        c: frame.floats(arguments.output), c_stride: arguments.outputs,
        bias: frame.floats(arguments.bias), residual: frame.floats(arguments.residual),
        residual_stride: arguments.outputs, cap: arguments.cap)
    unsafe martlet_rows_multiply(&product, frame.threads)
    return StepStatus.done
}
