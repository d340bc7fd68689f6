// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The lexical rules of Prometheus' text format.
public enum PrometheusText {
    /// The media type that scrapers expect.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// A legal metric name: letters, digits, `_` and `:`, not starting with a digit.
    static func metricName(_ label: String, suffix: String) -> String {
        var name = identifier(label, allowsColon: true)
        if !name.hasSuffix(suffix) { name += suffix }
        return name
    }

    /// `{a="b",c="d"}`, or nothing when there are no dimensions.
    static func labels(_ dimensions: [(String, String)]) -> String {
        guard !dimensions.isEmpty else { return "" }
        let pairs = dimensions.sorted { $0.0 < $1.0 }.map { name, value in
            "\(identifier(name, allowsColon: false))=\"\(escaped(value))\""
        }
        return "{" + pairs.joined(separator: ",") + "}"
    }

    /// A label value with backslash, quote and line feed escaped.
    public static func escaped(_ value: String) -> String {
        var text = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// Adds one more label to a rendered set.
    static func labels(_ labels: String, adding name: String, _ value: String) -> String {
        guard !labels.isEmpty else { return "{\(name)=\"\(value)\"}" }
        return labels.dropLast() + ",\(name)=\"\(value)\"}"
    }

    private static func identifier(_ text: String, allowsColon: Bool) -> String {
        var name = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "a"..."z", "A"..."Z", "_": name.unicodeScalars.append(scalar)
            case "0"..."9":
                if name.isEmpty { name += "_" }
                name.unicodeScalars.append(scalar)
            case ":" where allowsColon: name += ":"
            default: name += "_"
            }
        }
        return name.isEmpty ? "_" : name
    }
}
