// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Takes one `name: value` line apart, without its line end.
///
/// Refused: no colon, an empty name, bytes that are no token before the colon (white space too:
/// RFC 9112 §5.1), a line that continues the one before (§5.2), control characters in the value.
func parseFieldLine(
    _ bytes: WireBytes, _ line: Range<Int>
) throws(WireError) -> HTTPFields.Field {
    var place = line.lowerBound
    let first = bytes[place]
    if first == 0x20 || first == 0x09 {
        throw WireError(.malformed, "a header line continues another, which is obsolete")
    }
    while place < line.upperBound, ByteClass.isToken(bytes[place]) { place += 1 }
    guard place > line.lowerBound, place < line.upperBound, bytes[place] == UInt8(ascii: ":")
    else { throw WireError(.malformed, "a header name has bytes that are not allowed") }
    let name = line.lowerBound..<place
    place += 1
    var end = line.upperBound
    while place < end, bytes[place] == 0x20 || bytes[place] == 0x09 { place += 1 }
    while end > place, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
    guard bytes.isFieldValue(place..<end) else {
        throw WireError(.malformed, "a header value has a control character")
    }
    return HTTPFields.Field(
        name: name, value: place..<end, kind: KnownField.of(bytes, name))
}

/// The next line from `start` in bytes searched up to `scanned`: its content and where the next
/// begins; nil when it has not ended yet. A line feed without a carriage return is refused.
func nextLine(
    _ bytes: WireBytes, from start: Int, scanned: inout Int
) throws(WireError) -> (line: Range<Int>, next: Int)? {
    guard let feed = bytes.lineFeed(from: scanned) else {
        scanned = bytes.count
        return nil
    }
    guard feed > start, bytes[feed - 1] == 0x0D else {
        throw WireError(.malformed, "a line ends without a carriage return")
    }
    scanned = feed + 1
    return (start..<feed - 1, feed + 1)
}
