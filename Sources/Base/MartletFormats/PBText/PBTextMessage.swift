// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A message in protobuf text form: its fields in the order they were written.
///
/// A list (`dims: [ 1, 2 ]`) is read as the field repeated; an empty list leaves no field.
public struct PBTextMessage: Sendable, Hashable {
    public var fields: [PBTextField]

    public init(fields: [PBTextField] = []) {
        self.fields = fields
    }

    /// Every field with this name.
    public func all(_ name: String) -> [PBTextField] {
        fields.filter { $0.name == name }
    }

    /// The last field with this name: what counts for a field that is not repeated.
    public func last(_ name: String) -> PBTextField? {
        fields.last { $0.name == name }
    }
}

/// What a field of protobuf text holds, before a schema says what it means.
public enum PBTextValue: Sendable, Hashable {
    /// A whole number: its sign and magnitude.
    case integer(isNegative: Bool, magnitude: UInt64)
    case float(Double)
    /// A string's bytes, escapes resolved and neighbours joined.
    case string([UInt8])
    /// A word: an enum's value, `true`, `false`. With a minus only for `-inf` and `-nan`.
    case word(String)
    case message(PBTextMessage)
}

/// A field with its place in the text, for errors that name it.
public struct PBTextField: Sendable, Hashable {
    public var name: String
    public var value: PBTextValue
    /// Counted from 1.
    public var line: Int
    /// Counted in bytes from 1.
    public var column: Int

    public init(name: String, value: PBTextValue, line: Int = 0, column: Int = 0) {
        self.name = name
        self.value = value
        self.line = line
        self.column = column
    }

    /// An error about this field, naming it and its place.
    public func failure(
        _ message: String, code: FormatError.Code = .malformed
    ) -> FormatError {
        FormatError(
            format: .pbtext, code: code,
            message: "line \(line), column \(column): field '\(name)' \(message)")
    }
}
