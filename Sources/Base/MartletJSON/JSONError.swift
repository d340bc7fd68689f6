// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Why bytes are not the JSON that was asked for, and where.
public struct JSONError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value { case malformed, invalidText, typeMismatch, outOfRange, limitExceeded }
        private let value: Value
        /// Not JSON by RFC 8259.
        public static let malformed = Code(value: .malformed)
        /// Not UTF-8, or an escape that names no character.
        public static let invalidText = Code(value: .invalidText)
        /// JSON, but another kind of value than the reader needs.
        public static let typeMismatch = Code(value: .typeMismatch)
        /// A number that the asked-for type cannot hold.
        public static let outOfRange = Code(value: .outOfRange)
        /// Deeper, longer or more than the limits allow.
        public static let limitExceeded = Code(value: .limitExceeded)
    }

    public let code: Code
    /// What was expected and what was found, without the place.
    public let reason: String
    /// Where, in bytes from the start of the text.
    public let offset: Int
    /// Where, in lines from 1, when the text was at hand to count them.
    public let line: Int?
    /// Where, in bytes from 1 within the line.
    public let column: Int?

    public init(
        _ code: Code, _ reason: String, offset: Int, line: Int? = nil, column: Int? = nil
    ) {
        self.code = code
        self.reason = reason
        self.offset = offset
        self.line = line
        self.column = column
    }

    public var message: String {
        if let line, let column { return "line \(line), column \(column): \(reason)" }
        return "byte \(offset): \(reason)"
    }

    public var description: String { message }

    /// The same error with its line and column counted in the text it came from.
    public func located(in bytes: UnsafeRawBufferPointer) -> JSONError {
        var line = 1
        var lineStart = 0
        let end = min(offset, bytes.count)
        for index in 0..<max(end, 0) where unsafe bytes[index] == UInt8(ascii: "\n") {
            line += 1
            lineStart = index + 1
        }
        return JSONError(code, reason, offset: offset, line: line, column: offset - lineStart + 1)
    }
}
