// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// What a schema's types accept; each throws a `FormatError` that names the field and its place.
extension PBTextField {
    public func message() throws(FormatError) -> PBTextMessage {
        if case .message(let message) = value { return message }
        throw mismatch("a message")
    }

    /// A string field's text.
    public func string() throws(FormatError) -> String {
        guard case .string(let bytes) = value else { throw mismatch("a string") }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw failure("is not UTF-8 text")
        }
        return text
    }

    public func bytes() throws(FormatError) -> [UInt8] {
        if case .string(let bytes) = value { return bytes }
        throw mismatch("a string")
    }

    /// An enum's value: its name, or its number as text.
    public func word() throws(FormatError) -> String {
        switch value {
        case .word(let word): word
        case .integer(let isNegative, let magnitude): (isNegative ? "-" : "") + String(magnitude)
        default: throw mismatch("a name")
        }
    }

    public func bool() throws(FormatError) -> Bool {
        switch value {
        case .word("true"), .word("True"), .word("t"): true
        case .word("false"), .word("False"), .word("f"): false
        case .integer(false, 1): true
        case .integer(false, 0): false
        default: throw mismatch("true or false")
        }
    }

    public func int64() throws(FormatError) -> Int64 {
        guard case .integer(let isNegative, let magnitude) = value else {
            throw mismatch("a whole number")
        }
        if !isNegative, let number = Int64(exactly: magnitude) { return number }
        if isNegative, magnitude <= Int64.min.magnitude {
            return Int64(truncatingIfNeeded: 0 &- magnitude)
        }
        throw failure("does not fit 64 bits")
    }

    public func int32() throws(FormatError) -> Int32 {
        guard let number = Int32(exactly: try int64()) else {
            throw failure("does not fit 32 bits")
        }
        return number
    }

    public func uint64() throws(FormatError) -> UInt64 {
        guard case .integer(let isNegative, let magnitude) = value else {
            throw mismatch("a whole number")
        }
        guard !isNegative || magnitude == 0 else { throw failure("must not be negative") }
        return magnitude
    }

    public func uint32() throws(FormatError) -> UInt32 {
        guard let number = UInt32(exactly: try uint64()) else {
            throw failure("does not fit 32 bits")
        }
        return number
    }

    public func double() throws(FormatError) -> Double {
        switch value {
        case .float(let number): return number
        case .integer(let isNegative, let magnitude):
            return isNegative ? -Double(magnitude) : Double(magnitude)
        case .word(let word):
            switch word.lowercased() {
            case "inf", "infinity", "inff": return .infinity
            case "-inf", "-infinity", "-inff": return -.infinity
            case "nan", "-nan": return .nan
            default: throw mismatch("a number")
            }
        default: throw mismatch("a number")
        }
    }

    private func mismatch(_ expected: String) -> FormatError {
        let found =
            switch value {
            case .integer(let isNegative, let magnitude): "\(isNegative ? "-" : "")\(magnitude)"
            case .float(let number): "\(number)"
            case .string: "a string"
            case .word(let word): "'\(word)'"
            case .message: "a message"
            }
        return failure("expected \(expected), got \(found)")
    }
}
