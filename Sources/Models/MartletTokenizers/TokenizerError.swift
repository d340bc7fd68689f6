// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Why a tokenizer could not be loaded, or a text not be encoded.
public struct TokenizerError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value { case invalidFile, unsupported, limitExceeded, invalidInput }
        private let value: Value
        /// `tokenizer.json` is not what it must be; the message names the field.
        public static let invalidFile = Code(value: .invalidFile)
        /// `tokenizer.json` asks for something that Martlet does not do.
        public static let unsupported = Code(value: .unsupported)
        /// A file, vocabulary or text is larger than the limits allow.
        public static let limitExceeded = Code(value: .limitExceeded)
        /// A text or token id that cannot be encoded or decoded.
        public static let invalidInput = Code(value: .invalidInput)
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
