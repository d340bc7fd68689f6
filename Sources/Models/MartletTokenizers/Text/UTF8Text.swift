// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Reading and writing scalars in UTF-8 that is known to be valid.
enum UTF8Text {
    /// The scalar that begins at `index`, and the index after it.
    ///
    /// Text comes from `String` and is valid; a byte that is not answers U+FFFD and one step.
    @inline(__always)
    static func scalar(_ bytes: Span<UInt8>, at index: Int) -> (value: UInt32, next: Int) {
        let first = UInt32(bytes[index])
        if first < 0x80 { return (first, index + 1) }
        let left = bytes.count - index
        if first < 0xE0, first >= 0xC0, left >= 2 {
            return ((first & 0x1F) << 6 | UInt32(bytes[index + 1] & 0x3F), index + 2)
        }
        if first >= 0xE0, first < 0xF0, left >= 3 {
            let value =
                (first & 0x0F) << 12 | UInt32(bytes[index + 1] & 0x3F) << 6
                | UInt32(bytes[index + 2] & 0x3F)
            return (value, index + 3)
        }
        if first >= 0xF0, left >= 4 {
            let value =
                (first & 0x07) << 18 | UInt32(bytes[index + 1] & 0x3F) << 12
                | UInt32(bytes[index + 2] & 0x3F) << 6 | UInt32(bytes[index + 3] & 0x3F)
            return (value, index + 4)
        }
        return (0xFFFD, index + 1)
    }

    /// The scalar that ends just before `end`, and where it begins; `end` is above `start`.
    static func scalar(
        _ bytes: Span<UInt8>, before end: Int, notBefore start: Int
    ) -> (value: UInt32, begin: Int) {
        var begin = end - 1
        while begin > start, end - begin < 4, bytes[begin] & 0xC0 == 0x80 { begin -= 1 }
        return (scalar(bytes, at: begin).value, begin)
    }

    /// Appends a scalar's UTF-8 form.
    @inline(__always)
    static func append(_ value: UInt32, to bytes: inout [UInt8]) {
        if value < 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value))
        } else if value < 0x800 {
            bytes.append(UInt8(truncatingIfNeeded: 0xC0 | value >> 6))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | value & 0x3F))
        } else if value < 0x10000 {
            bytes.append(UInt8(truncatingIfNeeded: 0xE0 | value >> 12))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | value >> 6 & 0x3F))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | value & 0x3F))
        } else {
            bytes.append(UInt8(truncatingIfNeeded: 0xF0 | value >> 18 & 0x07))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | value >> 12 & 0x3F))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | value >> 6 & 0x3F))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | value & 0x3F))
        }
    }

    static func appendScalars(of bytes: Span<UInt8>, to scalars: inout [UInt32]) {
        var index = 0
        while index < bytes.count {
            let (scalar, next) = scalar(bytes, at: index)
            scalars.append(scalar)
            index = next
        }
    }

    /// How many scalars a range holds, counting no further than `limit` + 1.
    static func scalarCount(
        _ bytes: Span<UInt8>, _ range: Range<Int>, limit: Int
    ) -> Int {
        var count = 0
        for index in range where bytes[index] & 0xC0 != 0x80 {
            count += 1
            if count > limit { break }
        }
        return count
    }
}
