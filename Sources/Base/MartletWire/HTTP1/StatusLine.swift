// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension HTTPResponseHead {
    /// Takes the status line apart (RFC 9112 §4): one space between its parts. The space before an
    /// empty reason may be missing, as many servers have it.
    mutating func parseStatusLine(
        _ bytes: WireBytes, _ line: Range<Int>
    ) throws(WireError) {
        let version: StaticString = "HTTP/1."
        let start = line.lowerBound
        guard line.count >= 12 else {
            throw WireError(.malformed, "the status line is too short")
        }
        for offset in 0..<5 where unsafe bytes[start + offset] != version.utf8Start[offset] {
            throw WireError(.malformed, "the status line has no HTTP version")
        }
        let minor = bytes[start + 7] &- UInt8(ascii: "0")
        guard bytes[start + 5] == UInt8(ascii: "1"), bytes[start + 6] == UInt8(ascii: "."),
            minor <= 1
        else { throw WireError(.unsupported, "a response in another version of HTTP") }
        minorVersion = Int(minor)
        var value = 0
        for place in start + 9..<start + 12 {
            let digit = bytes[place] &- UInt8(ascii: "0")
            guard digit <= 9 else {
                throw WireError(.malformed, "the status is no number of three digits")
            }
            value = value * 10 + Int(digit)
        }
        guard bytes[start + 8] == 0x20, (100..<600).contains(value) else {
            throw WireError(.malformed, "the status is none from 100 to 599")
        }
        status = value
        reason = line.upperBound..<line.upperBound
        guard line.count > 12 else { return }
        guard bytes[start + 12] == 0x20 else {
            throw WireError(.malformed, "the status is no number of three digits")
        }
        reason = start + 13..<line.upperBound
        for place in reason where !ByteClass.isFieldValue(bytes[place]) {
            throw WireError(.malformed, "the reason phrase has a control character")
        }
    }
}
