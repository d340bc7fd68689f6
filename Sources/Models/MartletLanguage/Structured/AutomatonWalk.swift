// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A place in an automaton: a state, and where the rules that were called return to.
struct AutomatonPlace: Hashable, Sendable, Comparable {
    var state: Int32
    /// A number of `PlaceStacks`.
    var stack = PlaceStacks.empty

    static func < (left: AutomatonPlace, right: AutomatonPlace) -> Bool {
        left.state != right.state ? left.state < right.state : left.stack < right.stack
    }
}

/// The deterministic form of a `ByteAutomaton`, made state by state as it is walked: each is a set
/// of places. What was made is forgotten when it grows too large; positions outlive that.
struct AutomatonWalk: Sendable {
    static let dead: Int32 = -1
    private static let unknown: Int32 = -2
    private static let stateCountMax = 4096
    /// Places of a state; further ones are not followed.
    private static let placeCountMax = 4096
    /// Places with returns that are looked at for one state.
    private static let deepCountMax = 4096
    /// Rules inside one another; deeper ones are not entered.
    private static let depthMax = 256
    /// Bytes that all states' places may take.
    private static let placeBytesMax = 16 << 20

    private let automaton: ByteAutomaton
    /// Bytes that no state tells apart have one number.
    private let classes: [UInt8]
    private let classCount: Int
    private let tails: [Bool]
    private let ends: [Bool]
    private var numbers: [[AutomatonPlace]: Int32] = [:]
    private var sets: [[AutomatonPlace]] = []
    private var next: [[Int32]] = []
    private(set) var isAccepting: [Bool] = []
    private var placeBytes = 0
    private var stacks = PlaceStacks()
    /// What was looked at so far: places that were reached, once for each time they were.
    private(set) var work = 0
    /// A step was not taken for want of room: what follows from it is not known.
    private(set) var isFull = false
    /// Told apart from numbers of before.
    private(set) var generation = 0
    private var seen: [UInt32]
    private var deep: Set<AutomatonPlace> = []
    private var open: [AutomatonPlace] = []
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
        (classes, classCount) = automaton.byteClasses()
        seen = Array(repeating: 0, count: automaton.edges.count)
        self.automaton = automaton
        guard number(of: [AutomatonPlace(state: self.automaton.start)]) >= 0 else {
            throw LanguageError(.limitExceeded, "the answer's format begins in too many ways")
        }
        start = sets[0]
    }

    /// Where every answer begins: no rule was entered that is not to be returned from.
    private var start: [AutomatonPlace] = []

    private var memory: Int { placeBytes + 48 * stacks.count }

    /// What a state stands for, as long as it is kept.
    struct Snapshot: Sendable {
        fileprivate var places: [AutomatonPlace]
        fileprivate var stacks: PlaceStacks
    }

    func snapshot(_ state: Int32) -> Snapshot {
        Snapshot(places: state >= 0 ? sets[Int(state)] : [], stacks: stacks)
    }

    /// The number that the walk has for what a snapshot stands for.
    mutating func number(_ snapshot: inout Snapshot) -> Int32 {
        if snapshot.places.isEmpty { return AutomatonWalk.dead }
        if snapshot.stacks !== stacks {
            var known: [Int32: Int32] = [:]
            for index in snapshot.places.indices {
                snapshot.places[index].stack = stacks.adopt(
                    snapshot.places[index].stack, from: snapshot.stacks, &known)
            }
            snapshot.places.sort()
            snapshot.stacks = stacks
            work += snapshot.places.count
        }
        return numbers[snapshot.places] ?? enter(snapshot.places)
    }

    /// Whether nothing but the end may follow.
    func isComplete(_ state: Int32) -> Bool {
        guard state >= 0, isAccepting[Int(state)] else { return false }
        return sets[Int(state)].allSatisfy { automaton.edges[Int($0.state)].isEmpty }
    }

    /// Forgets states when there are too many; only between walks, as numbers change.
    /// - Parameter patience: how many times the usual bound is borne.
    mutating func makeRoom(patience: Int) {
        guard
            sets.count > patience * AutomatonWalk.stateCountMax
                || memory > patience * AutomatonWalk.placeBytesMax
        else { return }
        numbers.removeAll()
        sets.removeAll()
        next.removeAll()
        isAccepting.removeAll()
        placeBytes = 0
        generation += 1
        stacks = PlaceStacks()
        work += 1024
        isFull = false
        // The first places have the returns of rules that were entered at once.
        if number(of: [AutomatonPlace(state: automaton.start)]) >= 0 { start = sets[0] }
    }

    /// One byte further. Cost: a look into a table, or the places of a state that is new.
    mutating func step(_ state: Int32, _ byte: UInt8) -> Int32 {
        guard state >= 0 else { return AutomatonWalk.dead }
        let known = next[Int(state)][Int(classes[Int(byte)])]
        if known != AutomatonWalk.unknown { return known }
        guard memory < 4 * AutomatonWalk.placeBytesMax else {
            isFull = true
            return AutomatonWalk.dead
        }
        var targets: [AutomatonPlace] = []
        work += sets[Int(state)].count
        for place in sets[Int(state)] {
            for edge in automaton.edges[Int(place.state)] {
                work += 1
                if edge.low <= byte && byte <= edge.high {
                    targets.append(AutomatonPlace(state: edge.target, stack: place.stack))
                }
            }
        }
        let target = targets.isEmpty ? AutomatonWalk.dead : number(of: targets)
        next[Int(state)][Int(classes[Int(byte)])] = target
        return target
    }

    /// The state of these places and all that are reached from them without a byte.
    private mutating func number(of places: [AutomatonPlace]) -> Int32 {
        mark += 1
        open.removeAll(keepingCapacity: true)
        open += places
        deep.removeAll(keepingCapacity: true)
        var all: [AutomatonPlace] = []
        while let place = open.popLast(), all.count < AutomatonWalk.placeCountMax {
            work += 1
            let state = Int(place.state)
            if place.stack == PlaceStacks.empty {
                guard seen[state] != mark else { continue }
                seen[state] = mark
            } else {
                guard deep.count < AutomatonWalk.deepCountMax, deep.insert(place).inserted
                else { continue }
            }
            // Others only lead on.
            if ends[state] && place.stack == PlaceStacks.empty || !automaton.edges[state].isEmpty {
                all.append(place)
            }
            for target in automaton.silent[state] {
                open.append(AutomatonPlace(state: target, stack: place.stack))
            }
            if ends[state], place.stack != PlaceStacks.empty {
                let (back, below) = stacks.top(place.stack)
                open.append(AutomatonPlace(state: back, stack: below))
            }
            for call in automaton.calls[state] {
                var inner = AutomatonPlace(
                    state: automaton.rules[call.rule].start, stack: place.stack)
                if !tails[Int(call.target)] {
                    guard stacks.depth(inner.stack) < AutomatonWalk.depthMax else { continue }
                    inner.stack = stacks.push(call.target, on: inner.stack)
                }
                open.append(inner)
            }
        }
        // Those that were left unseen count as well: they were put there.
        work += open.count + all.count
        if all.isEmpty { return AutomatonWalk.dead }
        all.sort()
        return numbers[all] ?? enter(all)
    }

    private mutating func enter(_ places: [AutomatonPlace]) -> Int32 {
        let number = Int32(sets.count)
        numbers[places] = number
        sets.append(places)
        next.append(Array(repeating: AutomatonWalk.unknown, count: classCount))
        isAccepting.append(
            places.contains { ends[Int($0.state)] && $0.stack == PlaceStacks.empty })
        placeBytes += 128 + 4 * classCount + places.count * 24
        return number
    }

    /// The number of the start.
    mutating func startNumber() -> Int32 { numbers[start] ?? enter(start) }
}

extension ByteAutomaton {
    /// A number for each byte: equal for those that every edge takes together.
    fileprivate func byteClasses() -> (classes: [UInt8], count: Int) {
        var begins = Array(repeating: false, count: 257)
        begins[0] = true
        for list in edges {
            for edge in list {
                begins[Int(edge.low)] = true
                begins[Int(edge.high) + 1] = true
            }
        }
        var classes: [UInt8] = []
        var count = -1
        for byte in 0..<256 {
            if begins[byte] { count += 1 }
            classes.append(UInt8(count))
        }
        return (classes, count + 1)
    }
}
