// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A non-deterministic automaton over characters, for texts that several patterns describe at once.
struct CharacterAutomaton: Sendable {
    private static let stateCountMax = 20_000

    private struct Edge: Sendable {
        var ranges: [ScalarSet.Range]
        var target: Int
    }

    private var edges: [[Edge]] = [[], []]
    private var silent: [[Int]] = [[], []]
    private var end = 1

    /// - Parameter pattern: without anchors and rules.
    init(_ pattern: TextPattern) throws(LanguageError) { try add(0, pattern, 1) }

    private init() {}

    private mutating func makeState() throws(LanguageError) -> Int {
        guard edges.count < CharacterAutomaton.stateCountMax else {
            throw LanguageError(
                .limitExceeded,
                "a string's pattern and length need more than "
                    + "\(CharacterAutomaton.stateCountMax) states together")
        }
        edges.append([])
        silent.append([])
        return edges.count - 1
    }

    private mutating func add(
        _ from: Int, _ pattern: TextPattern, _ to: Int
    ) throws(LanguageError) {
        var last = from
        switch pattern {
        case .text(let text):
            for scalar in text.unicodeScalars {
                let next = try makeState()
                edges[last].append(Edge(ranges: [scalar.value...scalar.value], target: next))
                last = next
            }
        case .oneOf(let set):
            return edges[from].append(Edge(ranges: set.resolved, target: to))
        case .sequence(let parts):
            for part in parts {
                let next = try makeState()
                try add(last, part, next)
                last = next
            }
        case .either(let options):
            for option in options { try add(from, option, to) }
            return
        case .repeated(let inner, let least, let most):
            // A loop must not lead back into what comes before.
            last = try makeState()
            silent[from].append(last)
            for _ in 0..<least {
                let next = try makeState()
                try add(last, inner, next)
                last = next
            }
            for _ in least..<max(most ?? least, least) {
                silent[last].append(to)
                let next = try makeState()
                try add(last, inner, next)
                last = next
            }
            if most == nil {
                let loop = try makeState()
                silent[last].append(loop)
                try add(loop, inner, loop)
                last = loop
            }
        case .rule, .begin, .end: break
        }
        silent[last].append(to)
    }

    /// What both describe.
    func intersection(_ other: CharacterAutomaton) throws(LanguageError) -> CharacterAutomaton {
        var result = CharacterAutomaton()
        result.end = -1
        result.edges = []
        result.silent = []
        var numbers: [[Int]: Int] = [:]
        var open: [(left: Int, right: Int)] = []
        func number(
            _ left: Int, _ right: Int, _ result: inout CharacterAutomaton
        ) throws(LanguageError) -> Int {
            if let known = numbers[[left, right]] { return known }
            let number = try result.makeState()
            numbers[[left, right]] = number
            open.append((left, right))
            if left == end, right == other.end { result.end = number }
            return number
        }
        _ = try number(0, 0, &result)
        while let (left, right) = open.popLast() {
            let from = try number(left, right, &result)
            for next in silent[left] {
                let to = try number(next, right, &result)
                result.silent[from].append(to)
            }
            for next in other.silent[right] {
                let to = try number(left, next, &result)
                result.silent[from].append(to)
            }
            for edge in edges[left] {
                for twin in other.edges[right] {
                    let ranges = ScalarSet.intersection(edge.ranges, twin.ranges)
                    guard !ranges.isEmpty else { continue }
                    let to = try number(edge.target, twin.target, &result)
                    result.edges[from].append(Edge(ranges: ranges, target: to))
                }
            }
        }
        return result
    }

    /// Builds it inside a JSON string.
    func add(
        _ from: ByteAutomaton.State, _ to: ByteAutomaton.State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        guard end >= 0 else { return }
        var states: [ByteAutomaton.State] = []
        for _ in edges { states.append(try automaton.makeState()) }
        automaton.join(from, states[0])
        automaton.join(states[end], to)
        for place in edges.indices {
            for target in silent[place] { automaton.join(states[place], states[target]) }
            for edge in edges[place] {
                try automaton.add(states[place], edge.ranges, isJSON: true, states[edge.target])
            }
        }
    }
}
