// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

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

    /// UTC in RFC 3339 form. Civil date from days: Howard Hinnant, chrono-compatible low-level
    /// date algorithms, `civil_from_days`.
    package static func timestamp(secondsSinceEpoch: Int, milliseconds: Int) -> String {
        func padded(_ number: Int, _ width: Int = 2) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let days = Int((Double(secondsSinceEpoch) / 86_400).rounded(.down))
        let second = secondsSinceEpoch - days * 86_400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return "\(padded(year, 4))-\(padded(month))-\(padded(day))T\(padded(second / 3_600)):"
            + "\(padded(second / 60 % 60)):\(padded(second % 60)).\(padded(milliseconds, 3))Z"
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
