// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What is wrong with a configuration, and where.
public struct ConfigurationError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value { case malformed, unknownKey, invalidValue }
        private let value: Value
        public static let malformed = Code(value: .malformed)
        public static let unknownKey = Code(value: .unknownKey)
        public static let invalidValue = Code(value: .invalidValue)
    }

    public let code: Code
    public let message: String
    public let position: SourcePosition?
    /// The file, variable or flag that the value came from.
    public var source: String?

    public init(
        _ code: Code, _ message: String, position: SourcePosition? = nil, source: String? = nil
    ) {
        self.code = code
        self.message = message
        self.position = position
        self.source = source
    }

    public var description: String {
        var place = source ?? ""
        if let position { place += place.isEmpty ? "\(position)" : ", \(position)" }
        return place.isEmpty ? message : "\(place): \(message)"
    }
}
