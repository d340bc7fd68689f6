// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a tensor's elements are. Raw values are ONNX's `TensorProto.DataType` numbers.
public enum ElementType: UInt8, Sendable, Hashable, CaseIterable {
    case float32 = 1
    case uint8 = 2
    case int8 = 3
    case uint16 = 4
    case int16 = 5
    case int32 = 6
    case int64 = 7
    /// Variable-length byte strings, each stored as a little-endian 4-byte length and its bytes
    /// (the Open Inference Protocol's binary form of BYTES).
    case bytes = 8
    case bool = 9
    case float16 = 10
    case float64 = 11
    case uint32 = 12
    case uint64 = 13
    case bfloat16 = 16
    case float8E4M3FN = 17
    case float8E4M3FNUZ = 18
    case float8E5M2 = 19
    case float8E5M2FNUZ = 20
    case uint4 = 21
    case int4 = 22
    case float4E2M1 = 23
    /// A power of two, without sign: a scale.
    case float8E8M0 = 24
    case uint2 = 25
    case int2 = 26

    /// Bits an element takes; nil for `bytes`, whose elements vary.
    public var bitWidth: Int? {
        switch self {
        case .float64, .int64, .uint64: 64
        case .float32, .int32, .uint32: 32
        case .float16, .bfloat16, .int16, .uint16: 16
        case .uint8, .int8, .bool, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ,
            .float8E8M0:
            8
        case .uint4, .int4, .float4E2M1: 4
        case .uint2, .int2: 2
        case .bytes: nil
        }
    }

    /// Bytes that `count` elements take, packed types rounded up; nil on overflow or for `bytes`.
    public func byteCount(elements count: Int) -> Int? {
        guard let bitWidth, count >= 0 else { return nil }
        if bitWidth >= 8 {
            let (bytes, overflow) = count.multipliedReportingOverflow(by: bitWidth / 8)
            return overflow ? nil : bytes
        }
        let perByte = 8 / bitWidth
        return count / perByte + (count % perByte == 0 ? 0 : 1)
    }

    /// The Open Inference Protocol's name ("FP32", "INT64", "BYTES", …); nil where it has none.
    public var protocolName: String? {
        switch self {
        case .bool: "BOOL"
        case .uint8: "UINT8"
        case .uint16: "UINT16"
        case .uint32: "UINT32"
        case .uint64: "UINT64"
        case .int8: "INT8"
        case .int16: "INT16"
        case .int32: "INT32"
        case .int64: "INT64"
        case .float16: "FP16"
        case .bfloat16: "BF16"
        case .float32: "FP32"
        case .float64: "FP64"
        case .bytes: "BYTES"
        default: nil
        }
    }

    /// The type with this Open Inference Protocol name.
    public init?(protocolName: String) {
        guard let type = ElementType.allCases.first(where: { $0.protocolName == protocolName })
        else { return nil }
        self = type
    }
}
