// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Reads a regular expression: literals, `.`, classes, groups, alternatives, counted repetition and
/// anchors at its ends. `\d`, `\w` and their opposites go by ASCII, `\S` is no space of Unicode's.
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
        try automaton.add(from, parse(pattern), to)
    }

    /// - Parameter searches: the pattern is to be found in a text; if not, it is the whole text.
    static func parse(
        _ pattern: String, searches: Bool = false
    ) throws(LanguageError) -> TextPattern {
        guard pattern.utf8.count <= lengthMax else {
            throw LanguageError(
                .limitExceeded, "regex: \(pattern.utf8.count) bytes, at most \(lengthMax)")
        }
        var compiler = RegexCompiler(scalars: Array(pattern.unicodeScalars))
        let found = try compiler.alternatives()
        guard compiler.place == compiler.scalars.count else {
            throw compiler.fail("an unexpected ')'")
        }
        return try found.resolved(searches: searches)
    }

    /// A class alone, as grammars have them: what follows its `[`.
    /// - Returns: the class, and how many characters it took.
    static func parseClass(
        _ scalars: ArraySlice<Unicode.Scalar>
    ) throws(LanguageError) -> (set: ScalarSet, count: Int) {
        var compiler = RegexCompiler(scalars: Array(scalars.prefix(8192)))
        let set = try compiler.characterClass()
        return (set, compiler.place)
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

    private mutating func alternatives() throws(LanguageError) -> TextPattern {
        depth += 1
        defer { depth -= 1 }
        guard depth <= RegexCompiler.depthMax else {
            throw LanguageError(
                .limitExceeded,
                "regex: more than \(RegexCompiler.depthMax) groups inside one another")
        }
        var all: [TextPattern] = []
        while true {
            all.append(try sequence())
            guard current == "|" else { return all.count == 1 ? all[0] : .either(all) }
            place += 1
        }
    }

    private mutating func sequence() throws(LanguageError) -> TextPattern {
        var all: [TextPattern] = []
        while let scalar = current, scalar != "|", scalar != ")" {
            let atom = try atom()
            let (least, most) = try counts()
            all.append(least == 1 && most == 1 ? atom : .repeated(atom, least: least, most: most))
        }
        return all.count == 1 ? all[0] : .sequence(all)
    }

    private mutating func counts() throws(LanguageError) -> (least: Int, most: Int?) {
        var result: (least: Int, most: Int?) = (1, 1)
        switch current {
        case "*": result = (0, nil)
        case "+": result = (1, nil)
        case "?": result = (0, 1)
        case "{":
            result = try braces()
            place -= 1
        default: return result
        }
        place += 1
        // Lazy or not is the same here: the whole must match.
        if current == "?" || current == "+" { place += 1 }
        return result
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`; the place is behind the brace then.
    private mutating func braces() throws(LanguageError) -> (least: Int, most: Int?) {
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
        guard least >= 0, most ?? least >= least else {
            throw fail("'{\(body)}' asks for at least \(least) and at most \(most ?? 0)")
        }
        guard least <= RegexCompiler.repeatMax, most ?? 0 <= RegexCompiler.repeatMax else {
            throw fail("a repetition of more than \(RegexCompiler.repeatMax)")
        }
        place = close + 1
        return (least, most)
    }

    // MARK: Atoms

    private mutating func atom() throws(LanguageError) -> TextPattern {
        let scalar = try take()
        switch scalar {
        case "(":
            if current == "?" {
                place += 1
                guard try take() == ":" else { throw fail("groups of this kind are not supported") }
            }
            let inner = try alternatives()
            guard try take() == ")" else { throw fail("'(' without ')'") }
            return inner
        case "[": return .oneOf(try characterClass())
        case ".": return .oneOf(.anyButLineEnd)
        case "^": return .begin
        case "$": return .end
        case "\\": return .oneOf(try escape())
        case "*", "+", "?": throw fail("nothing to repeat")
        default: return .text(String(Character(scalar)))
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
            // What some take for a space is none of the others.
            if scalar == "S" {
                let more: [ScalarSet.Range] = [
                    0x1C...0x1F, 0x85...0x85, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A,
                    0x2028...0x2029, 0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000,
                    0xFEFF...0xFEFF,
                ]
                for range in more { set.insert(range) }
            }
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
            if scalar == "[", let next = current, [":", ".", "="].contains(next) {
                throw fail("classes with names, as in '[[:alpha:]]', are not supported")
            }
            if scalar == current, ["&", "~"].contains(scalar) {
                throw fail("'\(scalar)\(scalar)' between classes is not supported")
            }
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
            guard single.value <= last.value else {
                throw fail("a range that ends before it begins")
            }
            set.insert(single.value...last.value)
        }
        set.isNegated = isNegated
        return set
    }

    private static func only(_ set: ScalarSet) -> Unicode.Scalar? {
        set.resolved.first.flatMap { Unicode.Scalar($0.lowerBound) }
    }
}
