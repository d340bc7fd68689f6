// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// ONNX's own operators of language models.
extension OperatorSchema {
    /// Inputs: Q, K, V ([B, heads, S, D] or, with `q_num_heads` and `kv_num_heads`, [B, S, width]),
    /// mask? (booleans or added numbers), past key?, past value?, number of keys in use[B]?.
    /// `scale` (1/√D), `is_causal`, `softcap`, `qk_matmul_output_mode`, `left_window_size` and
    /// `right_window_size` (-1: no bound). Outputs: Y, present key, present value, scores.
    public static let scaledAttention = OperatorSchema("Attention") { context throws(GraphError) in
        try inferAttention(&context)
    }

    /// Inputs: Q, K, V [B, heads, S, D]; without graphs that change scores or shares. `scale`.
    public static let flexAttention = OperatorSchema(
        "FlexAttention", domain: "ai.onnx.preview"
    ) { context throws(GraphError) in
        for name in ["score_mod", "prob_mod"] where context.attributes[name] != nil {
            throw context.failure("the graph '\(name)'", code: .unsupported)
        }
        if let query = try context.dimensions(0), query.count != 4 {
            throw context.failure("needs four dimensions")
        }
        try inferAttention(&context)
    }

    private static func inferAttention(_ context: inout ShapeContext) throws(GraphError) {
        let type = try context.type(0).elementType
        guard let query = try context.dimensions(0), let key = try context.dimensions(1),
            let value = try context.dimensions(2)
        else {
            for index in 0..<4 { try context.setOutput(index, type, nil) }
            return
        }
        guard query.count == key.count, value.count == key.count,
            query.count == 3 || query.count == 4
        else { throw context.failure("needs three or four dimensions, all alike") }
        let isFlat = query.count == 3
        let heads = isFlat ? Dimension(context.int("q_num_heads")) : query[1]
        let keyHeads = isFlat ? Dimension(context.int("kv_num_heads")) : key[1]
        func perHead(_ width: Dimension, _ heads: Dimension) throws(GraphError) -> Dimension {
            guard let heads = heads.fixed, heads > 0, heads <= 1 << 16 else {
                throw context.failure("\(heads) heads")
            }
            if let width = width.fixed, width % heads != 0 {
                throw context.failure("width \(width) of \(heads) heads")
            }
            return width.dividedRoundingDown(by: heads) ?? context.freshDimension()
        }
        let headSize = try isFlat ? perHead(query[2], heads) : query[3]
        let valueSize = try isFlat ? perHead(value[2], keyHeads) : value[3]
        let keySize = try isFlat ? perHead(key[2], keyHeads) : key[3]
        try context.expectEqual(headSize, keySize, "head sizes of queries and keys")
        if let heads = heads.fixed, let keyHeads = keyHeads.fixed,
            keyHeads <= 0 || heads % keyHeads != 0
        {
            throw context.failure("\(heads) heads of queries, \(keyHeads) of keys")
        }
        let length = key[isFlat ? 1 : 2]
        try context.expectEqual(length, value[isFlat ? 1 : 2], "lengths of keys and values")
        var total = length
        if context.has(4), let past = try context.dimensions(4) {
            guard past.count == 4 else { throw context.failure("the past has four dimensions") }
            total = try context.sum(past[2], length)
        }
        let queries = query[isFlat ? 1 : 2]
        try context.setOutput(
            0, type,
            isFlat
                ? [query[0], queries, try context.product(heads, valueSize)]
                : [query[0], heads, queries, valueSize])
        try context.setOutput(
            1, context.type(1).elementType, [query[0], keyHeads, total, headSize])
        try context.setOutput(
            2, context.type(2).elementType, [query[0], keyHeads, total, valueSize])
        try context.setOutput(3, type, [query[0], heads, queries, total])
    }

    /// Inputs: X ([B, heads, S, D] or, with `num_heads`, [B, S, width]), cosines and sines ([B, S,
    /// half] or, with positions, [positions, half]), positions[B, S]?. `interleaved`,
    /// `rotary_embedding_dim` (0: all of D).
    public static let rotaryEmbedding = elementwise("RotaryEmbedding")

    /// Inputs: Q[B, T, heads · K], K, V, state[B, heads, K, V]?, decay?, beta?. `q_num_heads`,
    /// `kv_num_heads`, `scale` (0: 1/√K), `update_rule`. Outputs: Y[B, T, heads · V], the state.
    public static let linearAttention = OperatorSchema(
        "LinearAttention"
    ) { context throws(GraphError) in
        let type = try context.type(0).elementType
        let heads = context.int("q_num_heads")
        let stateHeads = context.int("kv_num_heads")
        guard heads > 0, stateHeads > 0, heads % stateHeads == 0, heads <= 1 << 16 else {
            throw context.failure("\(heads) heads of queries, \(stateHeads) of keys")
        }
        let stateType = context.has(3) ? try context.type(3).elementType : type
        guard let query = try context.dimensions(0), let value = try context.dimensions(2) else {
            try context.setOutput(0, type, nil)
            return try context.setOutput(1, stateType, nil)
        }
        guard query.count == 3, value.count == 3 else {
            throw context.failure("needs [batch, length, width]")
        }
        let keySize = query[2].dividedRoundingDown(by: heads) ?? context.freshDimension()
        let valueSize = value[2].dividedRoundingDown(by: stateHeads) ?? context.freshDimension()
        try context.setOutput(
            0, type, [query[0], query[1], try context.product(Dimension(heads), valueSize)])
        try context.setOutput(
            1, stateType, [query[0], Dimension(stateHeads), keySize, valueSize])
    }

    /// Inputs: X[B, C, L], weights[C, 1, k], bias[C]?, state[B, C, k - 1]?. `activation` ("none",
    /// "silu"). Outputs: Y[B, C, L], the state.
    public static let causalConvWithState = OperatorSchema(
        "CausalConvWithState"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        try context.setOutput(0, data.elementType, data.dimensions)
        guard let dimensions = data.dimensions, let weights = try context.dimensions(1) else {
            return try context.setOutput(1, data.elementType, nil)
        }
        guard dimensions.count == 3, weights.count == 3 else {
            throw context.failure("data and weights have three dimensions")
        }
        try context.expectEqual(dimensions[1], weights[0], "channels of data and weights")
        let kept = weights[2].adding(-1) ?? context.freshDimension()
        try context.setOutput(1, data.elementType, [dimensions[0], dimensions[1], kept])
    }

    /// swish(A) · B of one shape; `alpha` (1).
    public static let swiGLU = OperatorSchema("SwiGLU") { context throws(GraphError) in
        let data = try context.type(0)
        if let left = data.dimensions, let right = try context.dimensions(1) {
            guard left.count == right.count else { throw context.failure("the inputs differ") }
            for (own, other) in zip(left, right) {
                try context.expectEqual(own, other, "sizes of the inputs")
            }
        }
        try context.setOutput(0, data.elementType, data.dimensions)
    }

    /// A cache with an update written in. Inputs: cache[B, …], update, places[B]?. `axis` (-2),
    /// `mode` ("linear" or "circular").
    public static let tensorScatter = OperatorSchema("TensorScatter") {
        context throws(GraphError) in
        let data = try context.type(0)
        if let cache = data.dimensions, let update = try context.dimensions(1) {
            guard cache.count == update.count else {
                throw context.failure("cache and update differ in rank")
            }
            let axis = try context.axis(context.int("axis", default: -2), rank: cache.count)
            guard axis > 0 else { throw context.failure("the axis is the batch's") }
            for index in cache.indices where index != axis {
                try context.expectEqual(cache[index], update[index], "sizes of cache and update")
            }
            if let room = cache[axis].fixed, let length = update[axis].fixed, length > room {
                throw context.failure("\(length) places to write of \(room)")
            }
        }
        try context.setOutput(0, data.elementType, data.dimensions)
    }
}
