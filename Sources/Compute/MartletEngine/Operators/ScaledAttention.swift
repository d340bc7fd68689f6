// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// ONNX's Attention: heads side by side or as an axis, grouped queries, a growing cache.
    static let scaledAttention = float32(.scaledAttention) { node in try lowerAttention(node) }
    static let flexAttention = float32(.flexAttention) { node in try lowerAttention(node) }

    private static func lowerAttention(_ node: Lowering) throws {
        let form = try AttentionForm(node)
        let output = try node.output()
        let hasScores = node.optionalOutput(3) != nil
        let bias = try hasScores ? form.bias(node) : form.plainMask(node) ?? form.bias(node)
        var arguments = form.arguments(output: output)
        if let bias {
            arguments.mask = bias.slot
            let lead = 4 - bias.shape.rank
            for axis in lead..<4 where bias.shape[axis - lead] != 1 {
                arguments.maskStrides[axis] = bias.strides[axis - lead]
            }
        } else if form.isCausal {
            arguments.causal = 1
            arguments.causalOffset = Int64(form.past)
        }
        var kernel = unsafe arguments.bound(nil)
        arguments.scratch = node.scratch(
            byteCount: unsafe martlet_attention_f32_scratch_bytes(&kernel, node.threads))
        try unsafe node.emit(headAttentionStep, arguments)
        if let scores = node.optionalOutput(3) {
            try form.emitScores(node, arguments, bias: bias, scores)
        }
    }
}

/// The sizes of an ONNX Attention node, and where its keys and values lie.
struct AttentionForm {
    let batch: Int
    let heads: Int
    let keyHeads: Int
    let queries: Int
    /// Keys, the past's included.
    let keys: Int
    let past: Int
    let headSize: Int
    let valueSize: Int
    let isFlat: Bool
    let isCausal: Bool
    let window: (left: Int, right: Int)
    let query: Operand
    let scale: Float
    let softcap: Float
    private var key: Operand
    private var value: Operand
    private var isCached = false

    init(_ node: Lowering) throws {
        query = try node.input(0)
        key = try node.input(1)
        value = try node.input(2)
        try node.expectFloat32(query)
        isFlat = query.shape.rank == 3
        batch = query.shape[0]
        heads = isFlat ? node.int("q_num_heads") : query.shape[1]
        keyHeads = isFlat ? node.int("kv_num_heads") : key.shape[1]
        guard heads > 0, keyHeads > 0, heads % keyHeads == 0, key.shape[0] == batch,
            value.shape[0] == batch, isFlat || value.shape[1] == keyHeads
        else { throw node.failure("heads or batches of queries and keys", .invalidModel) }
        queries = query.shape[isFlat ? 1 : 2]
        headSize = isFlat ? query.shape[2] / heads : query.shape[3]
        valueSize = isFlat ? value.shape[2] / keyHeads : value.shape[3]
        guard (isFlat ? key.shape[2] / keyHeads : key.shape[3]) == headSize else {
            throw node.failure("head sizes of queries and keys", .invalidModel)
        }
        guard (node.optional(4) == nil) == (node.optional(5) == nil) else {
            throw node.failure("a past of keys or values alone", .invalidModel)
        }
        past = node.optional(4)?.shape[2] ?? 0
        keys = past + key.shape[isFlat ? 1 : 2]
        isCausal = node.int("is_causal") != 0
        window = (
            node.int("left_window_size", default: -1), node.int("right_window_size", default: -1)
        )
        let given = node.float("scale")
        scale = given == 0 ? 1 / Float(headSize).squareRoot() : given
        softcap = node.float("softcap")
        try joinPast(node)
    }

    /// Puts the past before the new keys and values where there is one or the result is asked for.
    private mutating func joinPast(_ node: Lowering) throws {
        let wanted = (node.optionalOutput(1), node.optionalOutput(2))
        guard past > 0 || node.optional(4) != nil || wanted.0 != nil || wanted.1 != nil else {
            return
        }
        let shapes: (Shape, Shape) = (
            [batch, keyHeads, keys, headSize], [batch, keyHeads, keys, valueSize]
        )
        let joinedKey = try wanted.0 ?? node.temporary(.float32, shapes.0)
        let joinedValue = try wanted.1 ?? node.temporary(.float32, shapes.1)
        try join(node, past: node.optional(4), new: key, into: joinedKey, size: headSize)
        try join(node, past: node.optional(5), new: value, into: joinedValue, size: valueSize)
        key = joinedKey
        value = joinedValue
        isCached = true
    }

    private func join(
        _ node: Lowering, past cache: Operand?, new: Operand, into target: Operand, size: Int
    ) throws {
        let row = Int64(size)
        let all = Int64(keys) * row
        let heads = Int64(keyHeads)
        let to = [heads * all, all, row, 1]
        func copy(_ from: Operand, _ strides: [Int64], length: Int, at place: Int) throws {
            try emitStridedCopy(
                node, elementBytes: 4, shape: [Int64(batch), heads, Int64(length), row],
                from: StridedView(slot: from.slot, offset: 0, strides: strides),
                to: StridedView(slot: target.slot, offset: place * size, strides: to))
        }
        if let cache {
            guard cache.shape == [batch, keyHeads, past, size] as Shape else {
                throw node.failure("a past of shape \(cache.shape)", .invalidInput)
            }
            let own = Int64(past) * row
            try copy(cache, [heads * own, own, row, 1], length: past, at: 0)
        }
        let fresh = keys - past
        let own = Int64(fresh) * row
        let strides =
            isFlat ? [heads * own, row, heads * row, 1] : [heads * own, own, row, 1]
        try copy(new, strides, length: fresh, at: past)
    }

    func arguments(output: Operand) -> HeadAttentionArguments {
        func strides(_ heads: Int, _ length: Int, _ size: Int, isFlat: Bool) -> HeadStrides {
            let (heads, length, size) = (Int64(heads), Int64(length), Int64(size))
            return isFlat
                ? HeadStrides(batch: heads * length * size, head: size, row: heads * size)
                : HeadStrides(batch: heads * length * size, head: length * size, row: size)
        }
        let isFlatKey = isFlat && !isCached
        return HeadAttentionArguments(
            query: query.slot, key: key.slot, value: value.slot, output: output.slot,
            batch: Int64(batch), heads: Int64(heads), keyHeads: Int64(keyHeads),
            queries: Int64(queries), keys: Int64(keys), headSize: Int64(headSize),
            valueSize: Int64(valueSize),
            queryStrides: strides(heads, queries, headSize, isFlat: isFlat),
            keyStrides: strides(keyHeads, keys, headSize, isFlat: isFlatKey),
            valueStrides: strides(keyHeads, keys, valueSize, isFlat: isFlatKey),
            outputStrides: strides(heads, queries, valueSize, isFlat: isFlat), scale: scale,
            softcap: softcap)
    }

    // MARK: Bias

    /// A mask of numbers to be added as they are, where nothing else hides keys; nil elsewhere.
    func plainMask(_ node: Lowering) -> Operand? {
        guard let mask = node.optional(3), mask.elementType == .float32, node.optional(6) == nil,
            window.left < 0, window.right < 0, !isCausal, (1...4).contains(mask.shape.rank),
            mask.shape.last == keys
        else { return nil }
        let sizes = [batch, heads, queries]
        let lead = 4 - mask.shape.rank
        for axis in lead..<3 {
            let size = mask.shape[axis - lead]
            guard size == 1 || size == sizes[axis] else { return nil }
        }
        return mask
    }

    /// What is added to the scores, [B or 1, heads or 1, S, T]; nil where nothing but causality is.
    func bias(_ node: Lowering) throws -> Operand? {
        let mask = node.optional(3)
        let used = try node.optionalIntegers(6)
        guard mask != nil || used != nil || window.left >= 0 || window.right >= 0 else {
            return nil
        }
        if let used, used.shape != [batch] as Shape {
            throw node.failure("numbers of keys of shape \(used.shape)", .invalidInput)
        }
        var lead = [1, 1]
        var maskStrides = [Int64](repeating: 0, count: 4)
        if let mask {
            let rank = mask.shape.rank
            guard rank >= 1, rank <= 4, mask.shape[rank - 1] <= keys else {
                throw node.failure("a mask of shape \(mask.shape)", .invalidInput)
            }
            let sizes = [batch, heads, queries]
            for axis in 0..<rank {
                let place = 4 - rank + axis
                let size = mask.shape[axis]
                guard place == 3 || size == 1 || size == sizes[place] else {
                    throw node.failure("a mask of shape \(mask.shape)", .invalidInput)
                }
                if place < 2 { lead[place] = size }
                maskStrides[place] = size == 1 ? 0 : mask.strides[axis]
            }
        }
        if used != nil { lead[0] = batch }
        let bias = try node.temporary(.float32, [lead[0], lead[1], queries, keys])
        let isFlags = mask?.elementType == .bool
        let numbers = try mask.map { try node.cast($0, to: .float32) }
        try emitBias(
            node, bias, numbers, isFlags: isFlags, strides: maskStrides, used: used)
        return bias
    }

    private func emitBias(
        _ node: Lowering, _ bias: Operand, _ mask: Operand?, isFlags: Bool, strides: [Int64],
        used: Operand?
    ) throws {
        let (batches, heads) = (bias.shape[0], bias.shape[1])
        let (queries, keys, past, window) = (queries, keys, past, window)
        let isCausal = isCausal
        // Columns that the mask does not have are hidden.
        let width = mask?.shape.last ?? keys
        try node.compute { run throws(StepFault) in
            let bias = run.floats(bias)
            let mask = mask.map { run.floats($0) }
            let used = used.map { run.values($0, as: Int64.self) }
            for batch in 0..<batches {
                let limit = used.map { Swift.min(Swift.max(Int($0[batch]), 0), keys) } ?? keys
                let offset = used == nil ? past : limit - queries
                for head in 0..<heads {
                    for query in 0..<queries {
                        let row = ((batch * heads + head) * queries + query) * keys
                        for key in 0..<keys {
                            let distance = key - query - offset
                            let isHidden =
                                key >= limit || key >= width || (isCausal && distance > 0)
                                || (window.left >= 0 && -distance > window.left)
                                || (window.right >= 0 && distance > window.right)
                            var value: Float = isHidden ? -.infinity : 0
                            if let mask, !isHidden {
                                let place =
                                    Int64(batch) * strides[0] + Int64(head) * strides[1]
                                    + Int64(query) * strides[2] + Int64(key) * strides[3]
                                let own = mask[Int(place)]
                                value = isFlags ? (own != 0 ? 0 : -.infinity) : own
                            }
                            bias[row + key] = value
                        }
                    }
                }
            }
        }
    }

    // MARK: Scores

    /// Emits the fourth output: the scores as they were at the stage that the mode names.
    func emitScores(
        _ node: Lowering, _ arguments: HeadAttentionArguments, bias: Operand?, _ output: Operand
    ) throws {
        let mode = node.int("qk_matmul_output_mode")
        guard (0...3).contains(mode) else { throw node.failure("output mode \(mode)") }
        let form = self
        let (query, key) = (query, key)
        try node.compute { run throws(StepFault) in
            let (q, k) = (run.floats(query), run.floats(key))
            let bias = bias.map { (run.floats($0), $0.shape) }
            let scores = run.floats(output)
            for place in 0..<(form.batch * form.heads * form.queries) {
                let row = place % form.queries
                let head = place / form.queries % form.heads
                let batch = place / form.queries / form.heads
                let from = arguments.queryStrides.place(batch, head, row)
                for column in 0..<form.keys {
                    let group = head / (form.heads / form.keyHeads)
                    let to = arguments.keyStrides.place(batch, group, column)
                    var sum: Float = 0
                    for index in 0..<form.headSize { sum += q[from + index] * k[to + index] }
                    var score = sum * form.scale
                    if mode >= 1, form.softcap > 0 {
                        score = form.softcap * tanhf(score / form.softcap)
                    }
                    if mode >= 2 {
                        if let (bias, shape) = bias {
                            let lead = (shape[0] == 1 ? 0 : batch, shape[1] == 1 ? 0 : head)
                            score +=
                                bias[
                                    ((lead.0 * shape[1] + lead.1) * form.queries + row) * form.keys
                                        + column]
                        } else if form.isCausal, column > row + form.past {
                            score = -.infinity
                        }
                    }
                    scores[place * form.keys + column] = score
                }
                if mode == 3 { softmax(scores, from: place * form.keys, count: form.keys) }
            }
        }
    }
}

/// Softmax in place; a row of minus infinities becomes zeros.
private func softmax(_ values: Values<Float>, from start: Int, count: Int) {
    var largest = -Float.infinity
    for index in start..<(start + count) { largest = Swift.max(largest, values[index]) }
    var sum: Float = 0
    for index in start..<(start + count) {
        values[index] = largest == -.infinity ? 0 : expf(values[index] - largest)
        sum += values[index]
    }
    if sum == 0 { return }
    for index in start..<(start + count) { values[index] /= sum }
}

struct HeadStrides: BitwiseCopyable {
    var batch: Int64
    var head: Int64
    var row: Int64

    func place(_ batch: Int, _ head: Int, _ row: Int) -> Int {
        Int(Int64(batch) * self.batch + Int64(head) * self.head + Int64(row) * self.row)
    }
}

struct HeadAttentionArguments: BitwiseCopyable {
    var query: Slot
    var key: Slot
    var value: Slot
    var output: Slot
    var mask = Slot.none
    var scratch = Slot.none
    var batch: Int64
    var heads: Int64
    var keyHeads: Int64
    var queries: Int64
    var keys: Int64
    var headSize: Int64
    var valueSize: Int64
    var queryStrides: HeadStrides
    var keyStrides: HeadStrides
    var valueStrides: HeadStrides
    var outputStrides: HeadStrides
    var scale: Float
    var softcap: Float
    var causal: Int32 = 0
    var causalOffset: Int64 = 0
    var maskStrides: InlineArray<4, Int64> = [0, 0, 0, 0]

    /// The kernel's arguments; without a frame, those that only sizes matter for.
    func bound(_ frame: StepFrame?) -> martlet_attention_f32_args {
        func floats(_ slot: Slot) -> UnsafeMutablePointer<Float>? { unsafe frame?.floats(slot) }
        return unsafe martlet_attention_f32_args(
            batch: batch, heads: heads, kv_heads: keyHeads, queries: queries, keys: keys,
            head_size: headSize, value_size: valueSize, q: floats(query), k: floats(key),
            v: floats(value), o: floats(output), q_batch_stride: queryStrides.batch,
            q_head_stride: queryStrides.head, q_row_stride: queryStrides.row,
            k_batch_stride: keyStrides.batch, k_head_stride: keyStrides.head,
            k_row_stride: keyStrides.row, v_batch_stride: valueStrides.batch,
            v_head_stride: valueStrides.head, v_row_stride: valueStrides.row,
            o_batch_stride: outputStrides.batch, o_head_stride: outputStrides.head,
            o_row_stride: outputStrides.row, scale: scale, softcap: softcap, mask: floats(mask),
            mask_batch_stride: maskStrides[0], mask_head_stride: maskStrides[1],
            mask_query_stride: maskStrides[2], mask_key_stride: maskStrides[3], key_lengths: nil,
            causal: causal, causal_offset: causalOffset)
    }
}

func headAttentionStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: HeadAttentionArguments.self)
    let frame = unsafe StepFrame(frame)
    var kernel = unsafe arguments.bound(frame)
    unsafe martlet_attention_f32(&kernel, frame[arguments.scratch], frame.threads)
    return StepStatus.done
}
