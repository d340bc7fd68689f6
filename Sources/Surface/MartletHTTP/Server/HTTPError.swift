// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Why the HTTP door could not open.
public struct HTTPError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value { case cannotListen, badCertificate, alreadyStarted }
        private let value: Value
        /// The address is taken or not ours.
        public static let cannotListen = Code(value: .cannotListen)
        /// The certificate or key could not be read or do not belong together.
        public static let badCertificate = Code(value: .badCertificate)
        public static let alreadyStarted = Code(value: .alreadyStarted)
    }

    public let code: Code
    public let message: String
    public let cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { message }
}
