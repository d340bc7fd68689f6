// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Operators on texts.
extension OperatorSchema {
    /// Each text of A followed by that of B; with broadcasting.
    public static let stringConcat = OperatorSchema("StringConcat") { context throws(GraphError) in
        let dimensions = try context.broadcast([context.dimensions(0), context.dimensions(1)])
        try context.setOutput(0, .bytes, dimensions)
    }

    /// Equal of texts.
    public static let stringEqual = OperatorSchema(
        "StringEqual", domain: "martlet"
    ) { context throws(GraphError) in
        let dimensions = try context.broadcast([context.dimensions(0), context.dimensions(1)])
        try context.setOutput(0, .bool, dimensions)
    }

    /// `delimiter` (blanks), `maxsplit`. Outputs: the parts[…, most], how many each text has.
    public static let stringSplit = OperatorSchema("StringSplit") { context throws(GraphError) in
        let dimensions = try context.dimensions(0)
        let width = context.freshDimension()
        try context.setOutput(0, .bytes, dimensions.map { $0 + [width] })
        try context.setOutput(1, .int64, dimensions)
    }

    /// `case_change_action`, `is_case_sensitive`, `stopwords`.
    public static let stringNormalizer = OperatorSchema(
        "StringNormalizer"
    ) { context throws(GraphError) in
        var dimensions = try context.dimensions(0)
        if let count = dimensions?.count, count > 0 {
            dimensions?[count - 1] = context.freshDimension()
        }
        try context.setOutput(0, .bytes, dimensions)
    }

    /// `pattern`, of RE2's syntax: whether each whole text matches.
    public static let regexFullMatch = OperatorSchema(
        "RegexFullMatch"
    ) { context throws(GraphError) in
        try context.setOutput(0, .bool, context.dimensions(0))
    }

    /// Counts of the n-grams of `pool_strings` or `pool_int64s`, X[C] or [N, C]. `ngram_counts`,
    /// `ngram_indexes`, `min_gram_length`, `max_gram_length`, `max_skip_count`, `mode`, `weights`.
    public static let tfIdfVectorizer = OperatorSchema(
        "TfIdfVectorizer"
    ) { context throws(GraphError) in
        let last = context.ints("ngram_indexes")?.max() ?? -1
        guard last >= -1, last < Int(Int32.max) else {
            throw context.failure("ngram_indexes up to \(last)")
        }
        let width = last + 1
        let dimensions = try context.dimensions(0)
        try context.setOutput(
            0, .float32, dimensions.map { $0.dropLast() + [Dimension(width)] })
    }

    /// Each element's value in a table: `keys_…` and `values_…` of strings, int64s, floats or a
    /// tensor, and `default_…`.
    public static let labelEncoder = OperatorSchema(
        "LabelEncoder", domain: "ai.onnx.ml"
    ) { context throws(GraphError) in
        let type: ElementType? =
            if context.attributes["values_strings"] != nil {
                .bytes
            } else if context.attributes["values_int64s"] != nil {
                .int64
            } else if context.attributes["values_floats"] != nil { .float32 } else {
                context.attributes["values_tensor"]?.tensor?.elementType
            }
        try context.setOutput(0, type, context.dimensions(0))
    }
}
