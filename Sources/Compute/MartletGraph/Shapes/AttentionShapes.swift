// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// Multi-head attention over projected queries, keys and values: softmax(scale · QKᵀ + mask) ·
    /// V.
    ///
    /// Inputs: either Q[B, S, H·D], K[B, T, H·D], V[B, T, H·E], or merged QKV[B, S, 3·H·D]
    /// (queries,
    /// keys, values side by side) with inputs 1 and 2 absent; then a mask, optional: a float tensor
    /// that is added to the scores and broadcasts to [B, H, S, T], or whole numbers or booleans
    /// [B, T] that are 0 where a key is not to be seen. Attributes: `heads`; `scale` (0 means
    /// 1/√D); `causal` (0). Output: [B, S, H·E].
    public static let attention = OperatorSchema(
        "Attention", domain: "martlet"
    ) { context throws(GraphError) in
        let query = try context.type(0)
        let heads = context.int("heads")
        guard heads > 0, heads <= 1 << 16 else { throw context.failure("heads is \(heads)") }
        let isMerged = !context.has(1)
        guard var dimensions = query.dimensions else {
            return try context.setOutput(0, query.elementType, nil)
        }
        guard dimensions.count == 3 else {
            throw context.failure("queries of shape \(context.describe(dimensions))")
        }
        func check(_ width: Dimension, parts: Int) throws(GraphError) {
            if let width = width.fixed, width % (heads * parts) != 0 {
                throw context.failure("width \(width) is not a multiple of \(heads * parts)")
            }
        }
        try check(dimensions[2], parts: isMerged ? 3 : 1)
        if isMerged {
            dimensions[2] =
                dimensions[2].dividedRoundingDown(by: 3) ?? context.freshDimension()
        } else if let keys = try context.dimensions(1), let values = try context.dimensions(2) {
            guard keys.count == 3, values.count == 3 else {
                throw context.failure("keys and values need three dimensions")
            }
            try context.expectEqual(keys[2], dimensions[2], "widths of queries and keys")
            try context.expectEqual(keys[1], values[1], "lengths of keys and values")
            try check(values[2], parts: 1)
            dimensions[2] = values[2]
        }
        try context.setOutput(0, query.elementType, dimensions)
    }

    /// Mean of X[B, S, H] over the positions where mask[B, S] is not 0, at least one: [B, H].
    public static let maskedMeanPooling = OperatorSchema(
        "MaskedMeanPooling", domain: "martlet"
    ) { context throws(GraphError) in
        let data = try context.type(0)
        let mask = try context.type(1)
        guard let dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard dimensions.count == 3 else {
            throw context.failure("needs [batch, length, width]")
        }
        if let mask = mask.dimensions {
            guard mask.count == 2 else { throw context.failure("the mask needs [batch, length]") }
            try context.expectEqual(mask[0], dimensions[0], "batches of mask and data")
            try context.expectEqual(mask[1], dimensions[1], "lengths of mask and data")
        }
        try context.setOutput(0, data.elementType, [dimensions[0], dimensions[2]])
    }

    /// LayerNormalization(word[ids] + position[0..<S] + type[types]) in one step.
    ///
    /// Inputs: ids[B, S], types[B, S]?, word table[V, H], position table[P, H], type table[T, H]?,
    /// scale[H], bias[H]. Attributes: `epsilon` (1e-12), `positionOffset` (0). Output: [B, S, H].
    public static let embeddingLayerNorm = OperatorSchema(
        "EmbeddingLayerNorm", domain: "martlet"
    ) { context throws(GraphError) in
        let table = try context.type(2)
        guard let ids = try context.dimensions(0), let words = table.dimensions else {
            return try context.setOutput(0, table.elementType, nil)
        }
        guard ids.count == 2, words.count == 2 else {
            throw context.failure("needs ids [batch, length] and a table of two dimensions")
        }
        if let positions = try context.dimensions(3), positions.count == 2,
            let limit = positions[0].fixed, let length = ids[1].fixed,
            length > limit - context.int("positionOffset")
        {
            throw context.failure("\(length) positions; the table has \(limit)")
        }
        try context.setOutput(0, table.elementType, [ids[0], ids[1], words[1]])
    }

    /// LayerNormalization of the sum of rows of several tables, one row of each a token.
    ///
    /// Inputs: scale[H], bias[H]?, then up to four times table[N, H], ids[B or 1, S]. `epsilon`
    /// (1e-5). Output: [B, S, H].
    public static let embeddingSumNorm = OperatorSchema(
        "EmbeddingSumNorm", domain: "martlet"
    ) { context throws(GraphError) in
        let count = context.inputs.count
        guard count >= 4, count % 2 == 0, count <= 2 + 2 * FuseEmbeddingNorm.tableCountMax else {
            throw context.failure("\(count) inputs")
        }
        var places: [Dimension]?
        var width: Dimension?
        for pair in stride(from: 2, to: count, by: 2) {
            guard let table = try context.dimensions(pair),
                let ids = try context.dimensions(pair + 1)
            else { return try context.setOutput(0, context.type(2).elementType, nil) }
            guard table.count == 2, ids.count == 2 else {
                throw context.failure("needs tables and indices of two dimensions")
            }
            if let width { try context.expectEqual(table[1], width, "widths of tables") }
            width = table[1]
            places =
                try places.map { known throws(GraphError) in
                    try context.broadcast(known, ids)
                } ?? ids
        }
        try context.setOutput(
            0, context.type(2).elementType, (places ?? []) + [width].compactMap { $0 })
    }
}
