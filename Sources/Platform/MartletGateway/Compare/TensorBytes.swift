// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Tensors as they travel: little-endian elements, row-major (the Open Inference Protocol's binary
/// extension), and embeddings as base64 of 32-bit floats (OpenAI).
enum TensorBytes {
    /// Nil when the type has no numbers or the bytes are no whole number of elements.
    static func values(_ bytes: ArraySlice<UInt8>, _ type: String) -> [Double]? {
        switch type {
        case "FP32":
            words(bytes, 4) { Double(Float(bitPattern: UInt32(truncatingIfNeeded: $0))) }
        case "FP64": words(bytes, 8) { Double(bitPattern: $0) }
        case "FP16": words(bytes, 2) { half(UInt16(truncatingIfNeeded: $0)) }
        case "BF16":
            words(bytes, 2) { Double(Float(bitPattern: UInt32(truncatingIfNeeded: $0) << 16)) }
        case "INT8": words(bytes, 1) { Double(Int8(truncatingIfNeeded: $0)) }
        case "INT16": words(bytes, 2) { Double(Int16(truncatingIfNeeded: $0)) }
        case "INT32": words(bytes, 4) { Double(Int32(truncatingIfNeeded: $0)) }
        case "INT64": words(bytes, 8) { Double(Int64(bitPattern: $0)) }
        case "BOOL", "UINT8": words(bytes, 1) { Double($0) }
        case "UINT16": words(bytes, 2) { Double($0) }
        case "UINT32": words(bytes, 4) { Double($0) }
        case "UINT64": words(bytes, 8) { Double($0) }
        default: nil
        }
    }

    private static func words(
        _ bytes: ArraySlice<UInt8>, _ width: Int, _ value: (UInt64) -> Double
    ) -> [Double]? {
        guard !bytes.isEmpty, bytes.count % width == 0 else { return nil }
        var found: [Double] = []
        found.reserveCapacity(bytes.count / width)
        var place = bytes.startIndex
        while place < bytes.endIndex {
            var word: UInt64 = 0
            for offset in 0..<width { word |= UInt64(bytes[place + offset]) << UInt64(8 * offset) }
            found.append(value(word))
            place += width
        }
        return found
    }

    /// IEEE 754 half precision.
    private static func half(_ bits: UInt16) -> Double {
        let sign = bits & 0x8000 == 0 ? 1.0 : -1.0
        let exponent = Int(bits >> 10) & 31
        let fraction = Double(bits & 0x3FF) / 1_024
        switch exponent {
        case 0: return sign * fraction * 0x1p-14
        case 31: return fraction == 0 ? sign * .infinity : .nan
        default:
            return sign * (1 + fraction)
                * Double(sign: .plus, exponent: exponent - 15, significand: 1)
        }
    }

    /// 32-bit floats in base64; nil for a text that is none.
    static func base64Floats(_ text: String) -> [Double]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count / 4 * 3)
        var word: UInt32 = 0
        var bits = 0
        var padding = 0
        for letter in text.utf8 {
            if letter == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            guard padding == 0, let value = sextet(letter) else { return nil }
            word = word << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
            }
        }
        guard padding <= 2, text.utf8.count % 4 == 0 else { return nil }
        return values(bytes[...], "FP32")
    }

    private static func sextet(_ letter: UInt8) -> UInt32? {
        switch letter {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(letter - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(letter - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(letter - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
