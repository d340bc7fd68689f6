// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Writes values as Python's `json.dumps(…, ensure_ascii=False)`, which templates' `tojson` is.
struct TemplateJSON {
    var indent: Int?
    var itemSeparator: String?
    var keySeparator: String?
    var sortsKeys = false

    func write(
        _ value: TemplateValue, level: Int = 0, to text: inout String,
        _ interpreter: inout TemplateInterpreter
    ) throws(TemplateError) {
        try interpreter.enter()
        defer { interpreter.leave() }
        switch value {
        case .none: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value):
            text +=
                value.isNaN
                ? "NaN"
                : value.isInfinite
                    ? (value < 0 ? "-Infinity" : "Infinity") : PythonNumber.text(value)
        case .string(let value):
            try interpreter.check(byteCount: value.utf8.count)
            text += TemplateJSON.quoted(value)
        case .list(let values), .tuple(let values):
            try writeAll(values.map { (nil, $0) }, "[", "]", level, to: &text, &interpreter)
        case .object(let object):
            var keys = object.keys
            if sortsKeys { keys.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) } }
            try writeAll(
                keys.map { ($0, object[$0] ?? .none) }, "{", "}", level, to: &text, &interpreter)
        default: throw interpreter.fail("'\(value.kind)' cannot be written as JSON")
        }
        try interpreter.check(byteCount: text.utf8.count / 64)
    }

    private func writeAll(
        _ members: [(key: String?, value: TemplateValue)], _ open: String, _ close: String,
        _ level: Int, to text: inout String, _ interpreter: inout TemplateInterpreter
    ) throws(TemplateError) {
        text += open
        let comma = itemSeparator ?? (indent == nil ? ", " : ",")
        for (index, member) in members.enumerated() {
            if index > 0 { text += comma }
            breakLine(level + 1, &text)
            if let key = member.key {
                text += TemplateJSON.quoted(key) + (keySeparator ?? ": ")
            }
            try write(member.value, level: level + 1, to: &text, &interpreter)
        }
        if !members.isEmpty { breakLine(level, &text) }
        text += close
    }

    private func breakLine(_ level: Int, _ text: inout String) {
        guard let indent else { return }
        text += "\n" + String(repeating: " ", count: indent * level)
    }

    static func quoted(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        result.append("\"")
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result.append(contentsOf: "\\\"".unicodeScalars)
            case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            case "\u{08}": result.append(contentsOf: "\\b".unicodeScalars)
            case "\u{0C}": result.append(contentsOf: "\\f".unicodeScalars)
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    let zeros = String(repeating: "0", count: 4 - digits.utf8.count)
                    result.append(contentsOf: ("\\u" + zeros + digits).unicodeScalars)
                } else {
                    result.append(scalar)
                }
            }
        }
        result.append("\"")
        return String(result)
    }
}
