// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The error codes of HTTP/2 (RFC 9113 §7).
package enum HTTP2ErrorCode: UInt32, Sendable, Hashable {
    case noError = 0
    case protocolError = 1
    case internalError = 2
    case flowControlError = 3
    case settingsTimeout = 4
    case streamClosed = 5
    case frameSizeError = 6
    case refusedStream = 7
    case cancel = 8
    case compressionError = 9
    case connectError = 10
    case enhanceYourCalm = 11
    case inadequateSecurity = 12
    case http11Required = 13
}

/// Why a connection cannot go on. To be sent as GOAWAY; then the connection is closed.
package struct HTTP2Error: Error, CustomStringConvertible {
    package let code: HTTP2ErrorCode
    package let message: String

    package init(_ code: HTTP2ErrorCode, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(code): \(message)" }
}
