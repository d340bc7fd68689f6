// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

/// What was found wrong while a file was read; reading goes on so that all of it can be shown.
final class ProblemList {
    static let countMax = 100
    private(set) var problems: [ConfigurationError] = []

    var isFull: Bool { problems.count >= ProblemList.countMax }

    func add(
        _ message: String, at position: SourcePosition?,
        code: ConfigurationError.Code = .invalidValue
    ) {
        guard !isFull else { return }
        problems.append(ConfigurationError(code, message, position: position))
    }

    /// "; did you mean 'x'?" for the known name nearest to a wrong one, when it is near.
    static func hint(_ wrong: String, among known: some Sequence<String>) -> String {
        var best: (name: String, distance: Int)?
        for name in known where abs(name.utf8.count - wrong.utf8.count) <= 3 {
            let distance = EditDistance.between(name, wrong)
            if distance < best?.distance ?? 4 { best = (name, distance) }
        }
        guard let best, best.distance <= max(1, wrong.count / 2) else { return "" }
        return "; did you mean '\(best.name)'?"
    }
}

/// One section of the file: typed access to its keys, with every problem noted and the reading
/// continued.
struct ConfigurationSection {
    /// What the section is, for messages: "pool 'chat'".
    let name: String
    let position: SourcePosition
    let entries: [YAMLNode.Entry]
    let problems: ProblemList

    /// Nil (and a problem) when the node is no section; an empty one is.
    init?(_ node: YAMLNode, _ name: String, _ problems: ProblemList) {
        self.name = name
        self.problems = problems
        position = node.position
        if node.isNull {
            entries = []
        } else if let entries = node.entries {
            self.entries = entries
        } else {
            problems.add("\(name) is a section, got \(node.kind)", at: node.position)
            return nil
        }
    }

    /// Notes every key that is not one of these.
    func allow(_ known: [String]) {
        for entry in entries where !known.contains(entry.key) {
            problems.add(
                "unknown key '\(entry.key)' in \(name)"
                    + ProblemList.hint(entry.key, among: known),
                at: entry.position, code: .unknownKey)
        }
    }

    subscript(key: String) -> YAMLNode? {
        for entry in entries where entry.key == key { return entry.value }
        return nil
    }

    func wrong(_ key: String, _ wanted: String, _ node: YAMLNode) {
        let got = node.text.map { "'\($0)'" } ?? node.kind
        problems.add("\(key) of \(name) takes \(wanted), got \(got)", at: node.position)
    }

    /// A text that is not empty.
    func text(_ key: String) -> String? {
        guard let node = self[key] else { return nil }
        guard let text = node.text, !node.isNull, !text.isEmpty else {
            wrong(key, "a text", node)
            return nil
        }
        return text
    }

    /// The name of an environment variable.
    func variable(_ key: String) -> String? {
        guard let text = text(key) else { return nil }
        let isName = text.utf8.enumerated().allSatisfy { place, byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "_"):
                true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): place > 0
            default: false
            }
        }
        if isName { return text }
        // The value may be the secret itself, put there by mistake: it is not shown.
        problems.add(
            "\(key) of \(name) takes the name of an environment variable, not the secret itself",
            at: self[key]?.position)
        return nil
    }

    func requiredText(_ key: String, _ what: String) -> String? {
        guard self[key] != nil else {
            problems.add("\(name) has no \(key): \(what)", at: position)
            return nil
        }
        return text(key)
    }

    func reference(_ key: String) -> GatewayConfiguration.Reference? {
        guard let node = self[key], let text = text(key) else { return nil }
        return GatewayConfiguration.Reference(name: text, position: node.position)
    }

    func integer(_ key: String, _ range: ClosedRange<Int>, _ keep: inout Int) {
        guard let node = self[key] else { return }
        guard let text = node.text, let value = Int(text), range.contains(value) else {
            return wrong(key, "a number from \(range.lowerBound) to \(range.upperBound)", node)
        }
        keep = value
    }

    func number(_ key: String, _ range: ClosedRange<Double>, _ keep: inout Double) {
        guard let node = self[key] else { return }
        guard let text = node.text, let value = Double(text), range.contains(value) else {
            return wrong(key, "a number from \(range.lowerBound) to \(range.upperBound)", node)
        }
        keep = value
    }

    func flag(_ key: String, _ keep: inout Bool) {
        guard let node = self[key] else { return }
        switch node.text {
        case "true": keep = true
        case "false": keep = false
        default: wrong(key, "true or false", node)
        }
    }

    func duration(_ key: String, _ keep: inout Duration) {
        guard let node = self[key] else { return }
        guard let text = node.text, let value = DurationText.read(text) else {
            return wrong(key, "a time such as 250ms, 30s, 5m or 1h", node)
        }
        keep = value
    }

    func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: String, _ keep: inout Choice
    ) {
        guard let node = self[key] else { return }
        guard let text = node.text, let value = Choice(rawValue: text) else {
            let choices = Choice.allCases.map(\.rawValue)
            problems.add(
                "\(key) of \(name) is one of \(choices.joined(separator: ", ")), got "
                    + (node.text.map { "'\($0)'" } ?? node.kind)
                    + ProblemList.hint(node.text ?? "", among: choices),
                at: node.position)
            return
        }
        keep = value
    }

    func attribute(_ key: String) -> Attribute? {
        guard let node = self[key] else { return nil }
        guard let text = node.text, let attribute = Attribute(text) else {
            wrong(key, Attribute.forms, node)
            return nil
        }
        return attribute
    }

    /// One text or a list of them, with their places.
    func references(_ key: String) -> [GatewayConfiguration.Reference] {
        guard let node = self[key] else { return [] }
        var found: [GatewayConfiguration.Reference] = []
        for item in node.items ?? [node] {
            guard let text = item.text, !item.isNull, !text.isEmpty else {
                wrong(key, "a text or a list of texts", item)
                continue
            }
            found.append(GatewayConfiguration.Reference(name: text, position: item.position))
        }
        return found
    }
}

/// Times as people write them.
enum DurationText {
    private static let units: [(String, Double)] = [
        ("ms", 1e6), ("us", 1e3), ("s", 1e9), ("m", 60e9), ("h", 3_600e9),
    ]

    /// Reads "250ms", "1.5s", "5m"; a bare number is seconds. Nil for anything else, for less than
    /// nothing and for more than a year.
    static func read(_ text: String) -> Duration? {
        let unit = units.first { text.hasSuffix($0.0) }
        let digits = text.dropLast(unit?.0.utf8.count ?? 0)
        guard let value = Double(digits), value >= 0 else { return nil }
        let nanoseconds = (value * (unit?.1 ?? 1e9)).rounded()
        guard nanoseconds <= 31_536_000e9 else { return nil }
        return .nanoseconds(Int64(nanoseconds))
    }
}
