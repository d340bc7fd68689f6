// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

/// One layer's part of a cache, as its node describes it.
struct CacheLayer: BitwiseCopyable {
    var slot: Slot
    var type: martlet_dtype
    var blocks: Int64
    var kvHeads: Int64
    var headSize: Int64
    /// Where the layer's keys and values begin in the cache, in bytes.
    var keysOffset: Int
    var valuesOffset: Int

    init(_ node: Lowering, input: Int) throws {
        let cache = try node.input(input)
        let (heads, kvHeads, headSize) = (
            node.int("heads"), node.int("kvHeads"), node.int("headSize")
        )
        let layer = node.int("layer")
        switch node.string("cacheType") {
        case "f32": type = MARTLET_F32
        case "f16": type = MARTLET_F16
        case "bf16": type = MARTLET_BF16
        case "int8": type = MARTLET_I8
        default: throw node.failure("a cache of type '\(node.string("cacheType"))'")
        }
        guard kvHeads > 0, heads > 0, heads % kvHeads == 0, heads <= 1 << 16,
            headSize > 0, headSize <= Int(MARTLET_HEAD_SIZE_MAX)
        else { throw node.failure("\(heads) and \(kvHeads) heads of \(headSize)", .invalidModel) }
        let blockBytes = Int(martlet_cache_block_bytes(type, Int64(kvHeads), Int64(headSize)))
        guard cache.elementType == .uint8, cache.shape.rank == 4, cache.shape[1] == 2,
            cache.shape[3] == blockBytes, layer >= 0, layer < cache.shape[0],
            cache.shape[2] <= Int(Int32.max) / Int(MARTLET_CACHE_BLOCK)
        else {
            throw node.failure(
                "a cache of shape \(cache.shape) for layer \(layer) with blocks of \(blockBytes) "
                    + "bytes", .invalidInput)
        }
        slot = cache.slot
        blocks = Int64(cache.shape[2])
        self.kvHeads = Int64(kvHeads)
        self.headSize = Int64(headSize)
        let plane = cache.shape[2] * blockBytes
        keysOffset = layer * 2 * plane
        valuesOffset = keysOffset + plane
    }

    func bound(_ frame: StepFrame) -> martlet_cache {
        let base = unsafe frame[slot]
        return unsafe martlet_cache(
            type: type, blocks: blocks, kv_heads: kvHeads, head_size: headSize,
            keys: base.map { unsafe $0 + keysOffset }, values: base.map { unsafe $0 + valuesOffset }
        )
    }
}

extension NativeOperator {
    static let rotaryCache = NativeOperator(.rotaryCache) { node in
        let query = try node.input(0)
        let (key, value) = (node.optional(1), node.optional(2))
        let angles = try node.input(3)
        let slots = try node.input(4)
        let cache = try CacheLayer(node, input: 5)
        let (heads, size) = (node.int("heads"), Int(cache.headSize))
        let (width, kvWidth) = (heads * size, Int(cache.kvHeads) * size)
        let isMerged = key == nil && value == nil
        let rows = query.shape[0]
        let rotary = node.int("rotary")
        for operand in [query, key, value, angles, node.optional(7), node.optional(8)] {
            if let operand { try node.expectFloat32(operand) }
        }
        guard query.shape == [rows, isMerged ? width + 2 * kvWidth : width] as Shape,
            isMerged
                || (key?.shape == [rows, kvWidth] as Shape
                    && value?.shape == [rows, kvWidth] as Shape),
            slots.elementType == .int32, slots.shape == [rows] as Shape,
            rotary >= 0, rotary <= size, rotary % 2 == 0,
            angles.shape == [rows, rotary] as Shape,
            (node.optional(7)?.count ?? size) == size, (node.optional(8)?.count ?? size) == size
        else { throw node.failure("queries \(query.shape), angles \(angles.shape)", .invalidModel) }
        try unsafe node.emit(
            rotaryCacheStep,
            RotaryCacheArguments(
                query: query.slot, key: key?.slot ?? query.slot,
                value: value?.slot ?? query.slot, angles: angles.slot, slots: slots.slot,
                queryNorm: node.optional(7)?.slot ?? .none,
                keyNorm: node.optional(8)?.slot ?? .none, output: node.output().slot,
                cache: cache, count: RowCount(node, input: 6, capacity: rows),
                heads: Int64(heads), keyOffset: isMerged ? width : 0,
                valueOffset: isMerged ? width + kvWidth : 0,
                queryStride: Int64(query.shape[1]),
                keyStride: Int64(isMerged ? query.shape[1] : kvWidth), rotary: Int64(rotary),
                interleaved: Int32(node.int("interleaved") != 0 ? 1 : 0),
                epsilon: node.float("epsilon", default: 1e-6)))
    }

    static let pagedAttention = NativeOperator(.pagedAttention) { node in
        let query = try node.input(0)
        let cache = try CacheLayer(node, input: 1)
        let slices = try node.input(2)
        let blocks = try node.input(3)
        let heads = node.int("heads")
        try node.expectFloat32(query)
        guard query.shape.rank == 2, query.shape[1] == heads * Int(cache.headSize),
            slices.elementType == .int32, slices.shape.rank == 2,
            slices.shape[1] == Int(MARTLET_SLICE_FIELDS), blocks.elementType == .int32
        else { throw node.failure("queries \(query.shape), slices \(slices.shape)", .invalidModel) }
        let window = node.int("window")
        guard window >= 0 else { throw node.failure("window \(window)", .invalidModel) }
        try unsafe node.emit(
            pagedAttentionStep,
            PagedAttentionArguments(
                query: query.slot, slices: slices.slot, blocks: blocks.slot,
                output: node.output().slot, cache: cache,
                rows: RowCount(node, input: 4, capacity: query.shape[0]),
                sliceCount: RowCount(node, input: 4, index: 1, capacity: slices.shape[0]),
                blockCount: RowCount(node, input: 4, index: 2, capacity: blocks.count),
                heads: Int64(heads), scale: node.float("scale", default: 1),
                softcap: node.float("softcap"), window: Int64(window),
                narrow: node.int("narrow") != 0 ? 1 : 0))
    }
}

struct RotaryCacheArguments: BitwiseCopyable {
    var query: Slot
    var key: Slot
    var value: Slot
    var angles: Slot
    var slots: Slot
    var queryNorm: Slot
    var keyNorm: Slot
    var output: Slot
    var cache: CacheLayer
    var count: RowCount
    var heads: Int64
    /// Where keys and values begin in their slots, in elements.
    var keyOffset: Int
    var valueOffset: Int
    var queryStride: Int64
    var keyStride: Int64
    var rotary: Int64
    var interleaved: Int32
    var epsilon: Float
}

func rotaryCacheStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: RotaryCacheArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let count = arguments.count.value(frame),
        let key = unsafe frame.floats(arguments.key),
        let value = unsafe frame.floats(arguments.value)
    else { return StepStatus.invalidValue }
    var kernel = unsafe martlet_rotary_args(
        n: count, heads: arguments.heads, q: frame.floats(arguments.query),
        k: key + arguments.keyOffset, v: value + arguments.valueOffset,
        q_stride: arguments.queryStride, k_stride: arguments.keyStride,
        v_stride: arguments.keyStride, angles: frame.floats(arguments.angles),
        rotary: arguments.rotary, interleaved: arguments.interleaved,
        q_norm: frame.floats(arguments.queryNorm), k_norm: frame.floats(arguments.keyNorm),
        epsilon: arguments.epsilon, slots: frame.integers(arguments.slots),
        turned: frame.floats(arguments.output), cache: arguments.cache.bound(frame))
    let status = unsafe martlet_rotary_cache(&kernel, frame.threads)
    return status == 0 ? StepStatus.done : StepStatus.indexOutOfRange
}

struct PagedAttentionArguments: BitwiseCopyable {
    var query: Slot
    var slices: Slot
    var blocks: Slot
    var output: Slot
    var cache: CacheLayer
    var rows: RowCount
    var sliceCount: RowCount
    var blockCount: RowCount
    var heads: Int64
    var scale: Float
    var softcap: Float
    var window: Int64
    var narrow: Int32
}

func pagedAttentionStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: PagedAttentionArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let rows = arguments.rows.value(frame),
        let slices = arguments.sliceCount.value(frame),
        let blocks = arguments.blockCount.value(frame)
    else { return StepStatus.invalidValue }
    var kernel = unsafe martlet_paged_args(
        n: rows, heads: arguments.heads, q: frame.floats(arguments.query),
        o: frame.floats(arguments.output), scale: arguments.scale, softcap: arguments.softcap,
        window: arguments.window, slices: frame.integers(arguments.slices), slice_count: slices,
        blocks: frame.integers(arguments.blocks), block_count: blocks,
        cache: arguments.cache.bound(frame), narrow: arguments.narrow)
    let status = unsafe martlet_paged_attention(&kernel, frame.threads)
    return status == 0 ? StepStatus.done : StepStatus.indexOutOfRange
}
