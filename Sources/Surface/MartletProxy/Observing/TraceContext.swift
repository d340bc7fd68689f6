// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire

/// Where a request stands in a trace (W3C Trace Context, version 00): what its client said, or a
/// trace that begins here.
struct TraceContext: Equatable {
    var high: UInt64
    var low: UInt64
    /// The client's span; 0: none.
    var parent: UInt64
    /// The gateway's own.
    var span: UInt64
    var isSampled: Bool

    /// Begins a trace.
    /// - Parameter id: the request's, which names the trace and the span.
    init(id: UInt64, isSampled: Bool) {
        high = id &* 0x9E37_79B9_7F4A_7C15 | 1
        low = id
        parent = 0
        span = id | 1
        self.isSampled = isSampled
    }

    /// Goes on with a client's trace; nil when `text` is no `traceparent`.
    init?(_ text: ArraySlice<UInt8>, id: UInt64) {
        let start = text.startIndex
        guard text.count >= 55, text[start + 2] == 0x2D, text[start + 35] == 0x2D,
            text[start + 52] == 0x2D,
            let version = TraceContext.hexadecimal(text[start..<start + 2]), version != 0xFF,
            version > 0 || text.count == 55,
            let high = TraceContext.hexadecimal(text[start + 3..<start + 19]),
            let low = TraceContext.hexadecimal(text[start + 19..<start + 35]),
            let parent = TraceContext.hexadecimal(text[start + 36..<start + 52]),
            let flags = TraceContext.hexadecimal(text[start + 53..<start + 55]),
            high | low != 0, parent != 0
        else { return nil }
        self.high = high
        self.low = low
        self.parent = parent
        span = id | 1
        isSampled = flags & 1 == 1
    }

    /// Lower-case digits only, as the recommendation has it.
    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }

    /// `traceparent` for the next hop.
    func append(to bytes: inout WireBuffer) {
        bytes.append("00-")
        bytes.append(hexadecimal: high)
        bytes.append(hexadecimal: low)
        bytes.append("-")
        bytes.append(hexadecimal: span)
        bytes.append(isSampled ? "-01" : "-00")
    }
}
