// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Takes a grammar's text apart, in llama.cpp's notation (`rule ::= …`) or Lark's (`rule: …`).
struct GrammarScanner {
    enum Mark: Sendable {
        case name(String)
        /// `::=`, or Lark's `:`.
        case define
        case pattern(TextPattern)
        /// One of `|()[]`.
        case sign(Unicode.Scalar)
        case count(least: Int, most: Int?)
        /// `..` between two characters.
        case range
        /// A line of Lark's that begins with `%`, without that.
        case directive(String)
    }

    private let scalars: [Unicode.Scalar]
    private var place = 0
    private let isLark: Bool
    private static let countMax = 1024

    init(_ text: String, isLark: Bool) {
        scalars = Array(text.unicodeScalars)
        self.isLark = isLark
    }

    func fail(_ message: String) -> LanguageError {
        let line = scalars.prefix(place).count { $0 == "\n" } + 1
        return LanguageError(.invalidInput, "grammar, line \(line): \(message)")
    }

    private var current: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    private func begins(with text: String) -> Bool {
        scalars[place...].starts(with: text.unicodeScalars)
    }

    private mutating func skipLine() {
        while let scalar = current, scalar != "\n" {
            _ = scalar
            place += 1
        }
    }

    private mutating func skipSpace() {
        while let scalar = current {
            if scalar.properties.isWhitespace {
                place += 1
            } else if !isLark && scalar == "#" || begins(with: "//") && isLark {
                skipLine()
            } else {
                return
            }
        }
    }

    /// The next mark; nil at the end.
    mutating func next() throws(LanguageError) -> Mark? {
        skipSpace()
        guard let scalar = current else { return nil }
        place += 1
        switch scalar {
        case "|", "(", ")": return .sign(scalar)
        case "[":
            if isLark { return .sign(scalar) }
            let (set, count) = try RegexCompiler.parseClass(scalars[place...])
            place += count
            return .pattern(.oneOf(set))
        case "]" where isLark: return .sign(scalar)
        case "*": return .count(least: 0, most: nil)
        case "+": return .count(least: 1, most: nil)
        case "?": return isLark ? try questionMark() : .count(least: 0, most: 1)
        case "!" where isLark: return try next()
        case "{" where !isLark: return try braces()
        case "~" where isLark: return try tilde()
        case "\"", "'": return try text(scalar)
        case "/" where isLark: return try expression()
        case "." where isLark && current == ".":
            place += 1
            return .range
        case "." where !isLark: return .pattern(.oneOf(.anyButLineEnd))
        case ":" where isLark: return .define
        case ":" where begins(with: ":="):
            place += 2
            return .define
        case "-" where isLark && current == ">":
            // An alias names the tree's node; there is no tree here.
            place += 1
            _ = try next()
            return try next()
        case "%" where isLark:
            let start = place
            skipLine()
            return .directive(String(String.UnicodeScalarView(scalars[start..<place])))
        default:
            place -= 1
            return .name(try name())
        }
    }

    /// Before a rule's name it says something of the tree; behind an item, that it may be missing.
    private mutating func questionMark() throws(LanguageError) -> Mark? {
        let isItems = place >= 2 && !scalars[place - 2].properties.isWhitespace
        return isItems ? .count(least: 0, most: 1) : try next()
    }

    private mutating func name() throws(LanguageError) -> String {
        let start = place
        while let scalar = current,
            scalar.properties.isAlphabetic || "0123456789_".unicodeScalars.contains(scalar)
                || scalar == "-" && !isLark
        {
            place += 1
        }
        guard place > start, place - start <= 128 else {
            throw fail("'\(scalars[min(start, scalars.count - 1)])' is not expected here")
        }
        let name = String(String.UnicodeScalarView(scalars[start..<place]))
        // Lark's priorities: `rule.2`.
        if isLark, current == ".", place + 1 < scalars.count, scalars[place + 1] != "." {
            place += 1
            _ = try number()
        }
        return name
    }

    private mutating func number() throws(LanguageError) -> Int {
        let start = place
        while let scalar = current, ("0"..."9").contains(scalar) { place += 1 }
        let digits = String(String.UnicodeScalarView(scalars[start..<place]))
        guard let number = Int(digits), number <= GrammarScanner.countMax else {
            throw fail("'\(digits.prefix(20))' is no number from 0 to \(GrammarScanner.countMax)")
        }
        return number
    }

    private mutating func braces() throws(LanguageError) -> Mark {
        skipSpace()
        let least = current == "," ? 0 : try number()
        skipSpace()
        var most: Int? = least
        if current == "," {
            place += 1
            skipSpace()
            most = current == "}" ? nil : try number()
            skipSpace()
        }
        guard current == "}", most ?? least >= least else {
            throw fail("a repetition that is none")
        }
        place += 1
        return .count(least: least, most: most)
    }

    private mutating func tilde() throws(LanguageError) -> Mark {
        skipSpace()
        let least = try number()
        guard begins(with: "..") else { return .count(least: least, most: least) }
        place += 2
        let most = try number()
        guard most >= least else { throw fail("a repetition that is none") }
        return .count(least: least, most: most)
    }

    // MARK: Texts

    private mutating func text(_ quote: Unicode.Scalar) throws(LanguageError) -> Mark {
        var text = String.UnicodeScalarView()
        while true {
            guard let scalar = current else { throw fail("a text without its end") }
            place += 1
            if scalar == quote { break }
            text.append(scalar == "\\" ? try escape() : scalar)
        }
        guard isLark, current == "i" else { return .pattern(.text(String(text))) }
        place += 1
        return .pattern(
            .sequence(
                text.map { scalar in
                    var set = ScalarSet()
                    for form in [
                        scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping,
                    ] {
                        if form.unicodeScalars.count == 1, let only = form.unicodeScalars.first {
                            set.insert(only)
                        }
                    }
                    set.insert(scalar)
                    return .oneOf(set)
                }))
    }

    private mutating func escape() throws(LanguageError) -> Unicode.Scalar {
        guard let scalar = current else { throw fail("a text without its end") }
        place += 1
        let digits: Int
        switch scalar {
        case "n": return "\n"
        case "t": return "\t"
        case "r": return "\r"
        case "x": digits = 2
        case "u": digits = 4
        case "U": digits = 8
        default: return scalar
        }
        let end = min(place + digits, scalars.count)
        let code = UInt32(String(String.UnicodeScalarView(scalars[place..<end])), radix: 16)
        guard end - place == digits, let found = code.flatMap(Unicode.Scalar.init) else {
            throw fail("an escape that names no character")
        }
        place = end
        return found
    }

    /// Lark's `/…/`, a regular expression.
    private mutating func expression() throws(LanguageError) -> Mark {
        let start = place
        while let scalar = current, scalar != "/" { place += scalar == "\\" ? 2 : 1 }
        guard current == "/" else { throw fail("an expression without its end") }
        let inner = String(String.UnicodeScalarView(scalars[start..<place]))
        place += 1
        if let flag = current, "imslux".unicodeScalars.contains(flag) {
            throw fail("an expression's flag '\(flag)' is not supported")
        }
        return .pattern(try RegexCompiler.parse(inner.replacing("\\/", with: "/")))
    }
}
