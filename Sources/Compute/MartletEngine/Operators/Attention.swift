// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// softmax(scale · QKᵀ + mask) · V for all heads.
    static let attention = float32(.attention) { node in
        let query = try node.input(0)
        let output = try node.output()
        try node.expectFloat32(query)
        let heads = node.int("heads")
        let isMerged = node.optional(1) == nil
        let batch = query.shape[0]
        let queries = query.shape[1]
        let width = isMerged ? query.shape[2] / 3 : query.shape[2]
        let keys = try isMerged ? queries : node.input(1).shape[1]
        let valueWidth = output.shape[2]
        guard heads > 0, width % heads == 0, valueWidth % heads == 0 else {
            throw node.failure("\(heads) heads of width \(width)", .invalidModel)
        }
        let row = isMerged ? 3 * width : width
        let scale = node.float("scale")
        let headSize = width / heads
        var arguments = AttentionArguments(
            query: query.slot, key: isMerged ? query.slot : try node.input(1).slot,
            value: isMerged ? query.slot : try node.input(2).slot, output: output.slot,
            mask: .none, scratch: .none, batch: Int64(batch), heads: Int64(heads),
            queries: Int64(queries), keys: Int64(keys), headSize: Int64(headSize),
            valueSize: Int64(valueWidth / heads), queryRow: Int64(row), keyRow: Int64(row),
            valueRow: Int64(isMerged ? row : valueWidth),
            keyOffset: isMerged ? width : 0, valueOffset: isMerged ? 2 * width : 0,
            scale: scale == 0 ? 1 / Float(headSize).squareRoot() : scale,
            causal: Int32(clamping: node.int("causal")))
        if let mask = node.optional(3) { try setMask(node, mask, &arguments) }
        arguments.isNarrow = isNarrow(node, queries: queries, keys: keys)
        var kernel = unsafe arguments.bound(nil)
        let scratchByteCount =
            arguments.isNarrow
            ? unsafe martlet_attention_bf16_scratch_bytes(&kernel, node.threads)
            : unsafe martlet_attention_f32_scratch_bytes(&kernel, node.threads)
        arguments.scratch = node.scratch(byteCount: scratchByteCount)
        try unsafe node.emit(attentionStep, arguments)
    }

    /// Whether both products are computed in bf16: where the precision allows it (int8 weights lose
    /// more) and the processor gains by it. Below 64 keys the conversions cost what they save.
    private static func isNarrow(_ node: Lowering, queries: Int, keys: Int) -> Bool {
        node.builder.precision != .float32 && queries >= 16 && keys >= 64
            && martlet_gemm_narrow_is_fast(MARTLET_NARROW_BF16) != 0
    }

    private static func setMask(
        _ node: Lowering, _ mask: Operand, _ arguments: inout AttentionArguments
    ) throws {
        if mask.elementType == .float32 {
            let shape = [arguments.batch, arguments.heads, arguments.queries, arguments.keys]
            let loops = mask.strides
            let lead = 4 - mask.shape.rank
            guard lead >= 0 else {
                throw node.failure("mask of shape \(mask.shape)", .invalidInput)
            }
            for axis in 0..<4 {
                let size = axis < lead ? 1 : mask.shape[axis - lead]
                guard size == 1 || Int64(size) == shape[axis] else {
                    throw node.failure("mask of shape \(mask.shape)", .invalidInput)
                }
                arguments.maskStrides[axis] = size == 1 ? 0 : loops[axis - lead]
            }
            arguments.mask = mask.slot
            return
        }
        // Numbers that are 0 where a key is not to be seen: made additive once a run.
        guard mask.shape.rank == 2, Int64(mask.shape[0]) == arguments.batch,
            Int64(mask.shape[1]) == arguments.keys
        else { throw node.failure("mask of shape \(mask.shape)", .invalidInput) }
        let flags = try node.cast(mask, to: .bool)
        let additive = try node.temporary(.float32, mask.shape)
        let zero = try node.filled(0, elementType: .float32)
        let hidden = try node.filled(-Double.infinity, elementType: .float32)
        try emitWhere(node, flags, zero, hidden, additive)
        arguments.mask = additive.slot
        arguments.maskStrides = [arguments.keys, 0, 0, 1]
    }
}

struct AttentionArguments: BitwiseCopyable {
    var query: Slot
    var key: Slot
    var value: Slot
    var output: Slot
    var mask: Slot
    var scratch: Slot
    var batch: Int64
    var heads: Int64
    var queries: Int64
    var keys: Int64
    var headSize: Int64
    var valueSize: Int64
    var queryRow: Int64
    var keyRow: Int64
    var valueRow: Int64
    /// Where keys and values begin in their slots, in elements.
    var keyOffset: Int
    var valueOffset: Int
    var scale: Float
    var causal: Int32
    var isNarrow = false
    var maskStrides: InlineArray<4, Int64> = [0, 0, 0, 0]

    /// The kernel's arguments; without a frame, those that only sizes matter for.
    func bound(_ frame: StepFrame?) -> martlet_attention_f32_args {
        let outputRow = heads * valueSize
        func floats(_ slot: Slot, _ offset: Int) -> UnsafeMutablePointer<Float>? {
            unsafe frame?.floats(slot).map { unsafe $0 + offset }
        }
        return unsafe martlet_attention_f32_args(
            batch: batch, heads: heads, kv_heads: heads, queries: queries, keys: keys,
            head_size: headSize, value_size: valueSize, q: floats(query, 0),
            k: floats(key, keyOffset), v: floats(value, valueOffset), o: floats(output, 0),
            q_batch_stride: queries * queryRow, q_head_stride: headSize, q_row_stride: queryRow,
            k_batch_stride: keys * keyRow, k_head_stride: headSize, k_row_stride: keyRow,
            v_batch_stride: keys * valueRow, v_head_stride: valueSize, v_row_stride: valueRow,
            o_batch_stride: queries * outputRow, o_head_stride: valueSize,
            o_row_stride: outputRow, scale: scale, softcap: 0, mask: floats(mask, 0),
            mask_batch_stride: maskStrides[0], mask_head_stride: maskStrides[1],
            mask_query_stride: maskStrides[2], mask_key_stride: maskStrides[3], key_lengths: nil,
            causal: causal, causal_offset: keys - queries)
    }
}

func attentionStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: AttentionArguments.self)
    let frame = unsafe StepFrame(frame)
    var kernel = unsafe arguments.bound(frame)
    if arguments.isNarrow {
        unsafe martlet_attention_bf16(&kernel, frame[arguments.scratch], frame.threads)
    } else {
        unsafe martlet_attention_f32(&kernel, frame[arguments.scratch], frame.threads)
    }
    return StepStatus.done
}
