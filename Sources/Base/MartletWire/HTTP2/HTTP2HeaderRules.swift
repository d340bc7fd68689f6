// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What RFC 9113 §8 demands of a header block, beyond its coding.
enum HTTP2HeaderRules {
    /// A request's block, as far as the protocol itself needs it.
    struct Request: Equatable, Sendable {
        var contentLength: Int?
    }

    /// - Returns: nil for a malformed request.
    static func request(_ fields: HTTP2Fields) -> Request? {
        var request = Request()
        var pseudo = Pseudo()
        var isRegular = false
        for index in 0..<fields.count {
            let name = fields.nameRange(index)
            guard !name.isEmpty, isValue(fields, fields.valueRange(index)) else { return nil }
            if fields.bytes[name.lowerBound] == UInt8(ascii: ":") {
                guard !isRegular, pseudo.take(fields, index) else { return nil }
                continue
            }
            isRegular = true
            guard isName(fields, name), isAllowed(fields, index) else { return nil }
            if fields.matches(name, "content-length") {
                guard let length = decimal(fields, fields.valueRange(index)),
                    request.contentLength == nil || request.contentLength == length
                else { return nil }
                request.contentLength = length
            }
        }
        return pseudo.isComplete ? request : nil
    }

    struct Response: Equatable, Sendable {
        var status: Int
        var contentLength: Int?
    }

    /// - Returns: nil for a malformed response.
    static func response(_ fields: HTTP2Fields) -> Response? {
        guard fields.count > 0, fields.matches(fields.nameRange(0), ":status"),
            fields.valueRange(0).count == 3,
            let status = decimal(fields, fields.valueRange(0)), (100..<600).contains(status)
        else { return nil }
        var response = Response(status: status)
        for index in 1..<fields.count {
            let name = fields.nameRange(index)
            // Also refuses every further pseudo-field: a colon is no token.
            guard isName(fields, name), isValue(fields, fields.valueRange(index)),
                isAllowed(fields, index)
            else { return nil }
            if fields.matches(name, "content-length") {
                guard let length = decimal(fields, fields.valueRange(index)),
                    response.contentLength == nil || response.contentLength == length
                else { return nil }
                response.contentLength = length
            }
        }
        return response
    }

    /// Whether a block after a body is well-formed.
    static func areTrailers(_ fields: HTTP2Fields) -> Bool {
        for index in 0..<fields.count {
            guard isName(fields, fields.nameRange(index)),
                isValue(fields, fields.valueRange(index)), isAllowed(fields, index)
            else { return false }
        }
        return true
    }

    /// The pseudo-fields of a request, each once (RFC 9113 §8.3.1).
    private struct Pseudo {
        private var method = false
        private var scheme = false
        private var path = false
        private var authority = false
        private var isConnect = false

        var isComplete: Bool {
            isConnect ? method && authority && !scheme && !path : method && scheme && path
        }

        mutating func take(_ fields: HTTP2Fields, _ index: Int) -> Bool {
            let name = fields.nameRange(index)
            let value = fields.valueRange(index)
            if fields.matches(name, ":method") {
                isConnect = fields.matches(value, "CONNECT")
                return mark(&method) && !value.isEmpty
            }
            if fields.matches(name, ":path") { return mark(&path) && !value.isEmpty }
            if fields.matches(name, ":scheme") { return mark(&scheme) }
            if fields.matches(name, ":authority") { return mark(&authority) }
            return false
        }

        private func mark(_ seen: inout Bool) -> Bool {
            defer { seen = true }
            return !seen
        }
    }

    /// Lower-case tokens only.
    private static func isName(_ fields: HTTP2Fields, _ range: Range<Int>) -> Bool {
        guard !range.isEmpty else { return false }
        return fields.bytes[range].allSatisfy { ByteClass.isToken($0) && lowercased($0) == $0 }
    }

    private static func isValue(_ fields: HTTP2Fields, _ range: Range<Int>) -> Bool {
        guard !range.isEmpty else { return true }
        let isSpaced =
            isSpace(fields.bytes[range.lowerBound]) || isSpace(fields.bytes[range.upperBound - 1])
        return !isSpaced && fields.bytes[range].allSatisfy(ByteClass.isFieldValue)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// RFC 9113 §8.2.2: nothing that is about one connection.
    private static func isAllowed(_ fields: HTTP2Fields, _ index: Int) -> Bool {
        let name = fields.nameRange(index)
        switch name.count {
        case 2:
            return !fields.matches(name, "te")
                || fields.matches(fields.valueRange(index), "trailers")
        case 7: return !fields.matches(name, "upgrade")
        case 10: return !fields.matches(name, "connection") && !fields.matches(name, "keep-alive")
        case 16: return !fields.matches(name, "proxy-connection")
        case 17: return !fields.matches(name, "transfer-encoding")
        default: return true
        }
    }

    private static func decimal(_ fields: HTTP2Fields, _ range: Range<Int>) -> Int? {
        guard !range.isEmpty, range.count <= 18 else { return nil }
        var value = 0
        for byte in fields.bytes[range] {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value = value * 10 + Int(digit)
        }
        return value
    }
}
