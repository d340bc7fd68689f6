// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Heads between HTTP/2's fields and HTTP/1.1's text, for proxies that speak both.
///
/// The text is made for `HTTPRequestParser` and `HTTPResponseParser`, which refuse what the two
/// versions could understand differently: a field's value has no control characters by
/// `HTTP2HeaderRules`, and everything else is the parsers' to judge.
package enum HTTP2Text {
    /// A request's head as HTTP/1.1 writes it.
    /// - Parameter hasBody: DATA follows; without a content-length it counts as chunked.
    package static func appendRequest(
        _ fields: HTTP2Fields, hasBody: Bool, to text: inout [UInt8]
    ) {
        var method: Range<Int>?
        var path: Range<Int>?
        var authority: Range<Int>?
        var hasLength = false
        for index in 0..<fields.count {
            let name = fields.nameRange(index)
            if fields.bytes[name.lowerBound] == UInt8(ascii: ":") {
                if fields.matches(name, ":method") { method = fields.valueRange(index) }
                if fields.matches(name, ":path") { path = fields.valueRange(index) }
                if fields.matches(name, ":authority") { authority = fields.valueRange(index) }
            } else if fields.matches(name, "content-length") {
                hasLength = true
            }
        }
        if let method { text.append(contentsOf: fields.bytes[method]) }
        text.append(0x20)
        if let path { text.append(contentsOf: fields.bytes[path]) }
        append(" HTTP/1.1\r\n", to: &text)
        if let authority {
            append("host: ", to: &text)
            text.append(contentsOf: fields.bytes[authority])
            append("\r\n", to: &text)
        }
        for index in 0..<fields.count {
            let name = fields.nameRange(index)
            guard fields.bytes[name.lowerBound] != UInt8(ascii: ":") else { continue }
            // The same host said twice is said once.
            if let authority, fields.matches(name, "host"),
                fields.bytes[authority] == fields.bytes[fields.valueRange(index)]
            {
                continue
            }
            appendLine(fields, index, to: &text)
        }
        if hasBody, !hasLength { append("transfer-encoding: chunked\r\n", to: &text) }
        append("\r\n", to: &text)
    }

    /// An answer's head as HTTP/1.1 writes it.
    package static func appendResponse(
        _ fields: HTTP2Fields, endStream: Bool, to text: inout [UInt8]
    ) {
        append("HTTP/1.1 ", to: &text)
        if fields.count > 0 { text.append(contentsOf: fields.bytes[fields.valueRange(0)]) }
        append("\r\n", to: &text)
        var hasLength = false
        for index in 1..<max(fields.count, 1) {
            if fields.matches(fields.nameRange(index), "content-length") {
                guard !hasLength else { continue }
                hasLength = true
            }
            appendLine(fields, index, to: &text)
        }
        if !hasLength {
            append(
                endStream ? "content-length: 0\r\n" : "transfer-encoding: chunked\r\n", to: &text)
        }
        append("\r\n", to: &text)
    }

    /// Trailers, a line each.
    package static func appendTrailers(_ fields: HTTP2Fields, to text: inout [UInt8]) {
        for index in 0..<fields.count { appendLine(fields, index, to: &text) }
    }

    private static func appendLine(
        _ fields: HTTP2Fields, _ index: Int, to text: inout [UInt8]
    ) {
        text.append(contentsOf: fields.bytes[fields.nameRange(index)])
        text.append(UInt8(ascii: ":"))
        text.append(0x20)
        text.append(contentsOf: fields.bytes[fields.valueRange(index)])
        text.append(0x0D)
        text.append(0x0A)
    }

    private static func append(_ word: StaticString, to text: inout [UInt8]) {
        unsafe text.append(
            contentsOf: UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    }
}

extension HPACKEncoder {
    /// Appends a request that was parsed from HTTP/1.1's text: what concerns one hop is left out.
    package mutating func append(
        _ head: HTTPRequestHead, scheme: String, to block: inout [UInt8]
    ) {
        begin(&block)
        let source = head.fields.bytes
        let method = source.prefix { $0 != 0x20 }
        append(HPACKEncoder.method, method, .plain, to: &block)
        append(":scheme", scheme, to: &block)
        append(HPACKEncoder.path, source[head.target], .remembered, to: &block)
        if let host = head.fields.range(of: "host") {
            append(HPACKEncoder.authority, source[host], .remembered, to: &block)
        }
        for field in head.fields.fields {
            append(line: source[field.name], source[field.value], to: &block)
        }
    }

    /// Appends header lines that are known to be well formed, each with its line end.
    package mutating func append(lines: [UInt8], to block: inout [UInt8]) {
        var start = 0
        while start < lines.count, let colon = lines[start...].firstIndex(of: UInt8(ascii: ":")) {
            let end = lines[colon...].firstIndex(of: 0x0D) ?? lines.count
            var value = colon + 1
            while value < end, lines[value] == 0x20 { value += 1 }
            append(line: lines[start..<colon], lines[value..<end], to: &block)
            start = end + 2
        }
    }

    private mutating func append(
        line name: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>, to block: inout [UInt8]
    ) {
        let name = name.map { lowercased($0) }
        let indexing: Indexing
        switch HPACKEncoder.known[name] {
        case .dropped?: return
        case .remembered?: indexing = .remembered
        case .secret?: indexing = .never
        case nil: indexing = .plain
        }
        append(name[...], value, indexing, to: &block)
    }

    private enum Kind { case dropped, remembered, secret }
    private static let method = Array(":method".utf8)[...]
    private static let path = Array(":path".utf8)[...]
    private static let authority = Array(":authority".utf8)[...]

    private static let known: [[UInt8]: Kind] = {
        let dropped = [
            "host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
            "te",
        ]
        let remembered = [
            "content-type", "user-agent", "accept", "accept-encoding", "grpc-accept-encoding",
            "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "server", "grpc-encoding",
        ]
        let secret = ["authorization", "x-api-key", "cookie", "set-cookie", "proxy-authorization"]
        var kinds: [[UInt8]: Kind] = [:]
        for name in dropped { kinds[Array(name.utf8)] = .dropped }
        for name in remembered { kinds[Array(name.utf8)] = .remembered }
        for name in secret { kinds[Array(name.utf8)] = .secret }
        return kinds
    }()
}
