// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletWire

/// The id that a request has everywhere: its client's own, or one that is made.
extension ClientConnection {
    /// The client's own id when it is well formed.
    static func givenID(_ head: borrowing HTTPRequestHead) -> Range<Int>? {
        guard let range = head.fields.range(.requestID),
            RequestID.isWellFormed(head.fields.bytes[range])
        else { return nil }
        return range
    }

    /// The id that the request has everywhere.
    var requestIDText: String {
        guard let given = exchange.givenID else { return RequestIDText.of(exchange.requestID) }
        return parser.head.fields.string(given)
    }

    /// What the request is remembered by.
    func requestIDNumber(key: String?) -> UInt64 {
        exchange.givenID == nil
            ? exchange.requestID : RequestID.number(requestIDText, of: key)
    }

    func addRequestID(to head: inout HTTPHeadWriter) {
        if exchange.givenID == nil {
            head.field("X-Request-Id", hexadecimal: exchange.requestID)
        } else {
            head.field("X-Request-Id", requestIDText)
        }
    }

    func appendRequestID(to bytes: inout WireBuffer) {
        guard let given = exchange.givenID else {
            return bytes.append(hexadecimal: exchange.requestID)
        }
        parser.readHead { bytes.append(given, of: $0.fields.bytes) }
    }
}
