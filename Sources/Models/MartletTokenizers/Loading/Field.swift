// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// A value of `tokenizer.json` with the path by which errors name it.
struct Field {
    let path: String
    let value: JSONValue

    var isNull: Bool { value.isNull }

    func wrong(_ expected: String) -> TokenizerError {
        TokenizerError(.invalidFile, "\(path): expected \(expected), found \(value.kind.rawValue)")
    }

    func unsupported(_ what: String) -> TokenizerError {
        TokenizerError(.unsupported, "\(path): \(what) is not supported")
    }

    /// The member of that name; nil when it is absent or null.
    func member(_ name: String) throws(TokenizerError) -> Field? {
        guard case .object(let object) = value else { throw wrong("an object") }
        guard let member = object[name], !member.isNull else { return nil }
        return Field(path: "\(path).\(name)", value: member)
    }

    func required(_ name: String) throws(TokenizerError) -> Field {
        guard let field = try member(name) else {
            throw TokenizerError(.invalidFile, "\(path).\(name): missing")
        }
        return field
    }

    func elements() throws(TokenizerError) -> [Field] {
        guard case .array(let values) = value else { throw wrong("an array") }
        return values.enumerated().map { Field(path: "\(path)[\($0)]", value: $1) }
    }

    func string() throws(TokenizerError) -> String {
        guard case .string(let text) = value else { throw wrong("a string") }
        return text
    }

    func bytes() throws(TokenizerError) -> [UInt8] { Array(try string().utf8) }

    /// A string's bytes, at least one.
    func filledBytes() throws(TokenizerError) -> [UInt8] {
        let bytes = try bytes()
        guard !bytes.isEmpty else {
            throw TokenizerError(.invalidFile, "\(path): must not be empty")
        }
        return bytes
    }

    /// A string's bytes that may be put into a text any number of times.
    func insertedBytes() throws(TokenizerError) -> [UInt8] {
        let bytes = try bytes()
        guard bytes.count <= Field.insertedBytesMax else {
            throw TokenizerError(
                .limitExceeded,
                "\(path): \(bytes.count) bytes are more than the \(Field.insertedBytesMax) that "
                    + "are inserted")
        }
        return bytes
    }

    private static let insertedBytesMax = 64

    func bool() throws(TokenizerError) -> Bool {
        guard let flag = value.boolValue else { throw wrong("a boolean") }
        return flag
    }

    func integer(in range: ClosedRange<Int>) throws(TokenizerError) -> Int {
        guard let number = value.intValue else { throw wrong("a whole number") }
        guard range.contains(number) else {
            throw TokenizerError(
                .invalidFile,
                "\(path): expected \(range.lowerBound) to \(range.upperBound), found \(number)")
        }
        return number
    }

    func string(_ name: String, default fallback: String) throws(TokenizerError) -> String {
        try member(name)?.string() ?? fallback
    }

    func bool(_ name: String, default fallback: Bool) throws(TokenizerError) -> Bool {
        try member(name)?.bool() ?? fallback
    }

    /// The component's kind: its member `type`.
    func type() throws(TokenizerError) -> String { try required("type").string() }

    /// `{"String": "…"}` or `{"Regex": "…"}`.
    func pattern() throws(TokenizerError) -> TextPattern {
        if let literal = try member("String") { return .literal(try literal.filledBytes()) }
        guard let regex = try member("Regex") else { throw wrong("a String or Regex pattern") }
        guard let pattern = TextPattern(regex: try regex.string()) else {
            throw regex.unsupported("the regular expression \(try regex.string())")
        }
        return pattern
    }
}
