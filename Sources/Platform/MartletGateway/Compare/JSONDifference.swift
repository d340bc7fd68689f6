// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// One place where two JSON documents differ.
package struct JSONDifference: Sendable, Hashable {
    package enum Kind: String, Sendable {
        case added, removed, changed
        case typeChanged = "type changed"
    }

    package var kind: Kind
    /// `$.choices[0].message.content`.
    package var path: String
    /// The path with every index as `[*]`: what is counted together.
    package var pattern: String
    package var before: JSONValue?
    package var after: JSONValue?
}

/// Finds where two JSON documents differ, member by member.
///
/// Lists are aligned by their equal beginnings and ends; what lies between is compared place by
/// place, so that one element put in shows as one. Cost is at most bytes × depth; the number of
/// differences is bounded.
package struct JSONComparison: Sendable {
    package struct Options: Sendable {
        /// Patterns that say nothing (`$.id`, `$.created`), with all below them.
        package var ignored: Set<String> = []
        package var absoluteTolerance = 0.0
        package var relativeTolerance = 0.0
        package var differencesMax = 1_000
        /// Texts that differ and mean the same.
        package var areSameTexts: (@Sendable (String, String) -> Bool)?

        package init() {}
    }

    private let options: Options
    private var path: [Part] = []
    package private(set) var differences: [JSONDifference] = []
    /// Whether there were more differences than are kept.
    package private(set) var isCutOff = false

    private enum Part {
        case member(String)
        case element(Int)
    }

    package init(_ before: JSONValue, _ after: JSONValue, options: Options = Options()) {
        self.options = options
        compare(before, after)
    }

    private mutating func compare(_ before: JSONValue, _ after: JSONValue) {
        guard !isCutOff else { return }
        switch (before, after) {
        case (.object(let one), .object(let other)): compare(one, other)
        case (.array(let one), .array(let other)): compare(one, other)
        default:
            if before.kind != after.kind {
                add(.typeChanged, before, after)
            } else if !isSame(before, after) {
                add(.changed, before, after)
            }
        }
    }

    private mutating func compare(_ before: JSONObject, _ after: JSONObject) {
        for (name, value) in before {
            path.append(.member(name))
            if let other = after[name] {
                if options.ignored.isEmpty || !options.ignored.contains(text(isPattern: true)) {
                    compare(value, other)
                }
            } else {
                add(.removed, value, nil)
            }
            path.removeLast()
        }
        for (name, value) in after where before[name] == nil {
            path.append(.member(name))
            add(.added, nil, value)
            path.removeLast()
        }
    }

    private mutating func compare(_ before: [JSONValue], _ after: [JSONValue]) {
        let shorter = min(before.count, after.count)
        var start = 0
        while start < shorter, before[start] == after[start] { start += 1 }
        var tail = 0
        while tail < shorter - start,
            before[before.count - 1 - tail] == after[after.count - 1 - tail]
        { tail += 1 }
        let paired = shorter - start - tail
        for index in start..<(start + paired) {
            path.append(.element(index))
            compare(before[index], after[index])
            path.removeLast()
        }
        for index in (start + paired)..<max(before.count - tail, start + paired) {
            path.append(.element(index))
            add(.removed, before[index], nil)
            path.removeLast()
        }
        for index in (start + paired)..<max(after.count - tail, start + paired) {
            path.append(.element(index))
            add(.added, nil, after[index])
            path.removeLast()
        }
    }

    private func isSame(_ before: JSONValue, _ after: JSONValue) -> Bool {
        if before == after { return true }
        if case .string(let one) = before, case .string(let other) = after {
            return options.areSameTexts?(one, other) ?? false
        }
        guard let one = before.doubleValue, let other = after.doubleValue else { return false }
        // Two whole numbers that differ may round to the same double.
        if case .integer = before, case .integer = after,
            options.absoluteTolerance == 0, options.relativeTolerance == 0
        {
            return false
        }
        let scale = max(abs(one), abs(other))
        return abs(one - other)
            <= max(options.absoluteTolerance, options.relativeTolerance * scale)
    }

    private mutating func add(
        _ kind: JSONDifference.Kind, _ before: JSONValue?, _ after: JSONValue?
    ) {
        let pattern = text(isPattern: true)
        guard !options.ignored.contains(pattern) else { return }
        guard differences.count < options.differencesMax else {
            isCutOff = true
            return
        }
        differences.append(
            JSONDifference(
                kind: kind, path: text(isPattern: false), pattern: pattern, before: before,
                after: after))
    }

    private func text(isPattern: Bool) -> String {
        var text = "$"
        for part in path {
            switch part {
            case .element(let index): text += isPattern ? "[*]" : "[\(index)]"
            case .member(let name):
                let isPlain =
                    !name.isEmpty
                    && name.utf8.allSatisfy {
                        ($0 | 0x20) >= UInt8(ascii: "a") && ($0 | 0x20) <= UInt8(ascii: "z")
                            || $0 == UInt8(ascii: "_")
                            || $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")
                    }
                text += isPlain ? ".\(name)" : "[\(JSONValue.string(name))]"
            }
        }
        return text
    }
}
