// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A place in an automaton: a state, and where the rules that were called return to.
struct AutomatonPlace: Hashable, Sendable, Comparable {
    var state: Int32
    /// Innermost last.
    var returns: [Int32] = []

    static func < (left: AutomatonPlace, right: AutomatonPlace) -> Bool {
        left.state != right.state
            ? left.state < right.state : left.returns.lexicographicallyPrecedes(right.returns)
    }
}

/// The deterministic form of a `ByteAutomaton`, made state by state as it is walked: each is a set
/// of places. What was made is forgotten when it grows too large; `places` outlive that.
struct AutomatonWalk: Sendable {
    static let dead: Int32 = -1
    private static let unknown: Int32 = -2
    private static let stateCountMax = 4096
    /// Places of a state; further ones are not followed.
    private static let placeCountMax = 4096
    /// Rules inside one another; deeper ones are not entered.
    private static let depthMax = 256
    /// Bytes that all states' places may take.
    private static let placeBytesMax = 16 << 20

    private let automaton: ByteAutomaton
    private let tails: [Bool]
    private let ends: [Bool]
    private var numbers: [[AutomatonPlace]: Int32] = [:]
    private var sets: [[AutomatonPlace]] = []
    private var next: [[Int32]] = []
    private(set) var isAccepting: [Bool] = []
    private var placeBytes = 0
    /// Places that steps have looked at.
    private(set) var work = 0
    /// Told apart from numbers of before.
    private(set) var generation = 0
    private var seen: [UInt32]
    private var mark: UInt32 = 0

    /// - Throws: `LanguageError` where nothing is allowed, or rules begin with themselves.
    init(_ automaton: consuming ByteAutomaton, names: [String] = []) throws(LanguageError) {
        guard automaton.removeDeadEnds() else {
            throw LanguageError(.invalidInput, "the answer's format allows nothing")
        }
        let ends = automaton.endStates
        var tails = Array(repeating: false, count: automaton.edges.count)
        if !automaton.rules.isEmpty {
            for calls in automaton.calls {
                for call in calls where !tails[Int(call.target)] {
                    tails[Int(call.target)] = automaton.isTail(call.target, ends: ends)
                }
            }
        }
        if let rule = automaton.leftRecursiveRule(tails: tails) {
            let name = names.indices.contains(rule) ? names[rule] : "\(rule)"
            throw LanguageError(
                .invalidInput, "grammar: the rule '\(name)' begins with itself")
        }
        self.tails = tails
        self.ends = ends
        seen = Array(repeating: 0, count: automaton.edges.count)
        self.automaton = automaton
        _ = number(of: [AutomatonPlace(state: self.automaton.start)])
        start = sets[0]
    }

    /// Where every answer begins.
    private(set) var start: [AutomatonPlace] = []

    func places(_ state: Int32) -> [AutomatonPlace] { state >= 0 ? sets[Int(state)] : [] }

    /// The number of a state whose places were handed out before.
    mutating func number(known places: [AutomatonPlace]) -> Int32 {
        if places.isEmpty { return AutomatonWalk.dead }
        return numbers[places] ?? enter(places)
    }

    /// Whether nothing but the end may follow.
    func isComplete(_ state: Int32) -> Bool {
        guard state >= 0, isAccepting[Int(state)] else { return false }
        return sets[Int(state)].allSatisfy { automaton.edges[Int($0.state)].isEmpty }
    }

    /// Forgets states when there are too many; only between walks, as numbers change.
    mutating func makeRoom() {
        guard
            sets.count > AutomatonWalk.stateCountMax || placeBytes > AutomatonWalk.placeBytesMax
        else { return }
        numbers.removeAll()
        sets.removeAll()
        next.removeAll()
        isAccepting.removeAll()
        placeBytes = 0
        generation += 1
        _ = enter(start)
    }

    mutating func step(_ state: Int32, _ byte: UInt8) -> Int32 {
        guard state >= 0 else { return AutomatonWalk.dead }
        let known = next[Int(state)][Int(byte)]
        if known != AutomatonWalk.unknown { return known }
        guard placeBytes < 4 * AutomatonWalk.placeBytesMax else { return AutomatonWalk.dead }
        var targets: [AutomatonPlace] = []
        work += sets[Int(state)].count
        for place in sets[Int(state)] {
            for edge in automaton.edges[Int(place.state)]
            where edge.low <= byte && byte <= edge.high {
                targets.append(AutomatonPlace(state: edge.target, returns: place.returns))
            }
        }
        let target = targets.isEmpty ? AutomatonWalk.dead : number(of: targets)
        next[Int(state)][Int(byte)] = target
        return target
    }

    /// The state of these places and all that are reached from them without a byte.
    private mutating func number(of places: [AutomatonPlace]) -> Int32 {
        mark += 1
        var open = places
        var deep: Set<AutomatonPlace> = []
        var all: [AutomatonPlace] = []
        while let place = open.popLast(), all.count < AutomatonWalk.placeCountMax {
            let state = Int(place.state)
            if place.returns.isEmpty {
                guard seen[state] != mark else { continue }
                seen[state] = mark
            } else {
                guard deep.count < 4 * AutomatonWalk.placeCountMax,
                    deep.insert(place).inserted
                else { continue }
            }
            // Others only lead on.
            if ends[state] && place.returns.isEmpty || !automaton.edges[state].isEmpty {
                all.append(place)
            }
            for target in automaton.silent[state] {
                open.append(AutomatonPlace(state: target, returns: place.returns))
            }
            if ends[state], let back = place.returns.last {
                open.append(AutomatonPlace(state: back, returns: place.returns.dropLast()))
            }
            for call in automaton.calls[state] {
                var inner = AutomatonPlace(
                    state: automaton.rules[call.rule].start, returns: place.returns)
                if !tails[Int(call.target)] {
                    guard inner.returns.count < AutomatonWalk.depthMax else { continue }
                    inner.returns.append(call.target)
                }
                open.append(inner)
            }
        }
        work += all.count
        if all.isEmpty { return AutomatonWalk.dead }
        all.sort()
        return numbers[all] ?? enter(all)
    }

    private mutating func enter(_ places: [AutomatonPlace]) -> Int32 {
        let number = Int32(sets.count)
        numbers[places] = number
        sets.append(places)
        next.append(Array(repeating: AutomatonWalk.unknown, count: 256))
        isAccepting.append(places.contains { ends[Int($0.state)] && $0.returns.isEmpty })
        placeBytes += places.reduce(1024) { $0 + 32 + $1.returns.count * 4 }
        return number
    }
}

extension AutomatonPlace {
    fileprivate init(state: Int32, returns: ArraySlice<Int32>) {
        self.init(state: state, returns: Array(returns))
    }
}
