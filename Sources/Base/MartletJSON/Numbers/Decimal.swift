// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A JSON number taken apart: `±mantissa × 10^exponent`.
struct Decimal {
    var mantissa: UInt64 = 0
    var exponent = 0
    var isNegative = false
    /// Written without fraction and exponent.
    var isInteger = true
    /// More than 19 significant digits: `mantissa` holds the first 19.
    var isTruncated = false
    /// Not a number, or infinite (`mantissa` 0 and 1): only where non-finite numbers are accepted.
    var isNonFinite = false
}

/// 10^0 to 10^8, by which a group of digits shifts what came before.
let groupScales: InlineArray<9, UInt64> = [
    1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000,
]

/// Reads a run of digits into `mantissa`, wrapping; returns how many there were.
///
/// Eight at a time, without a branch on where the run ends: bytes that are no digits are shifted
/// out and the rest multiplied together (Lemire: Number Parsing at a Gigabyte per Second, 2021).
@inline(__always)
func scanDigits(_ source: ByteSource, _ position: inout Int, _ mantissa: inout UInt64) -> Int {
    let start = position
    while position + 8 <= source.count {
        var digits = source.word(at: position) ^ 0x3030_3030_3030_3030
        let others =
            ((digits &+ 0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080
        let count = others == 0 ? 8 : others.trailingZeroBitCount >> 3
        if count == 0 { return position - start }
        digits <<= UInt64(truncatingIfNeeded: 64 &- 8 &* count)
        digits = digits &* 10 &+ digits >> 8
        let pairs: UInt64 = 0x0000_00FF_0000_00FF
        let value =
            ((digits & pairs) &* 0x000F_4240_0000_0064
                &+ ((digits >> 16) & pairs) &* 0x0000_2710_0000_0001) >> 32
        mantissa = mantissa &* groupScales[count] &+ value
        position &+= count
        if count < 8 { return position - start }
    }
    while position < source.count {
        let digit = source[position] &- UInt8(ascii: "0")
        guard digit <= 9 else { break }
        mantissa = mantissa &* 10 &+ UInt64(digit)
        position &+= 1
    }
    return position - start
}
