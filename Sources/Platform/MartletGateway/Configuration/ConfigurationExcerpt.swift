// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Lines of a gateway.yaml as messages may show them: without what may be a secret.
///
/// Secrets are no part of the file, but get there by mistake, and then there is a message about
/// them. Goes by the text and not by the document, because the text may be no YAML. Rather hides
/// too much: after a key that bears secrets everything up to the value's end, lines below it
/// included; among the keys, whatever looks like a secret; the user and password of any address.
/// O(bytes).
package struct ConfigurationExcerpt: Sendable {
    /// Parts of the names of keys whose values are never shown.
    private static let secretNames = [
        "sha256", "redis", "password", "passwd", "secret", "token", "api_key", "apikey", "key_env",
        "authorization", "credential", "bearer",
    ]
    /// Keys of those names that take no secrets: numbers, or sections whose keys say more.
    private static let plainNames = ["tokens", "token_margin"]
    private static let hidden = "…"
    private static let lineCharactersMax = 100

    private let lines: [ArraySlice<UInt8>]

    package init(_ bytes: [UInt8]) {
        lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    }

    /// A line by its number, from 1; nil when there is none.
    package func line(_ number: Int) -> String? {
        guard lines.indices.contains(number - 1) else { return nil }
        // A secret's value may begin lines before.
        var scan = Scan()
        for line in lines[..<(number - 1)] { _ = scan.shown(line) }
        return String(scan.shown(lines[number - 1]).prefix(ConfigurationExcerpt.lineCharactersMax))
    }

    /// A text in which nobody's user name and password stand: `http://user:password@host` loses
    /// what is before the @.
    package static func withoutCredentials(_ text: String) -> String {
        var shown = ""
        var rest = text[...]
        while let mark = rest.firstRange(of: "://") {
            shown += rest[..<mark.upperBound]
            rest = rest[mark.upperBound...]
            let end = rest.firstIndex { " \t\"',}]".contains($0) } ?? rest.endIndex
            if let sign = rest[..<end].lastIndex(of: "@") {
                shown += hidden
                rest = rest[sign...]
            }
        }
        return shown + rest
    }

    /// What is known of a value that began above a line.
    private struct Scan {
        /// The value under way: how deep its key stands, and brackets that are open.
        private var indentation: Int?
        private var depth = 0
        /// Inside the sections where secrets have digests.
        private var isAmongKeys = false

        mutating func shown(_ line: ArraySlice<UInt8>) -> String {
            let text = String(decoding: line, as: UTF8.self)
            let start = text.firstIndex { $0 != " " } ?? text.endIndex
            let indent = text.distance(from: text.startIndex, to: start)
            if let outer = indentation {
                guard start < text.endIndex else { return text }
                let isBelow = indent > outer || (indent == outer && text[start] == "-")
                if depth > 0 || isBelow {
                    if depth > 0 { depth = max(depth + Scan.brackets(text[start...]), 0) }
                    return text[..<start] + hidden
                }
                indentation = nil
            }
            if indent == 0, start < text.endIndex, text[start] != "#" {
                isAmongKeys = text.hasPrefix("keys:") || text.hasPrefix("admin:")
            }
            let shown = masked(text, indent)
            return isAmongKeys ? Scan.withoutLikelySecrets(shown) : shown
        }

        /// Words that begin as API keys do, or that are long and of letters and digits.
        private static func withoutLikelySecrets(_ text: String) -> String {
            var shown = ""
            var rest = text[...]
            while let first = rest.first {
                let word = rest.prefix { $0.isLetter || $0.isNumber || "-_.+/=".contains($0) }
                guard !word.isEmpty else {
                    shown.append(first)
                    rest = rest.dropFirst()
                    continue
                }
                let isLong =
                    word.count >= 16 && word.contains(where: \.isLetter)
                    && word.contains(where: \.isNumber)
                shown += isLong || word.hasPrefix("sk-") ? hidden : String(word)
                rest = rest[word.endIndex...]
            }
            return shown
        }

        /// The line without the values of its secret keys.
        private mutating func masked(_ text: String, _ indent: Int) -> String {
            var shown = ""
            var rest = text[...]
            while let colon = Scan.secretKey(rest) {
                let value = rest.index(after: colon)
                shown += rest[..<value]
                rest = rest[value...]
                if rest.allSatisfy({ $0 == " " || $0 == "\r" }) {
                    indentation = indent
                    depth = 0
                    return shown + rest
                }
                shown += " " + hidden
                guard let end = Scan.valueEnd(rest) else {
                    indentation = indent
                    depth = max(Scan.brackets(rest), 0)
                    return shown
                }
                rest = rest[end...]
            }
            return ConfigurationExcerpt.withoutCredentials(shown + rest)
        }

        /// The colon behind the first key of a secret's name.
        private static func secretKey(_ text: Substring) -> Substring.Index? {
            var place = text.startIndex
            while let colon = text[place...].firstIndex(of: ":") {
                let start =
                    text[..<colon].lastIndex { "{,[ \t".contains($0) }
                    .map { text.index(after: $0) } ?? text.startIndex
                let name = text[start..<colon].lowercased().filter { $0 != "\"" && $0 != "'" }
                if !plainNames.contains(name), secretNames.contains(where: name.contains) {
                    return colon
                }
                place = text.index(after: colon)
            }
            return nil
        }

        /// Where a value that ends on its line ends; nil when it goes on to the line's end or
        /// beyond.
        private static func valueEnd(_ text: Substring) -> Substring.Index? {
            var depth = 0
            var quote: Character?
            for index in text.indices {
                let character = text[index]
                if let open = quote {
                    if character == open { quote = nil }
                    continue
                }
                switch character {
                case "\"", "'": quote = character
                case "[", "{": depth += 1
                case "]", "}":
                    if depth == 0 { return index }
                    depth -= 1
                case ",": if depth == 0 { return index }
                default: break
                }
            }
            return nil
        }

        private static func brackets(_ text: Substring) -> Int {
            text.reduce(0) { sum, character in
                switch character {
                case "[", "{": sum + 1
                case "]", "}": sum - 1
                default: sum
                }
            }
        }
    }
}
