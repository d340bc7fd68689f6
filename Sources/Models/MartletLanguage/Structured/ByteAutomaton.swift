// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A non-deterministic automaton over bytes, in the making: what an answer may look like.
///
/// Every piece is built between two states that the caller names, so that loops and shared parts
/// need no copies. The number of states is bounded.
struct ByteAutomaton: Sendable {
    typealias State = Int32

    struct Edge: Sendable {
        var low: UInt8
        var high: UInt8
        var target: State
    }

    private(set) var edges: [[Edge]] = []
    /// Reached without a byte.
    private(set) var silent: [[State]] = []
    private let stateCountMax: Int
    let start: State = 0
    let end: State = 1

    init(stateCountMax: Int = 60_000) {
        self.stateCountMax = stateCountMax
        edges = [[], []]
        silent = [[], []]
    }

    mutating func makeState() throws(LanguageError) -> State {
        guard edges.count < stateCountMax else {
            throw LanguageError(
                .limitExceeded,
                "the answer's format needs more than \(stateCountMax) states")
        }
        edges.append([])
        silent.append([])
        return State(edges.count - 1)
    }

    mutating func join(_ from: State, _ to: State) { silent[Int(from)].append(to) }

    mutating func add(_ from: State, _ range: ClosedRange<UInt8>, _ to: State) {
        edges[Int(from)].append(Edge(low: range.lowerBound, high: range.upperBound, target: to))
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

/// The deterministic form of a `ByteAutomaton`, made state by state as it is walked.
struct AutomatonWalk: Sendable {
    static let dead: Int32 = -1
    private static let unknown: Int32 = -2
    private static let stateCountMax = 8192

    private let automaton: ByteAutomaton
    private var numbers: [[Int32]: Int32] = [:]
    private var sets: [[Int32]] = []
    private var next: [[Int32]] = []
    private(set) var isAccepting: [Bool] = []
    private var seen: [UInt32]
    private var mark: UInt32 = 0

    init(_ automaton: ByteAutomaton) {
        self.automaton = automaton
        seen = Array(repeating: 0, count: automaton.edges.count)
        _ = number(of: [automaton.start])
    }

    let start: Int32 = 0

    /// Whether nothing but the end may follow.
    func isComplete(_ state: Int32) -> Bool {
        guard state >= 0, isAccepting[Int(state)] else { return false }
        return sets[Int(state)].allSatisfy { automaton.edges[Int($0)].isEmpty }
    }

    mutating func step(_ state: Int32, _ byte: UInt8) -> Int32 {
        guard state >= 0 else { return AutomatonWalk.dead }
        let known = next[Int(state)][Int(byte)]
        if known != AutomatonWalk.unknown { return known }
        var targets: [Int32] = []
        for member in sets[Int(state)] {
            for edge in automaton.edges[Int(member)] where edge.low <= byte && byte <= edge.high {
                targets.append(edge.target)
            }
        }
        let target = targets.isEmpty ? AutomatonWalk.dead : number(of: targets)
        next[Int(state)][Int(byte)] = target
        return target
    }

    private mutating func number(of states: [Int32]) -> Int32 {
        mark += 1
        var open = states
        var all: [Int32] = []
        while let state = open.popLast() {
            guard seen[Int(state)] != mark else { continue }
            seen[Int(state)] = mark
            all.append(state)
            open += automaton.silent[Int(state)]
        }
        all.sort()
        if let known = numbers[all] { return known }
        // Formats that grow beyond this allow nothing more.
        guard sets.count < AutomatonWalk.stateCountMax else { return AutomatonWalk.dead }
        let number = Int32(sets.count)
        numbers[all] = number
        sets.append(all)
        next.append(Array(repeating: AutomatonWalk.unknown, count: 256))
        isAccepting.append(all.contains(automaton.end))
        return number
    }
}
