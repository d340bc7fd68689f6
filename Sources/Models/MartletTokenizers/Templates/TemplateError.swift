// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Why a chat template could not be read or rendered.
public struct TemplateError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value { case syntax, unsupported, invalid, raised, limitExceeded }
        private let value: Value
        /// Not a template.
        public static let syntax = Code(value: .syntax)
        /// A template that asks for what Martlet does not do.
        public static let unsupported = Code(value: .unsupported)
        /// An operation on values that do not have it.
        public static let invalid = Code(value: .invalid)
        /// The template itself refused its input (`raise_exception`).
        public static let raised = Code(value: .raised)
        public static let limitExceeded = Code(value: .limitExceeded)
    }

    public let code: Code
    public let message: String
    /// Line of the template, from 1; 0 when it is not known.
    public let line: Int

    public init(_ code: Code, _ message: String, line: Int = 0) {
        self.code = code
        self.message = message
        self.line = line
    }

    public var description: String {
        line > 0 ? "chat template, line \(line): \(message)" : "chat template: \(message)"
    }
}

/// Bounds on what a template may do; more is an error.
public struct TemplateLimits: Sendable {
    public var sourceBytesMax = 1 << 20
    /// Text that a rendering may make, and any one string in it.
    public var outputBytesMax = 32 << 20
    /// Nodes that a rendering visits; copying text counts too.
    public var stepsMax = 2_000_000
    /// Elements of a list that is made.
    public var elementsMax = 1 << 20
    /// Expressions and blocks inside one another, in the source and through macros.
    public var depthMax = 200

    public init() {}
}
