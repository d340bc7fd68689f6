// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// How a log event becomes a line. Control characters never reach the output raw, so that what a
/// client sends cannot forge lines or steer a terminal.
package enum LogLine {
    package static func json(
        time: String, level: String, label: String, message: String, fields: [(String, String)]
    ) -> String {
        var line = "{\"time\":\"\(time)\",\"level\":\"\(level)\",\"logger\":"
        appendQuoted(label, to: &line)
        line += ",\"message\":"
        appendQuoted(message, to: &line)
        for (name, value) in fields {
            line += ","
            appendQuoted(name, to: &line)
            line += ":"
            appendQuoted(value, to: &line)
        }
        return line + "}\n"
    }

    package static func pretty(
        time: String, level: String, message: String, fields: [(String, String)]
    ) -> String {
        let padding = String(repeating: " ", count: max(0, 8 - level.count))
        var line = "\(time) \(level)\(padding) "
        appendVisible(message, to: &line)
        for (name, value) in fields {
            line += "  "
            appendVisible(name, to: &line)
            line += "="
            if value.contains(where: { $0 == " " || $0 == "\"" }) || value.isEmpty {
                appendQuoted(value, to: &line)
            } else {
                appendVisible(value, to: &line)
            }
        }
        return line + "\n"
    }

    /// UTC in RFC 3339 form.
    package static func timestamp(secondsSinceEpoch: Int, milliseconds: Int) -> String {
        func padded(_ number: Int, _ width: Int = 2) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let days = Int((Double(secondsSinceEpoch) / 86_400).rounded(.down))
        let second = secondsSinceEpoch - days * 86_400
        let date = CivilDate(daysSinceEpoch: days)
        return "\(padded(date.year, 4))-\(padded(date.month))-\(padded(date.day))T"
            + "\(padded(second / 3_600)):\(padded(second / 60 % 60)):\(padded(second % 60)).\(padded(milliseconds, 3))Z"
    }

    private static func appendQuoted(_ text: String, to line: inout String) {
        line += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": line += "\\\""
            case "\\": line += "\\\\"
            default: appendVisible(scalar, to: &line)
            }
        }
        line += "\""
    }

    private static func appendVisible(_ text: String, to line: inout String) {
        for scalar in text.unicodeScalars { appendVisible(scalar, to: &line) }
    }

    private static func appendVisible(_ scalar: Unicode.Scalar, to line: inout String) {
        switch scalar.value {
        case 0x0A: line += "\\n"
        case 0x0D: line += "\\r"
        case 0x09: line += "\\t"
        case 0..<0x20, 0x7F, 0x80..<0xA0, 0x2028, 0x2029:
            let digits = String(scalar.value, radix: 16)
            line += "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        default: line.unicodeScalars.append(scalar)
        }
    }
}
