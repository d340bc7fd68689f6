// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Why a model could not be opened, a text not be prepared for it, or an answer not be finished.
public struct LanguageError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value {
            case missingFile, invalidFile, unsupported, limitExceeded, invalidInput
            case contextExceeded, overloaded, cancelled, closed, `internal`
        }
        private let value: Value
        public static let missingFile = Code(value: .missingFile)
        /// A file contradicts itself, another file, or what its format asks for.
        public static let invalidFile = Code(value: .invalidFile)
        /// The model is right but needs what Martlet does not have.
        public static let unsupported = Code(value: .unsupported)
        public static let limitExceeded = Code(value: .limitExceeded)
        /// A request's text or tokens that the model cannot take.
        public static let invalidInput = Code(value: .invalidInput)
        /// A prompt that is longer than the model's context.
        public static let contextExceeded = Code(value: .contextExceeded)
        /// Too much waits already; later may be better.
        public static let overloaded = Code(value: .overloaded)
        /// Whoever asked does not want the answer any more.
        public static let cancelled = Code(value: .cancelled)
        /// The model was closed.
        public static let closed = Code(value: .closed)
        /// The model failed.
        public static let `internal` = Code(value: .internal)
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
