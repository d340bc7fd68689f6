// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// What decoders are built of. Rows are tokens of many sequences together; a plan is made for a
// capacity of rows, and `extents` says at the run how many there are: INT32 [4], of rows, slices,
// listed blocks and wanted rows.
//
// Weights are FLOAT, FLOAT16 or BFLOAT16 [outputs, inputs], or UINT8 [outputs, bytes of a row] with
// the attribute `format`, a name of GGUF's ("Q4_0").
extension OperatorSchema {
    /// Inputs: tokens INT32 [R], table, extents. `format`, `columns`, `scale` (1). Output: [R,
    /// columns].
    public static let embedRows = OperatorSchema(
        "EmbedRows", domain: "martlet"
    ) { context throws(GraphError) in
        try context.setOutput(
            0, .float32, [context.rows(0), Dimension(context.positive("columns"))])
    }

    /// Inputs: positions INT32 [R], frequencies [H], extents. `factor` (1). Output: [R, 2 H],
    /// cosines and then sines.
    public static let rotaryAngles = OperatorSchema(
        "RotaryAngles", domain: "martlet"
    ) { context throws(GraphError) in
        guard let frequencies = try context.dimensions(1), frequencies.count == 1 else {
            throw context.failure("needs frequencies of one dimension")
        }
        let width = try context.product(frequencies[0], 2)
        try context.setOutput(0, .float32, [context.rows(0), width])
    }

    /// Rows as products read them. Inputs: X [R, W], extents, weight [W]?. `kind` ("f32", "bf16",
    /// "q8", "q16", "q32" or "q128"), `source` ("", "Norm" with `epsilon`, "Silu", "GeluTanh" or
    /// "Gelu": the second half of a row times the activated first half), `inputs` (W, or half of
    /// it). Output: UINT8 [R, bytes of a row].
    public static let prepareRows = OperatorSchema(
        "PrepareRows", domain: "martlet"
    ) { context throws(GraphError) in
        let inputs = try context.positive("inputs")
        let source = context.string("source")
        let isGated = !source.isEmpty && source != "Norm"
        if let width = try context.dimensions(0)?.last?.fixed,
            width != (isGated ? inputs * 2 : inputs)
        {
            throw context.failure("rows of \(width) values for \(inputs) inputs")
        }
        guard let bytes = preparedRowBytes(kind: context.string("kind"), inputs: inputs) else {
            throw context.failure("kind '\(context.string("kind"))'", code: .unsupported)
        }
        try context.setOutput(0, .uint8, [context.rows(0), Dimension(bytes)])
    }

    /// Bytes of a prepared row; nil for an unknown kind.
    package static func preparedRowBytes(kind: String, inputs: Int) -> Int? {
        let groups = (inputs + 31) / 32
        return switch kind {
        case "f32": groups * 128
        case "bf16": groups * 64
        case "q8", "q16", "q32", "q128": groups * 48
        default: nil
        }
    }

    /// bounded(rows · weightᵀ + bias) + residual. Inputs: prepared rows, weight, extents, bias?,
    /// residual?, further weights whose outputs follow the first's. `kind` (the rows'), `format`,
    /// `panels` (what the weight is packed as), `outputs`,
    /// `inputs`, `cap` (0: none; else cap · tanh(x / cap)), `extent` (which of the extents counts
    /// the rows). Output: [R, outputs].
    public static let multiplyRows = OperatorSchema(
        "MultiplyRows", domain: "martlet"
    ) { context throws(GraphError) in
        try context.setOutput(
            0, .float32, [context.rows(0), Dimension(context.positive("outputs"))])
    }

    /// Each row through the `chosen` best of `experts` feed-forward parts, by the softmax of its
    /// scores. Inputs: X [R, W], scores [R, experts], extents, residual?, a shared expert's result
    /// [R, W]? and its gate [R, 1]? (before the sigmoid), then gate, up and down weights of each
    /// expert. `inputs`, `inner`, `normalizes`, and as for products `kind`, `format`, `panels`,
    /// `source`. Output: as X.
    public static let expertRows = OperatorSchema(
        "ExpertRows", domain: "martlet"
    ) { context throws(GraphError) in
        try context.setOutput(0, .float32, context.dimensions(0))
    }

    /// residual + rms norm. Inputs: X [R, W], weight [W], extents, residual [R, W]?. `epsilon`.
    public static let normRows = OperatorSchema(
        "NormRows", domain: "martlet"
    ) { context throws(GraphError) in
        try context.setOutput(0, .float32, context.dimensions(0))
    }

    /// Adds what low-rank adapters make of X to `outputs` of Y's columns from `offset` on. Inputs:
    /// Y [R, V], X [R, W], extents, adapters of the rows INT32 [R] (-1: none), slab UINT8 [bytes]
    /// (its form: MartletAdapters.h), weight [W]? of the norm. `source`, `inputs` and `epsilon` as
    /// of `PrepareRows`; `module` of `modules`, `adapters` (how many the slab may hold). Output: as
    /// Y.
    public static let adaptRows = OperatorSchema(
        "AdaptRows", domain: "martlet"
    ) { context throws(GraphError) in
        try context.setOutput(0, .float32, context.dimensions(0))
    }

    /// Inputs: X [R, W], rows INT32 [L], extents. Output: [L, W].
    public static let takeRows = OperatorSchema(
        "TakeRows", domain: "martlet"
    ) { context throws(GraphError) in
        guard let data = try context.dimensions(0), data.count == 2 else {
            throw context.failure("needs two dimensions")
        }
        try context.setOutput(0, .float32, [context.rows(1), data[1]])
    }

    /// Norms and turns queries and keys, and writes keys and values to the cache, in place. Inputs:
    /// Q [R, heads · size] or all three side by side, K?, V?, angles, slots INT32 [R], cache,
    /// extents, query norm [size]?, key norm [size]?. The cache is UINT8 [layers, 2, blocks, bytes
    /// of a block], which the caller owns. `heads`, `kvHeads`, `headSize`, `rotary`, `interleaved`,
    /// `epsilon`, `layer`, `cacheType`. Output: the turned queries.
    public static let rotaryCache = OperatorSchema(
        "RotaryCache", domain: "martlet"
    ) { context throws(GraphError) in
        let width = try context.product(
            Dimension(context.positive("heads")), Dimension(context.positive("headSize")))
        try context.setOutput(0, .float32, [context.rows(0), width])
    }

    /// Attention of each slice's rows to its own sequence's blocks. Inputs: Q [R, heads · size],
    /// cache, slices INT32 [S, 4] (first row, rows, first position, first block), blocks INT32 [B],
    /// extents. `heads`, `kvHeads`, `headSize`, `scale`, `softcap`, `window` (0: all), `layer`,
    /// `cacheType`, `narrow` (1: products may round to bf16). Output: as Q.
    public static let pagedAttention = OperatorSchema(
        "PagedAttention", domain: "martlet"
    ) { context throws(GraphError) in
        try context.setOutput(0, .float32, context.dimensions(0))
    }
}

extension ShapeContext {
    /// The first dimension of an input.
    fileprivate func rows(_ index: Int) throws(GraphError) -> Dimension {
        guard let dimensions = try dimensions(index), let first = dimensions.first else {
            throw failure("input \(index) has no rows")
        }
        return first
    }

    fileprivate func positive(_ name: String) throws(GraphError) -> Int {
        let value = int(name)
        guard value > 0, value <= 1 << 31 else { throw failure("\(name) \(value)") }
        return value
    }
}
