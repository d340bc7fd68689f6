// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Header fields that somebody here looks for: told apart once, while a head is taken apart.
package enum KnownField: UInt8, Sendable {
    case other
    case host, contentLength, transferEncoding, connection, expect
    case authorization, apiKey, contentType, upgrade, trailer, te, keepAlive
    case traceParent, grpcTimeout, requestTimeout, requestID, priority
    case forwardedFor, forwardedHost, forwardedProto
    case proxyConnection, proxyAuthenticate, proxyAuthorization
    case retryAfter, loadMetrics, acceptEncoding, contentEncoding

    var mark: UInt32 { 1 << UInt32(rawValue) }

    /// Says how a message is framed, or what becomes of the connection.
    var isFraming: Bool {
        switch self {
        case .host, .contentLength, .transferEncoding, .connection, .expect: true
        default: false
        }
    }

    /// The field of that name: goes by its length first, so that most are settled by one
    /// comparison. The name must be a token.
    static func of(_ bytes: WireBytes, _ name: Range<Int>) -> KnownField {
        let start = name.lowerBound
        switch name.count {
        case 2: return bytes.isName(at: start, "te") ? .te : .other
        case 4: return bytes.isName(at: start, "host") ? .host : .other
        case 6: return bytes.isName(at: start, "expect") ? .expect : .other
        case 7:
            if bytes.isName(at: start, "upgrade") { return .upgrade }
            return bytes.isName(at: start, "trailer") ? .trailer : .other
        case 9: return bytes.isName(at: start, "x-api-key") ? .apiKey : .other
        case 10:
            if bytes.isName(at: start, "connection") { return .connection }
            if bytes.isName(at: start, "keep-alive") { return .keepAlive }
            return bytes.isName(at: start, "x-priority") ? .priority : .other
        case 11:
            if bytes.isName(at: start, "traceparent") { return .traceParent }
            return bytes.isName(at: start, "retry-after") ? .retryAfter : .other
        case 12:
            if bytes.isName(at: start, "content-type") { return .contentType }
            if bytes.isName(at: start, "x-request-id") { return .requestID }
            return bytes.isName(at: start, "grpc-timeout") ? .grpcTimeout : .other
        case 13: return bytes.isName(at: start, "authorization") ? .authorization : .other
        case 14: return bytes.isName(at: start, "content-length") ? .contentLength : .other
        case 15:
            if bytes.isName(at: start, "accept-encoding") { return .acceptEncoding }
            return bytes.isName(at: start, "x-forwarded-for") ? .forwardedFor : .other
        case 16:
            if bytes.isName(at: start, "content-encoding") { return .contentEncoding }
            if bytes.isName(at: start, "x-forwarded-host") { return .forwardedHost }
            return bytes.isName(at: start, "proxy-connection") ? .proxyConnection : .other
        case 17:
            if bytes.isName(at: start, "transfer-encoding") { return .transferEncoding }
            if bytes.isName(at: start, "x-request-timeout") { return .requestTimeout }
            return bytes.isName(at: start, "x-forwarded-proto") ? .forwardedProto : .other
        case 18:
            return bytes.isName(at: start, "proxy-authenticate") ? .proxyAuthenticate : .other
        case 19:
            return bytes.isName(at: start, "proxy-authorization") ? .proxyAuthorization : .other
        case 21:
            return bytes.isName(at: start, "endpoint-load-metrics") ? .loadMetrics : .other
        default: return .other
        }
    }
}

extension WireBytes {
    /// Whether the token there is `word`, whatever its case. `word` is in lower case and as long
    /// as the token.
    ///
    /// Letters are compared with bit 5 set; of the bytes that tokens have, that makes no two equal
    /// but the cases of a letter (and `^` and `~`, which no word here has).
    @inline(__always)
    func isName(at start: Int, _ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        let other = unsafe UnsafeRawPointer(word.utf8Start)
        if count >= 8 {
            var place = 0
            while place + 8 < count {
                if unsafe self.word(at: start + place) | 0x2020_2020_2020_2020
                    != other.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                {
                    return false
                }
                place += 8
            }
            return unsafe self.word(at: start + count - 8) | 0x2020_2020_2020_2020
                == other.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
        }
        for place in 0..<count
        where unsafe self[start + place] | 0x20
            != other.load(fromByteOffset: place, as: UInt8.self)
        {
            return false
        }
        return true
    }
}
