// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Why a graph could not be read, checked or rewritten.
public struct GraphError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value { case invalidModel, unsupported, invalidShape, limitExceeded }
        private let value: Value
        /// The model contradicts itself or the format's rules.
        public static let invalidModel = Code(value: .invalidModel)
        /// The model is right but needs what Martlet does not have.
        public static let unsupported = Code(value: .unsupported)
        /// Shapes or element types do not fit.
        public static let invalidShape = Code(value: .invalidShape)
        public static let limitExceeded = Code(value: .limitExceeded)
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
