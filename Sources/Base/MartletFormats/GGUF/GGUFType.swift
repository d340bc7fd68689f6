// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How a GGUF tensor's elements are stored: plain, or in blocks that share scales.
///
/// Raw values are the file's own numbers. Source: ggml's `enum ggml_type` and the GGUF
/// specification (ggml, docs/gguf.md).
public enum GGUFType: UInt32, Hashable, Sendable, CaseIterable {
    case float32 = 0
    case float16 = 1
    case q40 = 2
    case q41 = 3
    case q50 = 6
    case q51 = 7
    case q80 = 8
    case q2K = 10
    case q3K = 11
    case q4K = 12
    case q5K = 13
    case q6K = 14
    case int8 = 24
    case int16 = 25
    case int32 = 26
    case int64 = 27
    case float64 = 28
    case bfloat16 = 30

    /// Elements a block holds; 1 for plain types. Rows are whole blocks.
    public var blockElementCount: Int {
        switch self {
        case .float32, .float16, .bfloat16, .float64, .int8, .int16, .int32, .int64: 1
        case .q40, .q41, .q50, .q51, .q80: 32
        case .q2K, .q3K, .q4K, .q5K, .q6K: 256
        }
    }

    /// Bytes a block takes.
    public var blockByteCount: Int {
        switch self {
        case .int8: 1
        case .float16, .bfloat16, .int16: 2
        case .float32, .int32: 4
        case .float64, .int64: 8
        case .q40: 18
        case .q41: 20
        case .q50: 22
        case .q51: 24
        case .q80: 34
        case .q2K: 84
        case .q3K: 110
        case .q4K: 144
        case .q5K: 176
        case .q6K: 210
        }
    }

    /// The name that GGUF tools print.
    public var name: String {
        switch self {
        case .float32: "F32"
        case .float16: "F16"
        case .bfloat16: "BF16"
        case .float64: "F64"
        case .int8: "I8"
        case .int16: "I16"
        case .int32: "I32"
        case .int64: "I64"
        case .q40: "Q4_0"
        case .q41: "Q4_1"
        case .q50: "Q5_0"
        case .q51: "Q5_1"
        case .q80: "Q8_0"
        case .q2K: "Q2_K"
        case .q3K: "Q3_K"
        case .q4K: "Q4_K"
        case .q5K: "Q5_K"
        case .q6K: "Q6_K"
        }
    }

    /// The bytes of rows of `rowElements` elements, `elements` in all; nil when a row is not whole
    /// blocks or the size overflows.
    public func byteCount(elements: Int, rowElements: Int) -> Int? {
        guard elements >= 0, rowElements >= 0, rowElements % blockElementCount == 0 else {
            return nil
        }
        let (bytes, overflow) = (elements / blockElementCount)
            .multipliedReportingOverflow(by: blockByteCount)
        return overflow ? nil : bytes
    }
}
