// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// An image that cannot be decoded or transformed.
public struct ImageError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// Neither a JPEG nor a PNG.
        case unknownFormat
        /// Damaged, or shorter than it must be.
        case corrupt
        /// Larger than the limits allow.
        case tooLarge
        case outOfMemory
        /// A size or region that the operation cannot have.
        case invalidArgument
    }

    public var code: Code
    public var message: String

    public init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
