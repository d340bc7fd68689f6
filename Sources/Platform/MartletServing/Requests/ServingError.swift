// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// Why a request was not answered, in terms that every door can translate.
public struct ServingError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value {
            case notFound, invalidArgument, unavailable, deadlineExceeded, cancelled
            case alreadyExists, unsupported, payloadTooLarge, `internal`
        }
        private let value: Value
        /// An unknown model, version, region or route: HTTP 404.
        public static let notFound = Code(value: .notFound)
        /// A request that cannot be right: HTTP 400.
        public static let invalidArgument = Code(value: .invalidArgument)
        /// Queue full, draining, or model not ready: HTTP 503 with Retry-After.
        public static let unavailable = Code(value: .unavailable)
        /// HTTP 504 (gRPC DEADLINE_EXCEEDED).
        public static let deadlineExceeded = Code(value: .deadlineExceeded)
        /// The client went away: HTTP 499 (gRPC CANCELLED).
        public static let cancelled = Code(value: .cancelled)
        public static let alreadyExists = Code(value: .alreadyExists)
        /// Asked for something that this server or model does not do: HTTP 501.
        public static let unsupported = Code(value: .unsupported)
        public static let payloadTooLarge = Code(value: .payloadTooLarge)
        public static let `internal` = Code(value: .internal)
    }

    public let code: Code
    public let message: String
    /// When trying again may help.
    public let retryAfter: Duration?
    public let cause: (any Error)?

    public init(
        _ code: Code, _ message: String, retryAfter: Duration? = nil, cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.retryAfter = retryAfter
        self.cause = cause
    }

    public var description: String { message }
}

extension ServingError {
    /// A shared-memory refusal in the doors' terms.
    public init(_ error: SharedMemoryError) {
        let code: Code =
            switch error.code {
            case .notFound: .notFound
            case .alreadyExists: .alreadyExists
            case .notAllowed: .unsupported
            case .limitExceeded: .unavailable
            default: .invalidArgument
            }
        self.init(code, error.message, cause: error)
    }
}
