// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Reads a pattern and writes its instructions.
struct RegularExpressionCompiler {
    private typealias Instruction = RegularExpression.Instruction
    private typealias Failure = RegularExpression.Failure

    /// How deep groups may nest.
    private static let depthMax = 200

    private let pattern: [Unicode.Scalar]
    private var place = 0
    private var depth = 0

    init(_ pattern: [Unicode.Scalar]) {
        self.pattern = pattern
    }

    mutating func compile() throws(RegularExpression.Failure) -> [RegularExpression.Instruction] {
        let program = try alternatives()
        if place < pattern.count { throw Failure(message: "')' without '(' at \(place)") }
        return program + [.match]
    }

    private var next: Unicode.Scalar? { place < pattern.count ? pattern[place] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        place += 1
        return true
    }

    // MARK: Structure

    // Targets within a piece count from its own beginning until `moved` shifts them.
    private mutating func alternatives() throws(Failure) -> [Instruction] {
        depth += 1
        defer { depth -= 1 }
        guard depth <= RegularExpressionCompiler.depthMax else {
            throw Failure(message: "groups nest too deep")
        }
        var result = try sequence()
        while take("|") {
            let other = try sequence()
            // split → this | that; this jumps over that.
            let first = moved(result, by: 1)
            let second = moved(other, by: first.count + 2)
            result =
                [.split(1, first.count + 2)] + first + [.jump(first.count + 2 + second.count)]
                + second
            try check(result)
        }
        return result
    }

    private mutating func sequence() throws(Failure) -> [Instruction] {
        var result: [Instruction] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            let piece = try repeated(try atom())
            result += moved(piece, by: result.count)
            try check(result)
        }
        return result
    }

    private func check(_ program: [Instruction]) throws(Failure) {
        guard program.count <= RegularExpression.instructionsMax else {
            throw Failure(message: "the expression is too large")
        }
    }

    private func moved(_ program: [Instruction], by offset: Int) -> [Instruction] {
        program.map { instruction in
            switch instruction {
            case .jump(let target): .jump(target + offset)
            case .split(let first, let second): .split(first + offset, second + offset)
            default: instruction
            }
        }
    }

    // MARK: Repetition

    private mutating func repeated(_ atom: [Instruction]) throws(Failure) -> [Instruction] {
        var piece = atom
        while let (least, most) = try count() {
            // Whether it is lazy does not matter to a match of the whole.
            _ = take("?")
            let copies = max(least, most ?? least + 1)
            let (size, overflow) = (piece.count + 2).multipliedReportingOverflow(by: copies)
            guard !overflow, size <= RegularExpression.instructionsMax else {
                throw Failure(message: "the expression is too large")
            }
            var result: [Instruction] = []
            for _ in 0..<least { result += moved(piece, by: result.count) }
            if let most {
                for _ in least..<most {
                    let here = result.count
                    result.append(.split(here + 1, here + 1 + piece.count))
                    result += moved(piece, by: here + 1)
                }
            } else {
                let here = result.count
                result.append(.split(here + 1, here + piece.count + 2))
                result += moved(piece, by: here + 1)
                result.append(.jump(here))
            }
            piece = result
        }
        return piece
    }

    /// How often the last piece comes; nil where nothing says so.
    private mutating func count() throws(Failure) -> (least: Int, most: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        guard next == "{", place + 1 < pattern.count, isDigit(pattern[place + 1]) else {
            return nil
        }
        place += 1
        let least = try number()
        var most: Int? = least
        if take(",") { most = next == "}" ? nil : try number() }
        guard take("}"), most.map({ $0 >= least }) ?? true else {
            throw Failure(message: "a repetition that cannot be at \(place)")
        }
        return (least, most)
    }

    private mutating func number() throws(Failure) -> Int {
        var value = 0
        guard let scalar = next, isDigit(scalar) else {
            throw Failure(message: "a number is missing at \(place)")
        }
        while let scalar = next, isDigit(scalar) {
            value = value * 10 + Int(scalar.value - 48)
            guard value <= 1000 else { throw Failure(message: "a repetition above 1000") }
            place += 1
        }
        return value
    }

    private func isDigit(_ scalar: Unicode.Scalar) -> Bool { (48...57).contains(scalar.value) }

    // MARK: Atoms

    private mutating func atom() throws(Failure) -> [Instruction] {
        guard let scalar = next else { return [] }
        place += 1
        switch scalar {
        case "(":
            if take("?") {
                if take("P") || next == "<" {
                    // A named group.
                    while let scalar = next, scalar != ">" {
                        _ = scalar
                        place += 1
                    }
                    place += 1
                } else if !take(":") {
                    throw Failure(message: "flags are not supported, at \(place)")
                }
            }
            let inner = try alternatives()
            guard take(")") else { throw Failure(message: "')' is missing") }
            return inner
        case ".": return [.scalar(.any)]
        case "[": return [.scalar(try characterClass())]
        case "^": return [.begin]
        case "$": return [.end]
        case "\\": return [try escape()]
        case "*", "+", "?": throw Failure(message: "nothing to repeat at \(place - 1)")
        default: return [.scalar(ScalarSet(ranges: [scalar.value...scalar.value]))]
        }
    }

    private mutating func escape() throws(Failure) -> Instruction {
        guard let scalar = next else { throw Failure(message: "a '\\' ends the pattern") }
        if take("A") { return .begin }
        if take("z") { return .end }
        if take("b") { return .boundary(true) }
        if take("B") { return .boundary(false) }
        return .scalar(try escapedSet(scalar))
    }

    private mutating func escapedSet(_ scalar: Unicode.Scalar) throws(Failure) -> ScalarSet {
        place += 1
        func one(_ value: UInt32) -> ScalarSet { ScalarSet(ranges: [value...value]) }
        switch scalar {
        case "d": return .digits
        case "D": return ScalarSet.digits.complement
        case "w": return .words
        case "W": return ScalarSet.words.complement
        case "s": return .spaces
        case "S": return ScalarSet.spaces.complement
        case "n": return one(10)
        case "r": return one(13)
        case "t": return one(9)
        case "f": return one(12)
        case "v": return one(11)
        case "a": return one(7)
        default:
            let isName = scalar.isASCII && (scalar.properties.isAlphabetic || isDigit(scalar))
            guard !isName else { throw Failure(message: "'\\\(scalar)' is not supported") }
            return one(scalar.value)
        }
    }

    private mutating func characterClass() throws(Failure) -> ScalarSet {
        var set = ScalarSet(ranges: [])
        let isComplement = take("^")
        var isFirst = true
        while let scalar = next, scalar != "]" || isFirst {
            isFirst = false
            place += 1
            var low = scalar.value
            if scalar == "\\" {
                guard let escaped = next else { break }
                let escapedSet = try escapedSet(escaped)
                guard !escapedSet.isComplement, escapedSet.ranges.count == 1,
                    escapedSet.ranges[0].count == 1
                else {
                    set.ranges += escapedSet.flattened
                    continue
                }
                low = escapedSet.ranges[0].lowerBound
            } else if scalar == "[", next == ":" {
                throw Failure(message: "named classes are not supported")
            }
            var high = low
            if next == "-", place + 1 < pattern.count, pattern[place + 1] != "]" {
                place += 1
                guard let end = next else { break }
                place += 1
                high = end.value
                if end == "\\" {
                    guard let escaped = next else { break }
                    high = try escapedSet(escaped).ranges.first?.upperBound ?? low
                }
            }
            guard low <= high else { throw Failure(message: "a range that goes backwards") }
            set.ranges.append(low...high)
        }
        guard take("]") else { throw Failure(message: "']' is missing") }
        set.isComplement = isComplement
        return set
    }
}
