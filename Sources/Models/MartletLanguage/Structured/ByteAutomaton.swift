// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A non-deterministic automaton over bytes, in the making: what an answer may look like.
///
/// Every piece is built between two states that the caller names, so that loops and shared parts
/// need no copies. Rules are automata inside it that may be called, also by themselves, as the
/// rules of a grammar. How much there may be is bounded, and with it the time to build it.
struct ByteAutomaton: Sendable {
    typealias State = Int32

    struct Edge: Sendable {
        var low: UInt8
        var high: UInt8
        var target: State
    }

    /// Goes through a rule, then on.
    struct Call: Sendable {
        var rule: Int
        var target: State
    }

    struct Rule: Sendable {
        var start: State
        var end: State
    }

    var edges: [[Edge]] = []
    /// Reached without a byte.
    var silent: [[State]] = []
    var calls: [[Call]] = []
    private(set) var rules: [Rule] = []
    private let stateCountMax: Int
    private let edgeCountMax: Int
    private var edgeCount = 0
    let start: State = 0
    let end: State = 1

    init(stateCountMax: Int = 60_000, edgeCountMax: Int = 300_000) {
        self.stateCountMax = stateCountMax
        self.edgeCountMax = edgeCountMax
        edges = [[], []]
        silent = [[], []]
        calls = [[], []]
    }

    mutating func makeState() throws(LanguageError) -> State {
        guard edges.count < stateCountMax, edgeCount < edgeCountMax else {
            throw LanguageError(
                .limitExceeded,
                "the answer's format needs more than \(stateCountMax) states or \(edgeCountMax) "
                    + "ways between them")
        }
        edges.append([])
        silent.append([])
        calls.append([])
        return State(edges.count - 1)
    }

    mutating func makeRule() throws(LanguageError) -> Int {
        rules.append(Rule(start: try makeState(), end: try makeState()))
        return rules.count - 1
    }

    mutating func join(_ from: State, _ to: State) {
        silent[Int(from)].append(to)
        edgeCount += 1
    }

    mutating func call(_ rule: Int, _ from: State, _ to: State) {
        calls[Int(from)].append(Call(rule: rule, target: to))
        edgeCount += 1
    }

    mutating func add(_ from: State, _ range: ClosedRange<UInt8>, _ to: State) {
        edges[Int(from)].append(Edge(low: range.lowerBound, high: range.upperBound, target: to))
        edgeCount += 1
    }

    mutating func add(
        _ from: State, _ bytes: some Collection<UInt8>, _ to: State
    ) throws(LanguageError) {
        var place = from
        var left = bytes.count
        if left == 0 { join(from, to) }
        for byte in bytes {
            left -= 1
            let next = left == 0 ? to : try makeState()
            add(place, byte...byte, next)
            place = next
        }
    }

    mutating func add(_ from: State, _ text: String, _ to: State) throws(LanguageError) {
        try add(from, Array(text.utf8), to)
    }

    /// Any character beyond ASCII, as UTF-8.
    mutating func addWide(_ from: State, _ to: State) throws(LanguageError) {
        let last = try makeState()
        add(last, 0x80...0xBF, to)
        add(from, 0xC2...0xDF, last)
        let middle = try makeState()
        add(middle, 0x80...0xBF, last)
        add(from, 0xE1...0xEC, middle)
        add(from, 0xEE...0xEF, middle)
        let afterE0 = try makeState()
        add(from, 0xE0...0xE0, afterE0)
        add(afterE0, 0xA0...0xBF, last)
        let afterED = try makeState()
        add(from, 0xED...0xED, afterED)
        add(afterED, 0x80...0x9F, last)
        let third = try makeState()
        add(third, 0x80...0xBF, middle)
        add(from, 0xF1...0xF3, third)
        let afterF0 = try makeState()
        add(from, 0xF0...0xF0, afterF0)
        add(afterF0, 0x90...0xBF, middle)
        let afterF4 = try makeState()
        add(from, 0xF4...0xF4, afterF4)
        add(afterF4, 0x80...0x8F, middle)
    }
}
