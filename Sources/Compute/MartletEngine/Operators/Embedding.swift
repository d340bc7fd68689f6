// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// LayerNormalization(word[ids] + position + type[types]).
    static let embeddingLayerNorm = NativeOperator(.embeddingLayerNorm) { node in
        let output = try node.output()
        try node.expectFloat32(output)
        let words = try node.input(2)
        let positions = try node.input(3)
        let width = output.shape[2]
        let length = output.shape[1]
        let offset = node.int("positionOffset")
        guard offset >= 0, length + offset <= positions.shape[0] else {
            throw node.failure(
                "\(length) positions from \(offset) on; the table has \(positions.shape[0])",
                .invalidInput)
        }
        let ids = try node.cast(node.input(0), to: .int64)
        try emitGather(node, words, ids, output, axis: 0)
        if let types = node.optional(1), let table = node.optional(4) {
            let typed = try node.temporary(.float32, output.shape)
            try emitGather(node, table, node.cast(types, to: .int64), typed, axis: 0)
            try emitBinary(node, MARTLET_ADD, output, typed, output)
        }
        let rows = Operand(
            slot: node.builder.slots.addView(
                of: positions.slot, offset: offset * width * 4, byteCount: length * width * 4),
            elementType: .float32, shape: [length, width], constant: nil, value: nil)
        try emitBinary(node, MARTLET_ADD, output, rows, output)
        try emitNorm(
            node,
            NormForm(
                input: output, residual: nil, scale: node.input(5), bias: node.optional(6),
                output: output, sum: nil, mean: nil, inverse: nil, axis: 2, isRMS: false),
            epsilon: node.float("epsilon", default: 1e-12))
    }

    /// LayerNormalization of sums of tables' rows, token by token.
    static let embeddingSumNorm = float32(.embeddingSumNorm) { node in
        let output = try node.output()
        try node.expectFloat32(output)
        let (scale, bias) = (try node.input(0), node.optional(1))
        let (batch, length, width) = (output.shape[0], output.shape[1], output.shape[2])
        guard scale.count == width, (bias?.count ?? width) == width else {
            throw node.failure("scale of shape \(scale.shape)", .invalidModel)
        }
        var arguments = EmbeddingSumArguments(
            scale: scale.slot, bias: bias?.slot ?? .none, output: output.slot,
            tokens: Int64(batch * length), length: Int64(length), width: Int64(width),
            epsilon: node.float("epsilon", default: 1e-5))
        for pair in 0..<Swift.min((node.inputs.count - 2) / 2, arguments.tables.count) {
            let table = try node.input(2 + 2 * pair)
            let ids = try node.cast(node.input(3 + 2 * pair), to: .int64)
            guard table.elementType == .float32, table.shape.rank == 2, table.shape[1] == width,
                ids.shape == [batch, length] as Shape || ids.shape == [1, length] as Shape
            else { throw node.failure("indices of shape \(ids.shape)", .invalidInput) }
            arguments.tables[pair] = EmbeddingSumArguments.Table(
                rows: table.slot, ids: ids.slot, count: Int64(table.shape[0]),
                places: Int64(ids.count))
            arguments.tableCount = pair + 1
        }
        try unsafe node.emit(embeddingSumStep, arguments)
    }

    /// The mean over the positions whose mask is not 0.
    static let maskedMeanPooling = float32(.maskedMeanPooling) { node in
        let input = try node.input()
        try node.expectFloat32(input)
        let mask = try node.cast(node.input(1), to: .int64)
        try unsafe node.emit(
            meanPoolStep,
            MeanPoolArguments(
                input: input.slot, mask: mask.slot, output: node.output().slot,
                batch: Int64(input.shape[0]), length: Int64(input.shape[1]),
                width: Int64(input.shape[2])))
    }
}

struct EmbeddingSumArguments: BitwiseCopyable {
    struct Table: BitwiseCopyable {
        var rows = Slot.none
        var ids = Slot.none
        var count: Int64 = 0
        /// How many tokens have indices of their own; the others begin again.
        var places: Int64 = 0
    }

    var scale: Slot
    var bias: Slot
    var output: Slot
    var tokens: Int64
    var length: Int64
    var width: Int64
    var epsilon: Float
    var tableCount = 0
    var tables: InlineArray<4, Table> = [Table(), Table(), Table(), Table()]
}

func embeddingSumStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: EmbeddingSumArguments.self)
    let frame = unsafe StepFrame(frame)
    for index in 0..<arguments.tableCount {
        let table = arguments.tables[index]
        guard let ids = unsafe frame[table.ids]?.assumingMemoryBound(to: Int64.self) else {
            return StepStatus.done
        }
        for place in 0..<Int(table.places) {
            let row = unsafe ids[place]
            guard row >= -table.count, row < table.count else { return StepStatus.indexOutOfRange }
        }
    }
    // Some 16 000 numbers a part: enough to hide the cost of sharing.
    let (tokens, width) = (Int(arguments.tokens), Int(arguments.width))
    let share = Swift.max(16_384 / Swift.max(width, 1), 1)
    KernelPool.parallel(
        parts: (tokens + share - 1) / share, maximumThreads: Int(frame.threads)
    ) { part in
        for token in (part * share)..<Swift.min((part + 1) * share, tokens) {
            normalizeSum(of: token, arguments, frame)
        }
    }
    return StepStatus.done
}

/// Adds a token's rows but the last in its place in the output; the kernel adds the last.
private func normalizeSum(of token: Int, _ arguments: EmbeddingSumArguments, _ frame: StepFrame) {
    let width = Int(arguments.width)
    func row(_ index: Int) -> UnsafeMutablePointer<Float>? {
        let table = arguments.tables[index]
        guard let ids = unsafe frame[table.ids]?.assumingMemoryBound(to: Int64.self) else {
            return nil
        }
        let place = unsafe ids[token % Int(table.places)]
        let number = Int(place < 0 ? place + table.count : place)
        return unsafe frame.floats(table.rows).map { unsafe $0 + number * width }
    }
    guard let output = unsafe frame.floats(arguments.output).map({ unsafe $0 + token * width }),
        let first = unsafe row(0)
    else { return }
    var sum = unsafe first
    for index in 1..<(arguments.tableCount - 1) {
        guard let next = unsafe row(index) else { return }
        for column in 0..<width { unsafe output[column] = sum[column] + next[column] }
        unsafe sum = unsafe output
    }
    var norm = unsafe martlet_norm_f32_args(
        x: sum, residual: row(arguments.tableCount - 1), gamma: frame.floats(arguments.scale),
        beta: frame.floats(arguments.bias), y: output, sum: nil, mean: nil, inverse: nil, rows: 1,
        n: arguments.width, x_row_stride: arguments.width, residual_row_stride: arguments.width,
        y_row_stride: arguments.width, sum_row_stride: arguments.width, epsilon: arguments.epsilon)
    unsafe martlet_layer_norm_f32(&norm, 1)
}

struct MeanPoolArguments: BitwiseCopyable {
    var input: Slot
    var mask: Slot
    var output: Slot
    var batch: Int64
    var length: Int64
    var width: Int64
}

func meanPoolStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: MeanPoolArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_mean_pool_f32(
        frame.floats(arguments.input),
        frame[arguments.mask]?.assumingMemoryBound(to: Int64.self),
        frame.floats(arguments.output), arguments.batch, arguments.length, arguments.width,
        frame.threads)
    return StepStatus.done
}
