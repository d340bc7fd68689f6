// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension TemplateInterpreter {
    /// A value as Python's `str` writes it.
    mutating func text(of value: TemplateValue) throws(TemplateError) -> String {
        if case .string(let text) = value { return text }
        if case .undefined = value { return "" }
        return try representation(value)
    }

    /// A value as Python's `repr` writes it.
    mutating func representation(_ value: TemplateValue) throws(TemplateError) -> String {
        try enter()
        defer { leave() }
        switch value {
        case .undefined: return "Undefined"
        case .none: return "None"
        case .bool(let value): return value ? "True" : "False"
        case .integer(let value): return String(value)
        case .number(let value): return PythonNumber.text(value)
        case .string(let text): return try quoted(text)
        case .list(let values): return "[" + (try joined(values)) + "]"
        case .tuple(let values):
            return "(" + (try joined(values)) + (values.count == 1 ? ",)" : ")")
        case .object(let object):
            var parts: [String] = []
            for key in object.keys {
                parts.append(
                    try quoted(key) + ": " + (try representation(object[key] ?? .none)))
            }
            return try whole("{" + parts.joined(separator: ", ") + "}")
        case .namespace, .macro, .function, .method: return "<\(value.kind)>"
        }
    }

    private mutating func whole(_ text: String) throws(TemplateError) -> String {
        try check(byteCount: text.utf8.count)
        return text
    }

    private mutating func joined(_ values: [TemplateValue]) throws(TemplateError) -> String {
        var parts: [String] = []
        for value in values { parts.append(try representation(value)) }
        return try whole(parts.joined(separator: ", "))
    }

    private mutating func quoted(_ text: String) throws(TemplateError) -> String {
        let quote: Unicode.Scalar =
            text.utf8.contains(0x27) && !text.utf8.contains(0x22) ? "\"" : "'"
        var result = String.UnicodeScalarView()
        result.append(quote)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
            case quote:
                result.append("\\")
                result.append(quote)
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    let digits = String(scalar.value, radix: 16)
                    result.append(
                        contentsOf: ("\\x" + (digits.utf8.count < 2 ? "0" : "") + digits)
                            .unicodeScalars)
                } else {
                    result.append(scalar)
                }
            }
        }
        result.append(quote)
        return try whole(String(result))
    }
}

/// Numbers as Python writes them.
enum PythonNumber {
    static func text(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        // Swift writes as few digits as Python; the exponent's form and threshold differ.
        let plain = "\(value)"
        let magnitude = value.magnitude
        guard magnitude != 0, magnitude >= 1e16 || magnitude < 1e-4 else {
            return plain.utf8.contains(UInt8(ascii: "e")) ? expanded(plain) : plain
        }
        guard let mark = plain.firstIndex(of: "e") else {
            return exponential(plain)
        }
        var mantissa = String(plain[..<mark])
        if mantissa.hasSuffix(".0") { mantissa.removeLast(2) }
        let exponent = Int(plain[plain.index(after: mark)...]) ?? 0
        return mantissa + sign(exponent)
    }

    private static func sign(_ exponent: Int) -> String {
        let digits = String(exponent.magnitude)
        return (exponent < 0 ? "e-" : "e+") + (digits.utf8.count < 2 ? "0" : "") + digits
    }

    /// "1.5e-05" of "0.000015", where Swift writes no exponent.
    private static func exponential(_ plain: String) -> String {
        let isNegative = plain.hasPrefix("-")
        let digits = plain.drop { $0 == "-" }
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        let whole = String(parts[0])
        let fraction = parts.count > 1 && parts[1] != "0" ? String(parts[1]) : ""
        var all = whole + fraction
        var exponent = whole.utf8.count - 1
        while all.hasPrefix("0"), all.utf8.count > 1 {
            all.removeFirst()
            exponent -= 1
        }
        while all.hasSuffix("0"), all.utf8.count > 1 { all.removeLast() }
        let first = String(all.prefix(1))
        let rest = String(all.dropFirst())
        return (isNegative ? "-" : "") + first + (rest.isEmpty ? "" : "." + rest) + sign(exponent)
    }

    /// "0.00015" of "1.5e-04".
    private static func expanded(_ text: String) -> String {
        guard let mark = text.firstIndex(of: "e"),
            let exponent = Int(text[text.index(after: mark)...])
        else { return text }
        let isNegative = text.hasPrefix("-")
        let digits = text[..<mark].filter { $0 != "-" && $0 != "." }
        let trimmed =
            digits.hasSuffix("0") && digits.utf8.count > 1
            ? String(digits.dropLast()) : String(digits)
        let point = 1 + exponent
        let body: String
        if point <= 0 {
            body = "0." + String(repeating: "0", count: -point) + trimmed
        } else if point >= trimmed.utf8.count {
            body = trimmed + String(repeating: "0", count: point - trimmed.utf8.count) + ".0"
        } else {
            body = String(trimmed.prefix(point)) + "." + String(trimmed.dropFirst(point))
        }
        return (isNegative ? "-" : "") + body
    }
}
