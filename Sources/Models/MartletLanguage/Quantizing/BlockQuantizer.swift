// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Rounds rows of weights to GGUF's types. What it writes for the types of 32 weights a block is
/// what ggml's reference code writes; for the K types, scales are searched as it does in kind.
package enum BlockQuantizer {
    /// The types that can be written.
    package static let types = [
        "F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K",
    ]

    /// Adds the bytes of whole blocks to `out`.
    /// - Precondition: `type` is of `types`, and the values are whole blocks.
    static func append(_ values: Span<Float>, type: String, to out: inout [UInt8]) {
        switch type {
        case "F32":
            for index in values.indices { append(values[index].bitPattern, to: &out) }
        case "F16":
            for index in values.indices { append(Float16(values[index]).bitPattern, to: &out) }
        case "BF16":
            for index in values.indices { append(bfloat16(values[index]), to: &out) }
        case "Q4_K", "Q5_K", "Q6_K":
            for start in stride(from: 0, to: values.count, by: 256) {
                let block = values.extracting(start..<start + 256)
                if type == "Q6_K" {
                    appendQ6K(block, to: &out)
                } else {
                    appendAffineK(block, bits: type == "Q4_K" ? 4 : 5, to: &out)
                }
            }
        default:
            for start in stride(from: 0, to: values.count, by: 32) {
                let block = values.extracting(start..<start + 32)
                switch type {
                case "Q8_0": appendQ8(block, to: &out)
                case "Q4_0": appendCentred(block, bits: 4, to: &out)
                case "Q5_0": appendCentred(block, bits: 5, to: &out)
                case "Q4_1": appendAffine(block, bits: 4, to: &out)
                default: appendAffine(block, bits: 5, to: &out)
                }
            }
        }
    }

    static func append<Value: FixedWidthInteger & UnsignedInteger>(
        _ value: Value, to out: inout [UInt8]
    ) {
        for byte in 0..<(Value.bitWidth / 8) {
            out.append(UInt8(truncatingIfNeeded: value >> Value(byte * 8)))
        }
    }

    static func append(half value: Float, to out: inout [UInt8]) {
        append(Float16(value).bitPattern, to: &out)
    }

    /// To the nearest, ties to even.
    private static func bfloat16(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    }

    // MARK: Blocks of 32

    private static func appendQ8(_ block: Span<Float>, to out: inout [UInt8]) {
        var largest: Float = 0
        for index in block.indices { largest = max(largest, abs(block[index])) }
        let scale = largest / 127
        let inverse = scale != 0 ? 1 / scale : 0
        append(half: scale, to: &out)
        for index in block.indices {
            let rounded = (block[index] * inverse).rounded(.toNearestOrAwayFromZero)
            out.append(UInt8(bitPattern: Int8(clamping(rounded, -128, 127))))
        }
    }

    /// d (q - middle): the value of the greatest size is met exactly.
    private static func appendCentred(_ block: Span<Float>, bits: Int, to out: inout [UInt8]) {
        var extreme: Float = 0
        for index in block.indices where abs(block[index]) > abs(extreme) {
            extreme = block[index]
        }
        let middle = 1 << (bits - 1)
        let scale = extreme / Float(-middle)
        let inverse = scale != 0 ? 1 / scale : 0
        append(half: scale, to: &out)
        appendPacked(block, bits: bits, to: &out) { value in
            value * inverse + Float(middle) + 0.5
        }
    }

    /// d q + m.
    private static func appendAffine(_ block: Span<Float>, bits: Int, to out: inout [UInt8]) {
        var (low, high) = (block[0], block[0])
        for index in block.indices {
            low = min(low, block[index])
            high = max(high, block[index])
        }
        let scale = (high - low) / Float((1 << bits) - 1)
        let inverse = scale != 0 ? 1 / scale : 0
        append(half: scale, to: &out)
        append(half: low, to: &out)
        appendPacked(block, bits: bits, to: &out) { ($0 - low) * inverse + 0.5 }
    }

    /// Fifth bits first where there are any, then nibbles: the first half's are low.
    private static func appendPacked(
        _ block: Span<Float>, bits: Int, to out: inout [UInt8], _ level: (Float) -> Float
    ) {
        var levels = InlineArray<32, UInt8>(repeating: 0)
        let most = Float((1 << bits) - 1)
        for index in 0..<32 { levels[index] = UInt8(clamping(level(block[index]), 0, most)) }
        if bits == 5 {
            var fifths: UInt32 = 0
            for index in 0..<32 { fifths |= UInt32(levels[index] >> 4) << UInt32(index) }
            append(fifths, to: &out)
        }
        for index in 0..<16 { out.append(levels[index] & 15 | levels[index + 16] << 4) }
    }

    /// NaN becomes the least.
    static func clamping(_ value: Float, _ least: Float, _ most: Float) -> Int {
        value > least ? Int(min(value, most)) : Int(least)
    }
}
