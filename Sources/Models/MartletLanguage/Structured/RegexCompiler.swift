// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Builds the automaton of a regular expression: literals, `.`, classes, groups, alternatives and
/// counted repetition; the whole answer must match, so that anchors at its ends change nothing.
struct RegexCompiler {
    private let scalars: [Unicode.Scalar]
    private var place = 0
    private var depth = 0
    private static let depthMax = 64
    private static let lengthMax = 10_000
    private static let repeatMax = 1024

    /// - Throws: `LanguageError` for a pattern that is none, not supported, or too large.
    static func add(
        _ pattern: String, _ from: ByteAutomaton.State, _ to: ByteAutomaton.State,
        to automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        guard pattern.utf8.count <= lengthMax else {
            throw LanguageError(
                .limitExceeded, "regex: \(pattern.utf8.count) bytes, at most \(lengthMax)")
        }
        var compiler = RegexCompiler(scalars: Array(pattern.unicodeScalars))
        try compiler.alternatives(from, to, &automaton)
        guard compiler.place == compiler.scalars.count else {
            throw compiler.fail("an unexpected ')'")
        }
    }

    private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    private func fail(_ message: String) -> LanguageError {
        LanguageError(.invalidInput, "regex, character \(place + 1): \(message)")
    }

    private var current: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    private mutating func take() throws(LanguageError) -> Unicode.Scalar {
        guard place < scalars.count else { throw fail("an unexpected end") }
        defer { place += 1 }
        return scalars[place]
    }

    private mutating func alternatives(
        _ from: ByteAutomaton.State, _ to: ByteAutomaton.State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= RegexCompiler.depthMax else {
            throw LanguageError(
                .limitExceeded,
                "regex: more than \(RegexCompiler.depthMax) groups inside one another")
        }
        while true {
            try sequence(from, to, &automaton)
            guard current == "|" else { return }
            place += 1
        }
    }

    private mutating func sequence(
        _ from: ByteAutomaton.State, _ to: ByteAutomaton.State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        var last = from
        while let scalar = current, scalar != "|", scalar != ")" {
            let next = try automaton.makeState()
            try repeated(last, next, &automaton)
            last = next
        }
        automaton.join(last, to)
    }

    /// An atom and how often it may come: its text is read again for each copy.
    private mutating func repeated(
        _ from: ByteAutomaton.State, _ to: ByteAutomaton.State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let start = place
        var scratch = ByteAutomaton()
        try atom(scratch.start, scratch.end, &scratch)
        let atomEnd = place
        let (least, most) = try counts()
        let end = place
        func copy(
            _ compiler: inout RegexCompiler, _ from: ByteAutomaton.State, _ to: ByteAutomaton.State,
            _ automaton: inout ByteAutomaton
        ) throws(LanguageError) {
            compiler.place = start
            try compiler.atom(from, to, &automaton)
            precondition(compiler.place == atomEnd)
        }
        var last = from
        for _ in 0..<least {
            let next = try automaton.makeState()
            try copy(&self, last, next, &automaton)
            last = next
        }
        if let most {
            for _ in least..<max(most, least) {
                automaton.join(last, to)
                let next = try automaton.makeState()
                try copy(&self, last, next, &automaton)
                last = next
            }
        } else {
            let loop = try automaton.makeState()
            automaton.join(last, loop)
            try copy(&self, loop, loop, &automaton)
            last = loop
        }
        automaton.join(last, to)
        place = end
    }

    private mutating func counts() throws(LanguageError) -> (least: Int, most: Int?) {
        var result: (least: Int, most: Int?) = (1, 1)
        switch current {
        case "*": result = (0, nil)
        case "+": result = (1, nil)
        case "?": result = (0, 1)
        case "{":
            guard let found = try braces() else { return result }
            result = found
            place -= 1
        default: return result
        }
        place += 1
        // Lazy or not is the same here: the whole must match.
        if current == "?" || current == "+" { place += 1 }
        return result
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`; the place is behind the brace then.
    private mutating func braces() throws(LanguageError) -> (least: Int, most: Int?)? {
        guard let close = scalars[place...].firstIndex(of: "}") else {
            throw fail("'{' without '}'")
        }
        let body = String(String.UnicodeScalarView(scalars[place + 1..<close]))
        let parts = body.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first,
            let least = first.isEmpty ? 0 : Int(first)
        else { throw fail("a repetition that is none") }
        var most: Int? = least
        if parts.count == 2 { most = parts[1].isEmpty ? nil : Int(parts[1]) }
        if parts.count == 2, !parts[1].isEmpty, most == nil {
            throw fail("a repetition that is none")
        }
        guard least >= 0, least <= RegexCompiler.repeatMax, most ?? 0 <= RegexCompiler.repeatMax,
            most ?? least >= least
        else { throw fail("a repetition of more than \(RegexCompiler.repeatMax)") }
        place = close + 1
        return (least, most)
    }

    // MARK: Atoms

    private mutating func atom(
        _ from: ByteAutomaton.State, _ to: ByteAutomaton.State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let scalar = try take()
        switch scalar {
        case "(":
            if current == "?" {
                place += 1
                guard try take() == ":" else { throw fail("groups of this kind are not supported") }
            }
            try alternatives(from, to, &automaton)
            guard try take() == ")" else { throw fail("'(' without ')'") }
        case "[": try add(try characterClass(), from, to, &automaton)
        case ".":
            var set = ScalarSet()
            set.insert("\n")
            set.isNegated = true
            try add(set, from, to, &automaton)
        case "^", "$": automaton.join(from, to)
        case "\\": try add(try escape(), from, to, &automaton)
        case "*", "+", "?": throw fail("nothing to repeat")
        default: try automaton.add(from, String(Character(scalar)), to)
        }
    }

    /// Characters of a class: ASCII ones a bit each, others listed.
    private struct ScalarSet {
        private var low: (UInt64, UInt64) = (0, 0)
        private(set) var wide: Set<Unicode.Scalar> = []
        var isNegated = false
        /// Every character beyond ASCII.
        private(set) var hasAllWide = false

        mutating func insert(_ scalar: Unicode.Scalar) {
            if scalar.value < 64 {
                low.0 |= 1 << UInt64(scalar.value)
            } else if scalar.value < 128 {
                low.1 |= 1 << UInt64(scalar.value - 64)
            } else {
                wide.insert(scalar)
            }
        }

        mutating func formUnion(_ other: ScalarSet) {
            let (zero, one) = other.isNegated ? (~other.low.0, ~other.low.1) : other.low
            low.0 |= zero
            low.1 |= one
            wide.formUnion(other.wide)
            if other.isNegated { hasAllWide = true }
        }

        func hasASCII(_ byte: UInt8) -> Bool {
            let bit = byte < 64 ? low.0 >> UInt64(byte) : low.1 >> UInt64(byte - 64)
            return (bit & 1 == 1) != isNegated
        }
    }

    private func add(
        _ set: ScalarSet, _ from: ByteAutomaton.State, _ to: ByteAutomaton.State,
        _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        var byte: UInt8 = 0
        while byte < 128 {
            guard set.hasASCII(byte) else {
                byte += 1
                continue
            }
            var last = byte
            while last < 127, set.hasASCII(last + 1) { last += 1 }
            automaton.add(from, byte...last, to)
            byte = last + 1
        }
        if set.isNegated != set.hasAllWide {
            // Negated characters beyond ASCII are let through with the others.
            try automaton.addWide(from, to)
        } else if !set.isNegated {
            for scalar in set.wide { try automaton.add(from, String(Character(scalar)), to) }
        }
    }

    private mutating func escape() throws(LanguageError) -> ScalarSet {
        var set = ScalarSet()
        let scalar = try take()
        switch scalar {
        case "d", "D": for byte in 48...57 { set.insert(Unicode.Scalar(UInt8(byte))) }
        case "w", "W":
            for byte in Array(48...57) + Array(65...90) + Array(97...122) + [95] {
                set.insert(Unicode.Scalar(UInt8(byte)))
            }
        case "s", "S":
            for byte in [9, 10, 11, 12, 13, 32] { set.insert(Unicode.Scalar(UInt8(byte))) }
        case "n": set.insert("\n")
        case "t": set.insert("\t")
        case "r": set.insert("\r")
        case "f": set.insert("\u{0C}")
        case "v": set.insert("\u{0B}")
        case "x", "u":
            let digits = scalar == "x" ? 2 : 4
            guard place + digits <= scalars.count,
                let code = UInt32(
                    String(String.UnicodeScalarView(scalars[place..<place + digits])), radix: 16),
                let found = Unicode.Scalar(code)
            else { throw fail("an escape that names no character") }
            place += digits
            set.insert(found)
        case "b", "B", "A", "Z", "z", "p", "P", "1"..."9":
            throw fail("'\\\(scalar)' is not supported")
        default: set.insert(scalar)
        }
        if ["D", "W", "S"].contains(scalar) { set.isNegated = true }
        return set
    }

    private mutating func characterClass() throws(LanguageError) -> ScalarSet {
        var set = ScalarSet()
        var isNegated = false
        if current == "^" {
            isNegated = true
            place += 1
        }
        var isFirst = true
        while true {
            let scalar = try take()
            if scalar == "]", !isFirst { break }
            isFirst = false
            var single = scalar
            if scalar == "\\" {
                let before = place
                let escaped = try escape()
                let letter = scalars[before]
                guard !["d", "D", "w", "W", "s", "S"].contains(letter) else {
                    set.formUnion(escaped)
                    continue
                }
                single = RegexCompiler.only(escaped) ?? letter
            }
            guard current == "-", place + 1 < scalars.count, scalars[place + 1] != "]" else {
                set.insert(single)
                continue
            }
            place += 1
            var last = try take()
            if last == "\\" { last = RegexCompiler.only(try escape()) ?? last }
            guard single.value <= last.value, last.value - single.value < 4096 else {
                throw fail("a range that is none, or of more than 4096 characters")
            }
            for value in single.value...last.value {
                if let scalar = Unicode.Scalar(value) { set.insert(scalar) }
            }
        }
        set.isNegated = isNegated
        return set
    }

    private static func only(_ set: ScalarSet) -> Unicode.Scalar? {
        if let wide = set.wide.first { return wide }
        return (0..<128).first { set.hasASCII(UInt8($0)) }.map { Unicode.Scalar(UInt8($0)) }
    }
}
