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
    /// Call `begin` before.
    package mutating func append(
        _ head: HTTPRequestHead, scheme: String, to block: inout [UInt8]
    ) {
        let method: String =
            head.method == .other
            ? String(decoding: head.fields.bytes.prefix { $0 != 0x20 }, as: UTF8.self)
            : head.method.rawValue
        append(":method", method, to: &block)
        append(":scheme", scheme, to: &block)
        unsafe head.fields.bytes.withUnsafeBytes { source in
            unsafe append(
                ":path", UnsafeRawBufferPointer(rebasing: source[head.target]), .remembered,
                to: &block)
            if let host = head.fields.range(.host) {
                unsafe append(
                    ":authority", UnsafeRawBufferPointer(rebasing: source[host]), .remembered,
                    to: &block)
            }
            for field in head.fields.fields {
                unsafe append(line: source, field.name, field.value, to: &block)
            }
        }
    }

    private mutating func append(
        _ name: StaticString, _ value: UnsafeRawBufferPointer, _ indexing: Indexing,
        to block: inout [UInt8]
    ) {
        unsafe append(
            UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), value,
            indexing, to: &block)
    }

    /// Appends header lines that are known to be well formed, each with its line end.
    package mutating func append(lines bytes: UnsafeRawBufferPointer, to block: inout [UInt8]) {
        let source = unsafe WireBytes(bytes)
        var start = 0
        while start < source.count, let feed = source.lineFeed(from: start) {
            var colon = start
            while colon < feed, source[colon] != UInt8(ascii: ":") { colon += 1 }
            let end = feed > start && source[feed - 1] == 0x0D ? feed - 1 : feed
            var value = min(colon + 1, end)
            while value < end, source[value] == 0x20 { value += 1 }
            if colon < end { unsafe append(line: bytes, start..<colon, value..<end, to: &block) }
            start = feed + 1
        }
    }

    private mutating func append(
        line bytes: UnsafeRawBufferPointer, _ name: Range<Int>, _ value: Range<Int>,
        to block: inout [UInt8]
    ) {
        let kind = unsafe HPACKEncoder.kind(WireBytes(bytes), name)
        let indexing: Indexing
        switch kind {
        case .dropped: return
        case .remembered: indexing = .remembered
        case .secret: indexing = .never
        case .other: indexing = .plain
        }
        let value = unsafe UnsafeRawBufferPointer(rebasing: bytes[value])
        let isLower = unsafe bytes[name].allSatisfy { lowercased($0) == $0 }
        if isLower {
            return unsafe append(
                UnsafeRawBufferPointer(rebasing: bytes[name]), value, indexing,
                isNew: kind == .other, to: &block)
        }
        let lowered = unsafe bytes[name].map { lowercased($0) }
        unsafe lowered.withUnsafeBytes {
            unsafe append($0, value, indexing, isNew: kind == .other, to: &block)
        }
    }

    private enum Kind { case other, dropped, remembered, secret }

    /// What becomes of a field of that name: by its length first.
    private static func kind(_ bytes: WireBytes, _ name: Range<Int>) -> Kind {
        let start = name.lowerBound
        switch name.count {
        case 2: return bytes.isName(at: start, "te") ? .dropped : .other
        case 4: return bytes.isName(at: start, "host") ? .dropped : .other
        case 6:
            if bytes.isName(at: start, "accept") { return .remembered }
            if bytes.isName(at: start, "server") { return .remembered }
            return bytes.isName(at: start, "cookie") ? .secret : .other
        case 7: return bytes.isName(at: start, "upgrade") ? .dropped : .other
        case 9: return bytes.isName(at: start, "x-api-key") ? .secret : .other
        case 10:
            if bytes.isName(at: start, "user-agent") { return .remembered }
            if bytes.isName(at: start, "connection") { return .dropped }
            if bytes.isName(at: start, "keep-alive") { return .dropped }
            return bytes.isName(at: start, "set-cookie") ? .secret : .other
        case 12: return bytes.isName(at: start, "content-type") ? .remembered : .other
        case 13:
            if bytes.isName(at: start, "grpc-encoding") { return .remembered }
            return bytes.isName(at: start, "authorization") ? .secret : .other
        case 15:
            if bytes.isName(at: start, "accept-encoding") { return .remembered }
            return bytes.isName(at: start, "x-forwarded-for") ? .remembered : .other
        case 16:
            if bytes.isName(at: start, "x-forwarded-host") { return .remembered }
            return bytes.isName(at: start, "proxy-connection") ? .dropped : .other
        case 17:
            if bytes.isName(at: start, "x-forwarded-proto") { return .remembered }
            return bytes.isName(at: start, "transfer-encoding") ? .dropped : .other
        case 19: return bytes.isName(at: start, "proxy-authorization") ? .secret : .other
        case 20: return bytes.isName(at: start, "grpc-accept-encoding") ? .remembered : .other
        default: return .other
        }
    }
}
