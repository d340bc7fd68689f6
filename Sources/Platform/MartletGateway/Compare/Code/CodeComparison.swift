// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// One place where two programs differ.
package struct CodeDifference: Sendable, Hashable {
    package enum Kind: String, Sendable { case added, removed, changed }
    package enum Part: String, Sendable { case literal, call, name, symbol, statement, member }

    package var kind: Kind
    package var part: Part
    package var before: String?
    package var after: String?
    /// In the code that has it, from 1; the first program's for what was changed.
    package var line: Int
}

/// Two blocks of code of one language, compared as trees: layout and comments say nothing.
package struct CodeComparison: Sendable, Hashable {
    package static let differencesMax = 100
    /// Comparisons of children, above which the rest is compared place by place.
    private static let cellsMax = 250_000

    package let language: String
    /// Whether both could be taken apart; otherwise they were compared as texts, line by line.
    package private(set) var isParsed: Bool
    package private(set) var differences: [CodeDifference] = []
    package private(set) var isCutOff = false

    package var isSame: Bool { differences.isEmpty }

    /// One that was made before, as far as it was kept.
    init(language: String, isParsed: Bool, differences: [CodeDifference]) {
        self.language = language
        self.isParsed = isParsed
        self.differences = differences
    }

    package init(_ before: String, _ after: String, language name: String) {
        language = name
        isParsed = false
        switch CodeLanguage(name: name) {
        case .json?:
            guard let one = try? JSONValue(parsing: before),
                let other = try? JSONValue(parsing: after)
            else { break }
            isParsed = true
            addDocuments(one, other)
            return
        case let language?:
            guard let one = CodeTree(before, language), let other = CodeTree(after, language) else {
                break
            }
            isParsed = true
            compare(one, other)
            return
        case nil: break
        }
        let lines = [before, after].map { text in
            CodeTree(
                kind: .block,
                children: text.split(separator: "\n").enumerated().map {
                    CodeTree(kind: .statement, text: CodeComparison.trimmed($1), line: $0 + 1)
                }, line: 1)
        }
        compareChildren(lines[0], lines[1])
    }

    private static func trimmed(_ line: Substring) -> String {
        var line = line
        while let last = line.last, last.isWhitespace { line = line.dropLast() }
        return String(line)
    }

    private mutating func addDocuments(_ one: JSONValue, _ other: JSONValue) {
        for difference in JSONComparison(one, other).differences {
            let kind: CodeDifference.Kind =
                switch difference.kind {
                case .added: .added
                case .removed: .removed
                case .changed, .typeChanged: .changed
                }
            add(
                kind, .member, difference.before.map { "\(difference.path): \($0)" },
                difference.after.map { "\(difference.path): \($0)" }, 1)
        }
    }

    private mutating func add(
        _ kind: CodeDifference.Kind, _ part: CodeDifference.Part, _ before: String?,
        _ after: String?, _ line: Int
    ) {
        guard differences.count < CodeComparison.differencesMax else {
            isCutOff = true
            return
        }
        func short(_ text: String) -> String {
            text.count > 120 ? String(text.prefix(119)) + "…" : text
        }
        differences.append(
            CodeDifference(
                kind: kind, part: part, before: before.map(short), after: after.map(short),
                line: line))
    }

    // MARK: Trees

    private mutating func compare(
        _ one: CodeTree, _ other: CodeTree, isCalled: Bool = false
    ) {
        guard !isCutOff, one != other else { return }
        let hasChildren = !one.children.isEmpty || !other.children.isEmpty
        if one.kind == other.kind, one.text == other.text, hasChildren {
            return compareChildren(one, other)
        }
        add(
            .changed, isCalled ? .call : CodeComparison.part(one), one.summaryText,
            other.summaryText, one.line)
    }

    private static func part(_ tree: CodeTree) -> CodeDifference.Part {
        switch tree.kind {
        case .number, .string: .literal
        case .name: .name
        case .symbol: .symbol
        case .block, .statement, .group: .statement
        }
    }

    /// Aligns the children by what is equal; what lies between is compared pair by pair.
    private mutating func compareChildren(_ one: CodeTree, _ other: CodeTree) {
        let before = one.children
        let after = other.children
        var start = 0
        let shorter = min(before.count, after.count)
        while start < shorter, before[start] == after[start] { start += 1 }
        var tail = 0
        while tail < shorter - start,
            before[before.count - 1 - tail] == after[after.count - 1 - tail]
        { tail += 1 }
        let left = start..<(before.count - tail)
        let right = start..<(after.count - tail)
        var (last, lastOther) = (left.lowerBound, right.lowerBound)
        for (place, otherPlace) in CodeComparison.common(before, left, after, right) {
            compareGap(before, last..<place, after, lastOther..<otherPlace)
            (last, lastOther) = (place + 1, otherPlace + 1)
        }
        compareGap(before, last..<left.upperBound, after, lastOther..<right.upperBound)
    }

    private mutating func compareGap(
        _ before: [CodeTree], _ left: Range<Int>, _ after: [CodeTree], _ right: Range<Int>
    ) {
        let paired = min(left.count, right.count)
        for offset in 0..<paired {
            let place = left.lowerBound + offset
            let one = before[place]
            let other = after[right.lowerBound + offset]
            let isCalled =
                one.kind == .name && other.kind == .name
                && place + 1 < before.count && before[place + 1].kind == .group
                && before[place + 1].text == "("
            compare(one, other, isCalled: isCalled)
        }
        for place in (left.lowerBound + paired)..<left.upperBound {
            let tree = before[place]
            add(.removed, CodeComparison.part(tree), tree.summaryText, nil, tree.line)
        }
        for place in (right.lowerBound + paired)..<right.upperBound {
            let tree = after[place]
            add(.added, CodeComparison.part(tree), nil, tree.summaryText, tree.line)
        }
    }

    /// A longest common subsequence's places; none when it would cost too much.
    private static func common(
        _ before: [CodeTree], _ left: Range<Int>, _ after: [CodeTree], _ right: Range<Int>
    ) -> [(Int, Int)] {
        let (rows, columns) = (left.count, right.count)
        guard rows > 0, columns > 0, rows <= cellsMax / columns else { return [] }
        // Numbers for trees, so that each comparison is one of numbers.
        var numbers: [CodeTree: Int] = [:]
        func number(_ tree: CodeTree) -> Int {
            if let known = numbers[tree] { return known }
            let number = numbers.count
            numbers[tree] = number
            return number
        }
        let one = before[left].map(number)
        let other = after[right].map(number)
        var lengths = [Int32](repeating: 0, count: (rows + 1) * (columns + 1))
        for row in stride(from: rows - 1, through: 0, by: -1) {
            for column in stride(from: columns - 1, through: 0, by: -1) {
                let here = row * (columns + 1) + column
                lengths[here] =
                    one[row] == other[column]
                    ? lengths[here + columns + 2] + 1
                    : max(lengths[here + columns + 1], lengths[here + 1])
            }
        }
        var found: [(Int, Int)] = []
        var (row, column) = (0, 0)
        while row < rows, column < columns {
            let here = row * (columns + 1) + column
            if one[row] == other[column] {
                found.append((left.lowerBound + row, right.lowerBound + column))
                row += 1
                column += 1
            } else if lengths[here + columns + 1] >= lengths[here + 1] {
                row += 1
            } else {
                column += 1
            }
        }
        return found
    }
}

extension CodeTree {
    /// A tree without children is its text.
    fileprivate var summaryText: String { children.isEmpty && !text.isEmpty ? text : summary }
}
