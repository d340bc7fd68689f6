// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Writes a body of unknown length (RFC 9112 §7.1).
package enum ChunkedEncoder {
    /// Appends one chunk; nothing for no bytes, which would end the body.
    package static func append(_ bytes: UnsafeRawBufferPointer, to target: inout [UInt8]) {
        guard bytes.count > 0 else { return }
        appendHexadecimal(bytes.count, to: &target)
        target.append(0x0D)
        target.append(0x0A)
        unsafe target.append(contentsOf: bytes)
        target.append(0x0D)
        target.append(0x0A)
    }

    /// Appends one chunk; nothing for no bytes, which would end the body.
    package static func append(_ bytes: UnsafeRawBufferPointer, to target: inout WireBuffer) {
        guard bytes.count > 0 else { return }
        let digits: StaticString = "0123456789abcdef"
        var shift = (Int.bitWidth - bytes.count.leadingZeroBitCount + 3) / 4 * 4 - 4
        while shift >= 0 {
            unsafe target.append(digits.utf8Start[(bytes.count >> shift) & 15])
            shift -= 4
        }
        target.append("\r\n")
        unsafe target.append(contentsOf: bytes)
        target.append("\r\n")
    }

    /// Appends the end of the body, without trailers.
    package static func appendEnd(to target: inout WireBuffer) { target.append("0\r\n\r\n") }

    /// Appends the end of the body, without trailers.
    package static func appendEnd(to target: inout [UInt8]) {
        let end: StaticString = "0\r\n\r\n"
        unsafe target.append(
            contentsOf: UnsafeBufferPointer(start: end.utf8Start, count: end.utf8CodeUnitCount))
    }

    private static func appendHexadecimal(_ number: Int, to target: inout [UInt8]) {
        let digits: StaticString = "0123456789abcdef"
        var shift = (Int.bitWidth - number.leadingZeroBitCount + 3) / 4 * 4 - 4
        while shift >= 0 {
            unsafe target.append(digits.utf8Start[(number >> shift) & 15])
            shift -= 4
        }
    }
}
