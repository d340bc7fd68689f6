// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a protobuf text may hold at most.
public struct PBTextLimits: Sendable {
    public var sizeMax = 4 << 20
    public var depthMax = 64

    public init() {}
}

extension PBTextMessage {
    /// Parses protobuf text such as Triton's `config.pbtxt`.
    ///
    /// Accepts fields with and without colon, messages in `{}` and `<>`, lists, `,` and `;` between
    /// fields, `#` comments, decimal, octal and hexadecimal numbers, escapes, and strings that are
    /// written next to each other. Errors name line and column.
    /// Source: https://protobuf.dev/reference/protobuf/textformat-spec/
    public init(
        parsing bytes: [UInt8], limits: PBTextLimits = PBTextLimits()
    ) throws(FormatError) {
        guard bytes.count <= limits.sizeMax else {
            throw FormatError(
                format: .pbtext, code: .limitExceeded,
                message: "the text has \(bytes.count) bytes, at most \(limits.sizeMax) are read")
        }
        var parser = PBTextParser(scanner: PBTextScanner(bytes), depthLeft: limits.depthMax)
        fields = try parser.fields(until: nil)
    }

    /// Parses a text; see `init(parsing:limits:)` over bytes.
    public init(
        parsing text: String, limits: PBTextLimits = PBTextLimits()
    ) throws(FormatError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }
}

/// Turns the scanner's tokens into fields, by recursive descent of bounded depth.
struct PBTextParser {
    var scanner: PBTextScanner
    var depthLeft: Int

    /// Fields up to the closing bracket (nil: the text's end), which is consumed.
    mutating func fields(until close: UInt8?) throws(FormatError) -> [PBTextField] {
        var fields: [PBTextField] = []
        while true {
            try scanner.skipSpace()
            guard let byte = scanner.peek() else {
                guard close == nil else { throw scanner.failure(.truncated, "the text ends early") }
                return fields
            }
            if byte == close {
                scanner.advance()
                return fields
            }
            try field(into: &fields)
        }
    }

    private mutating func field(into fields: inout [PBTextField]) throws(FormatError) {
        let (line, column) = (scanner.line, scanner.column)
        let name = try scanner.fieldName()
        try scanner.skipSpace()
        let hasColon = scanner.take(UInt8(ascii: ":"))
        try scanner.skipSpace()
        if scanner.peek() == UInt8(ascii: "[") {
            try list(name, hasColon: hasColon, into: &fields)
        } else {
            let value = try value(hasColon: hasColon)
            fields.append(PBTextField(name: name, value: value, line: line, column: column))
        }
        try scanner.skipSpace()
        if !scanner.take(UInt8(ascii: ",")) { _ = scanner.take(UInt8(ascii: ";")) }
    }

    private mutating func list(
        _ name: String, hasColon: Bool, into fields: inout [PBTextField]
    ) throws(FormatError) {
        scanner.advance()
        try scanner.skipSpace()
        if scanner.take(UInt8(ascii: "]")) { return }
        while true {
            try scanner.skipSpace()
            let (line, column) = (scanner.line, scanner.column)
            let value = try value(hasColon: hasColon)
            fields.append(PBTextField(name: name, value: value, line: line, column: column))
            try scanner.skipSpace()
            if scanner.take(UInt8(ascii: "]")) { return }
            guard scanner.take(UInt8(ascii: ",")) else {
                throw scanner.failure(.malformed, "expected ',' or ']' in the list '\(name)'")
            }
        }
    }

    private mutating func value(hasColon: Bool) throws(FormatError) -> PBTextValue {
        switch scanner.peek() {
        case UInt8(ascii: "{"): return try message(until: UInt8(ascii: "}"))
        case UInt8(ascii: "<"): return try message(until: UInt8(ascii: ">"))
        default:
            guard hasColon else {
                throw scanner.failure(.malformed, "expected ':' or '{' after the field's name")
            }
            return try scanner.scalar()
        }
    }

    private mutating func message(until close: UInt8) throws(FormatError) -> PBTextValue {
        guard depthLeft > 0 else {
            throw scanner.failure(.limitExceeded, "messages are nested too deeply")
        }
        scanner.advance()
        depthLeft -= 1
        let inner = try fields(until: close)
        depthLeft += 1
        return .message(PBTextMessage(fields: inner))
    }
}
