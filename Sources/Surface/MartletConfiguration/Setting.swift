// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

/// One key of the configuration: its name in the file, its type and default, and what it is for.
public struct Setting: Sendable {
    /// What values a setting takes.
    public enum Kind: Sendable, Hashable {
        case text
        case flag
        case number(ClosedRange<Int>)
        case choice([String])
        /// A list of texts; in an environment variable separated by commas.
        case list
    }

    /// The key with its sections: "server.http_port".
    public let key: String
    public let kind: Kind
    public let fallback: SettingValue
    public let help: String

    public init(_ key: String, _ kind: Kind, default fallback: SettingValue, _ help: String) {
        self.key = key
        self.kind = kind
        self.fallback = fallback
        self.help = help
    }

    /// The environment variable that sets it: "MARTLET_SERVER_HTTP_PORT".
    public var variable: String {
        "MARTLET_" + key.uppercased().map { $0 == "." ? "_" : String($0) }.joined()
    }

    /// Reads a value from text.
    /// - Throws: `ConfigurationError` naming the key and what it takes.
    func parse(_ text: String) throws(ConfigurationError) -> SettingValue {
        switch kind {
        case .text: return .text(text)
        case .flag:
            switch text.lowercased() {
            case "true", "yes", "on", "1": return .flag(true)
            case "false", "no", "off", "0": return .flag(false)
            default: throw wrong(text, "true or false")
            }
        case .number(let range):
            guard let number = Int(text), range.contains(number) else {
                throw wrong(text, "a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return .number(number)
        case .choice(let choices):
            guard choices.contains(text) else {
                throw wrong(text, "one of " + choices.joined(separator: ", "))
            }
            return .text(text)
        case .list:
            let items = text.split(separator: ",").map { part in
                String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
            return .list(items.filter { !$0.isEmpty })
        }
    }

    func wrong(_ text: String, _ wanted: String) -> ConfigurationError {
        ConfigurationError(.invalidValue, "'\(key)' takes \(wanted), got '\(text)'")
    }
}

/// A setting's value.
public enum SettingValue: Sendable, Hashable, CustomStringConvertible {
    case text(String)
    case flag(Bool)
    case number(Int)
    case list([String])

    public var description: String {
        switch self {
        case .text(let text): text
        case .flag(let flag): String(flag)
        case .number(let number): String(number)
        case .list(let list): "[" + list.joined(separator: ", ") + "]"
        }
    }
}
