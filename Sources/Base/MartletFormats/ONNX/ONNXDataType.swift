// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// ONNX's `TensorProto.DataType`; raw values are the format's own numbers.
public enum ONNXDataType: Int32, Sendable, Hashable, CaseIterable {
    case undefined = 0
    case float32 = 1
    case uint8 = 2
    case int8 = 3
    case uint16 = 4
    case int16 = 5
    case int32 = 6
    case int64 = 7
    case string = 8
    case bool = 9
    case float16 = 10
    case float64 = 11
    case uint32 = 12
    case uint64 = 13
    case complex64 = 14
    case complex128 = 15
    case bfloat16 = 16
    case float8E4M3FN = 17
    case float8E4M3FNUZ = 18
    case float8E5M2 = 19
    case float8E5M2FNUZ = 20
    case uint4 = 21
    case int4 = 22
    case float4E2M1 = 23
    case float8E8M0 = 24
    case uint2 = 25
    case int2 = 26
    case float6E2M3 = 27
    case float6E3M2 = 28

    /// Bits an element takes in `raw_data`; nil for strings and for `undefined`.
    public var bitWidth: Int? {
        switch self {
        case .undefined, .string: nil
        case .complex128: 128
        case .complex64, .float64, .int64, .uint64: 64
        case .float32, .int32, .uint32: 32
        case .float16, .bfloat16, .int16, .uint16: 16
        case .uint8, .int8, .bool, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ,
            .float8E8M0:
            8
        case .float6E2M3, .float6E3M2: 6
        case .uint4, .int4, .float4E2M1: 4
        case .uint2, .int2: 2
        }
    }

    /// Bytes that `count` elements take in `raw_data`; nil on overflow and for strings.
    public func byteCount(elements count: Int) -> Int? {
        guard let bitWidth, count >= 0 else { return nil }
        let (bits, overflow) = count.multipliedReportingOverflow(by: bitWidth)
        guard !overflow else {
            // Whole bytes may still fit where the bit count does not.
            let (bytes, tooMany) = count.multipliedReportingOverflow(by: bitWidth / 8)
            return tooMany || bitWidth < 8 ? nil : bytes
        }
        return bits / 8 + (bits % 8 == 0 ? 0 : 1)
    }
}
