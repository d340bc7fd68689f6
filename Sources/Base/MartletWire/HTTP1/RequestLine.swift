// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension HTTPRequestHead {
    /// Takes the request line apart (RFC 9112 §3): one space between its parts, nothing else.
    mutating func parseRequestLine(
        _ bytes: WireBytes, _ line: Range<Int>
    ) throws(WireError) {
        var place = line.lowerBound
        while place < line.upperBound, ByteClass.isToken(bytes[place]) { place += 1 }
        let methodRange = line.lowerBound..<place
        guard !methodRange.isEmpty, methodRange.count <= 32, place < line.upperBound,
            bytes[place] == 0x20
        else { throw WireError(.malformed, "the request line has no method") }
        method = HTTPRequestHead.method(bytes, methodRange)
        place += 1
        let targetStart = place
        while place < line.upperBound, ByteClass.isTarget(bytes[place]) { place += 1 }
        guard place > targetStart, place < line.upperBound, bytes[place] == 0x20 else {
            throw WireError(.malformed, "the request line has no target that is allowed")
        }
        target = targetStart..<place
        try parseVersion(bytes, place + 1..<line.upperBound)
        try splitTarget(bytes)
    }

    private static func method(_ bytes: WireBytes, _ range: Range<Int>) -> HTTPMethod {
        func matches(_ word: StaticString) -> Bool {
            guard range.count == word.utf8CodeUnitCount else { return false }
            for offset in 0..<range.count
            where unsafe bytes[range.lowerBound + offset] != word.utf8Start[offset] {
                return false
            }
            return true
        }
        if matches("POST") { return .post }
        if matches("GET") { return .get }
        if matches("HEAD") { return .head }
        if matches("PUT") { return .put }
        if matches("DELETE") { return .delete }
        if matches("OPTIONS") { return .options }
        if matches("PATCH") { return .patch }
        return .other
    }

    private mutating func parseVersion(
        _ bytes: WireBytes, _ range: Range<Int>
    ) throws(WireError) {
        let expected: StaticString = "HTTP/1."
        guard range.count == 8 else {
            throw WireError(.malformed, "the request line has no HTTP version")
        }
        for offset in 0..<5
        where unsafe bytes[range.lowerBound + offset] != expected.utf8Start[offset] {
            throw WireError(.malformed, "the request line has no HTTP version")
        }
        let minor = bytes[range.upperBound - 1] &- UInt8(ascii: "0")
        guard bytes[range.lowerBound + 5] == UInt8(ascii: "1"),
            bytes[range.lowerBound + 6] == UInt8(ascii: "."), minor <= 1
        else {
            throw WireError(
                .unsupported, status: 505, "HTTP/1.1 and HTTP/1.0 are spoken here")
        }
        minorVersion = Int(minor)
    }

    /// Finds path and query in origin form, absolute form or '*'.
    private mutating func splitTarget(_ bytes: WireBytes) throws(WireError) {
        var start = target.lowerBound
        if bytes[start] != UInt8(ascii: "/") {
            if target.count == 1, bytes[start] == UInt8(ascii: "*"), method == .options {
                path = target
                query = target.upperBound..<target.upperBound
                return
            }
            start = try endOfAuthority(bytes)
        }
        var end = target.upperBound
        for place in start..<target.upperBound where bytes[place] == UInt8(ascii: "?") {
            end = place
            break
        }
        path = start..<end
        query = min(end + 1, target.upperBound)..<target.upperBound
    }

    /// Where the path begins in `http://host/path`.
    private func endOfAuthority(_ bytes: WireBytes) throws(WireError) -> Int {
        for scheme in ["http://", "https://"] as [StaticString] {
            let length = scheme.utf8CodeUnitCount
            guard target.count > length else { continue }
            let isScheme = (0..<length).allSatisfy {
                unsafe lowercased(bytes[target.lowerBound + $0]) == scheme.utf8Start[$0]
            }
            guard isScheme else { continue }
            for place in target.lowerBound + length..<target.upperBound
            where bytes[place] == UInt8(ascii: "/") {
                guard place > target.lowerBound + length else { break }
                return place
            }
        }
        throw WireError(.malformed, "the request target is neither a path nor an absolute URL")
    }

    /// The authority of an absolute target; nil for other forms.
    var targetAuthority: Range<Int>? {
        guard path.lowerBound > target.lowerBound else { return nil }
        let scheme = fields.bytes[target].firstIndex(of: UInt8(ascii: ":")) ?? target.lowerBound
        return min(scheme + 3, path.lowerBound)..<path.lowerBound
    }
}
