// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a JSON value begins as.
public enum JSONKind: String, Sendable {
    case object, array, string, number, bool, null
}

/// Pulls values out of JSON text, one after the other, validating as it goes (RFC 8259, UTF-8).
///
/// The text is borrowed: it must outlive the scanner and every `JSONText` taken from it. Nothing
/// is copied until a `String` is asked for. After an error the scanner must not be used further.
/// A copy is a bookmark: reading goes on from it as from the original.
///
///     try scanner.beginObject()
///     while let key = try scanner.nextKey() {
///         if key == "id" { id = try scanner.readString() } else { try scanner.skipValue() }
///     }
///     try scanner.finish()
@safe public struct JSONScanner {
    let source: ByteSource
    let limits: JSONLimits
    var position = 0
    var depth = 0
    /// No comma is due: the container has just been opened.
    var isFirst = false

    public init(_ bytes: UnsafeRawBufferPointer, limits: JSONLimits = JSONLimits()) {
        source = unsafe ByteSource(bytes)
        self.limits = limits
    }

    /// Where reading stands, in bytes.
    public var offset: Int { position }
    /// Bytes of the text that have not been read.
    public var remaining: Int { source.count - position }

    /// What comes next.
    public mutating func peek() throws(JSONError) -> JSONKind {
        skipWhitespace()
        guard position < source.count else { throw unexpectedEnd("a value") }
        switch source[position] {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "N"), UInt8(ascii: "I"):
            if limits.acceptsNonFinite { return .number }
            throw unexpected("a value")
        default: throw unexpected("a value")
        }
    }

    // MARK: Containers

    public mutating func beginObject() throws(JSONError) {
        try open(UInt8(ascii: "{"), "an object")
    }

    public mutating func beginArray() throws(JSONError) {
        try open(UInt8(ascii: "["), "an array")
    }

    /// The next member's name; nil when the object has ended. The value must then be read or
    /// skipped. Names may repeat; it is the caller who decides what that means.
    public mutating func nextKey() throws(JSONError) -> JSONText? {
        guard try advance(until: UInt8(ascii: "}"), "'}'") else { return nil }
        guard position < source.count, source[position] == UInt8(ascii: "\"") else {
            throw unexpected("a member's name")
        }
        let key = try readText()
        skipWhitespace()
        guard position < source.count, source[position] == UInt8(ascii: ":") else {
            throw unexpected("':'")
        }
        position += 1
        return key
    }

    /// Whether another element follows, which must then be read or skipped.
    public mutating func nextElement() throws(JSONError) -> Bool {
        try advance(until: UInt8(ascii: "]"), "']'")
    }

    /// Checks that nothing but white space is left.
    public mutating func finish() throws(JSONError) {
        skipWhitespace()
        guard position == source.count else { throw unexpected("the end of the text") }
    }

    // MARK: Scalars

    public mutating func readBool() throws(JSONError) -> Bool {
        skipWhitespace()
        if accept("true") { return true }
        if accept("false") { return false }
        throw mismatch("true or false")
    }

    public mutating func readNull() throws(JSONError) {
        skipWhitespace()
        guard accept("null") else { throw mismatch("null") }
    }

    // MARK: Parts

    private mutating func open(_ bracket: UInt8, _ what: String) throws(JSONError) {
        skipWhitespace()
        guard position < source.count, source[position] == bracket else { throw mismatch(what) }
        try enter()
    }

    /// Steps over an opening bracket.
    @inline(__always)
    mutating func enter() throws(JSONError) {
        guard depth < limits.depthMax else {
            throw JSONError(
                .limitExceeded, "nested deeper than \(limits.depthMax) levels", offset: position)
        }
        position += 1
        depth += 1
        isFirst = true
    }

    /// Steps to the next member or element; false after stepping over the closing bracket.
    @inline(__always)
    private mutating func advance(until close: UInt8, _ what: String) throws(JSONError) -> Bool {
        skipWhitespace()
        guard position < source.count else { throw unexpectedEnd(what) }
        if source[position] == close {
            position += 1
            depth -= 1
            isFirst = false
            return false
        }
        if isFirst {
            isFirst = false
            return true
        }
        guard source[position] == UInt8(ascii: ",") else { throw unexpected("',' or \(what)") }
        position += 1
        skipWhitespace()
        guard position < source.count, source[position] != close else {
            throw unexpected("a value after ','")
        }
        return true
    }

    @inline(__always)
    mutating func skipWhitespace() {
        while position < source.count {
            let byte = source[position]
            guard byte <= 0x20, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
            else { return }
            position += 1
        }
    }

    /// Steps over `word` when the text goes on with it and a token ends there.
    mutating func accept(_ word: StaticString) -> Bool {
        let end = position + word.utf8CodeUnitCount
        guard end <= source.count else { return false }
        for index in 0..<word.utf8CodeUnitCount
        where unsafe source[position + index] != word.utf8Start[index] { return false }
        if end < source.count {
            switch source[end] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                return false
            default: break
            }
        }
        position = end
        return true
    }

    // MARK: Errors

    func unexpectedEnd(_ expected: String) -> JSONError {
        JSONError(.malformed, "the text ends where \(expected) should be", offset: position)
    }

    func unexpected(_ expected: String) -> JSONError {
        guard position < source.count else { return unexpectedEnd(expected) }
        let byte = source[position]
        let found =
            byte > 0x20 && byte < 0x7F
            ? "'\(Character(Unicode.Scalar(byte)))'"
            : "byte 0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        return JSONError(.malformed, "expected \(expected), found \(found)", offset: position)
    }

    /// The error for a value of another kind; malformed text is reported as such.
    mutating func mismatch(_ expected: String) -> JSONError {
        do {
            let kind = try peek()
            return JSONError(
                .typeMismatch, "expected \(expected), found \(kind.article)", offset: position)
        } catch { return error }
    }
}

extension JSONKind {
    /// The kind with its article, for messages.
    var article: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "a number"
        case .bool: "a boolean"
        case .null: "null"
        }
    }
}
