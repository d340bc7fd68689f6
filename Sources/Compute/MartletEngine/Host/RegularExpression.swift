// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A regular expression of RE2's syntax that matches whole texts.
///
/// It runs as a set of states (Thompson), so that no text makes it slow: time is the text's length
/// times the expression's. Understood are literals, ".", classes, the escapes \d \w \s and their
/// complements, groups, alternatives, the repetitions * + ? {m,n} with or without a lazy "?", "^",
/// "$" and \b.
struct RegularExpression: Sendable {
    /// The most instructions that an expression may become.
    static let instructionsMax = 20_000

    struct Failure: Error {
        var message: String
    }

    enum Instruction: Sendable {
        case scalar(ScalarSet)
        case split(Int, Int)
        case jump(Int)
        case begin
        case end
        /// Between a word's character and another; or not so.
        case boundary(Bool)
        case match
    }

    private let program: [Instruction]

    init(_ pattern: String) throws(Failure) {
        var compiler = RegularExpressionCompiler(Array(pattern.unicodeScalars))
        program = try compiler.compile()
    }

    /// Whether the whole text matches.
    func matches(_ text: [Unicode.Scalar]) -> Bool {
        var current = StateList(count: program.count)
        var next = current
        add(0, to: &current, text, at: 0)
        for index in text.indices {
            next.clear()
            for place in current.places {
                if case .scalar(let set) = program[place], set.contains(text[index]) {
                    add(place + 1, to: &next, text, at: index + 1)
                }
            }
            swap(&current, &next)
        }
        return current.places.contains { place in
            if case .match = program[place] { true } else { false }
        }
    }

    /// Adds a state and those that it leads to without a character, before the one at `index`.
    private func add(
        _ place: Int, to list: inout StateList, _ text: [Unicode.Scalar], at index: Int
    ) {
        func isWord(_ index: Int) -> Bool {
            text.indices.contains(index) && ScalarSet.words.contains(text[index])
        }
        var pending = [place]
        while let place = pending.popLast() {
            guard list.insert(place) else { continue }
            switch program[place] {
            case .jump(let target): pending.append(target)
            case .split(let first, let second): pending += [second, first]
            case .begin where index == 0: pending.append(place + 1)
            case .end where index == text.count: pending.append(place + 1)
            case .boundary(let wanted) where (isWord(index - 1) != isWord(index)) == wanted:
                pending.append(place + 1)
            default: break
            }
        }
    }
}

/// States, each once.
private struct StateList {
    private(set) var places: [Int] = []
    private var isIn: [Bool]

    init(count: Int) {
        isIn = Array(repeating: false, count: count)
    }

    mutating func insert(_ place: Int) -> Bool {
        if isIn[place] { return false }
        isIn[place] = true
        places.append(place)
        return true
    }

    mutating func clear() {
        for place in places { isIn[place] = false }
        places.removeAll(keepingCapacity: true)
    }
}

/// Characters as ranges.
struct ScalarSet: Sendable {
    var ranges: [ClosedRange<UInt32>]
    var isComplement = false

    static let digits = ScalarSet(ranges: [48...57])
    static let words = ScalarSet(ranges: [48...57, 65...90, 95...95, 97...122])
    static let spaces = ScalarSet(ranges: [9...10, 12...13, 32...32])
    /// All but the end of a line.
    static let any = ScalarSet(ranges: [10...10], isComplement: true)

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        ranges.contains { $0.contains(scalar.value) } != isComplement
    }

    var complement: ScalarSet { ScalarSet(ranges: ranges, isComplement: !isComplement) }

    /// The set as ranges alone.
    var flattened: [ClosedRange<UInt32>] {
        guard isComplement else { return ranges }
        var result: [ClosedRange<UInt32>] = []
        var first: UInt32 = 0
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if range.lowerBound > first { result.append(first...(range.lowerBound - 1)) }
            first = max(first, range.upperBound + 1)
        }
        return result + [first...0x10FFFF]
    }
}
