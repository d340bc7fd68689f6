// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How a call ended: gRPC's status code and a message for people.
package struct GRPCStatus: Error, Hashable, Sendable, CustomStringConvertible {
    /// The codes of the gRPC specification; raw values are what `grpc-status` carries.
    package enum Code: Int, Sendable, Hashable, CaseIterable {
        case ok = 0
        case cancelled = 1
        case unknown = 2
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case alreadyExists = 6
        case permissionDenied = 7
        case resourceExhausted = 8
        case failedPrecondition = 9
        case aborted = 10
        case outOfRange = 11
        case unimplemented = 12
        case `internal` = 13
        case unavailable = 14
        case dataLoss = 15
        case unauthenticated = 16
    }

    package var code: Code
    package var message: String

    package init(_ code: Code, _ message: String = "") {
        self.code = code
        self.message = message
    }

    package static let ok = GRPCStatus(.ok)

    package var description: String { "\(code): \(message)" }

    /// The most bytes of `grpc-message` that are sent. Clients refuse a header block of 8 or 16 KiB
    /// and would then report that instead of the error.
    private static let messageBytesMax = 4_096

    /// The message as `grpc-message` carries it: percent-encoded UTF-8, cut at a character when it
    /// is over-long.
    package var encodedMessage: String {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(message.utf8.count)
        for scalar in message.unicodeScalars {
            let mark = encoded.count
            for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
                if byte >= 0x20, byte <= 0x7E, byte != UInt8(ascii: "%") {
                    encoded.append(byte)
                } else {
                    encoded.append(UInt8(ascii: "%"))
                    encoded.append(GRPCStatus.hexDigit(byte >> 4))
                    encoded.append(GRPCStatus.hexDigit(byte & 15))
                }
            }
            if encoded.count > GRPCStatus.messageBytesMax {
                encoded.removeSubrange(mark...)
                break
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }
}
