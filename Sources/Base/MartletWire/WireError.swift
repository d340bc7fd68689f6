// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Why bytes from the network cannot be understood or are not wanted.
public struct WireError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value { case malformed, limitExceeded, unsupported, corruptCompression }
        private let value: Value
        /// Against the protocol.
        public static let malformed = Code(value: .malformed)
        /// Longer or more than the limits allow.
        public static let limitExceeded = Code(value: .limitExceeded)
        /// Legal, but nothing that we do.
        public static let unsupported = Code(value: .unsupported)
        public static let corruptCompression = Code(value: .corruptCompression)
    }

    public let code: Code
    public let message: String
    /// The HTTP status that answers it. The connection must be closed after: where the next
    /// message begins is not known.
    public let status: Int

    public init(_ code: Code, status: Int = 400, _ message: String) {
        self.code = code
        self.status = status
        self.message = message
    }

    public var description: String { message }
}
