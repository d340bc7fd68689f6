// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Builds the automaton of a grammar: llama.cpp's notation (GBNF, also EBNF's `::=`), or Lark's as
/// far as it says what a text looks like.
///
/// Answers begin with the rule `root`, Lark's with `start`, where there is none with the first. A
/// rule may contain itself; one that begins with itself and goes on is turned into a repetition
/// where it does so directly, and refused otherwise. `%ignore` is not supported.
struct GrammarCompiler {
    private typealias Mark = GrammarScanner.Mark

    private var scanner: GrammarScanner
    private var marks: [Mark] = []
    private var place = 0
    private var depth = 0
    private var names: [String: Int] = [:]
    private var order: [String] = []
    private var patterns: [Int: [TextPattern]] = [:]
    private static let bytesMax = 64 << 10
    private static let ruleCountMax = 1024
    private static let depthMax = 64

    /// - Returns: the automaton, and its rules' names for messages.
    static func compile(
        _ grammar: String
    ) throws(LanguageError) -> (automaton: ByteAutomaton, names: [String]) {
        guard grammar.utf8.count <= bytesMax else {
            throw LanguageError(
                .limitExceeded, "grammar: \(grammar.utf8.count) bytes, at most \(bytesMax)")
        }
        let isLark = !grammar.contains("::=")
        var compiler = GrammarCompiler(scanner: GrammarScanner(grammar, isLark: isLark))
        try compiler.read()
        return (try compiler.build(root: isLark ? "start" : "root"), compiler.order)
    }

    private init(scanner: GrammarScanner) { self.scanner = scanner }

    private func fail(_ message: String) -> LanguageError {
        LanguageError(.invalidInput, "grammar: \(message)")
    }

    // MARK: Reading

    private mutating func read() throws(LanguageError) {
        while let mark = try scanner.next() {
            guard case .directive(let text) = mark else {
                marks.append(mark)
                continue
            }
            try take(directive: text)
        }
        while place < marks.count {
            guard case .name(let name) = marks[place], isDefinition(place) else {
                throw fail("expected a rule's name and what it stands for")
            }
            place += 2
            let rule = try number(of: name)
            let found = try alternatives("'\(name)'")
            patterns[rule, default: []].append(found)
        }
        guard !order.isEmpty else { throw fail("it has no rules") }
    }

    private func isDefinition(_ place: Int) -> Bool {
        guard place + 1 < marks.count, case .name = marks[place],
            case .define = marks[place + 1]
        else { return false }
        return true
    }

    private mutating func number(of name: String) throws(LanguageError) -> Int {
        if let known = names[name] { return known }
        guard order.count < GrammarCompiler.ruleCountMax else {
            throw LanguageError(
                .limitExceeded, "grammar: more than \(GrammarCompiler.ruleCountMax) rules")
        }
        names[name] = order.count
        order.append(name)
        return order.count - 1
    }

    private mutating func alternatives(_ name: String) throws(LanguageError) -> TextPattern {
        depth += 1
        defer { depth -= 1 }
        guard depth <= GrammarCompiler.depthMax else {
            throw LanguageError(
                .limitExceeded,
                "grammar: more than \(GrammarCompiler.depthMax) groups inside one another")
        }
        var options = [try sequence(name)]
        while place < marks.count, case .sign("|") = marks[place] {
            place += 1
            options.append(try sequence(name))
        }
        return options.count == 1 ? options[0] : .either(options)
    }

    private mutating func sequence(_ name: String) throws(LanguageError) -> TextPattern {
        var parts: [TextPattern] = []
        while place < marks.count, !isDefinition(place) {
            switch marks[place] {
            case .name(let other): parts.append(.rule(try number(of: other)))
            case .pattern(let pattern): parts.append(pattern)
            case .sign("("), .sign("["):
                parts.append(try group(name))
                continue
            case .count(let least, let most):
                guard let last = parts.popLast() else {
                    throw fail("rule \(name): nothing to repeat")
                }
                parts.append(.repeated(last, least: least, most: most))
            case .range: parts.append(try range(parts.popLast(), name))
            case .sign: return .sequence(parts)
            case .define, .directive: throw fail("rule \(name): a definition inside it")
            }
            place += 1
        }
        return .sequence(parts)
    }

    /// Round brackets, or Lark's square ones, which may be missing.
    private mutating func group(_ name: String) throws(LanguageError) -> TextPattern {
        guard case .sign(let open) = marks[place] else { throw fail("rule \(name): no group") }
        place += 1
        let inner = try alternatives(name)
        guard place < marks.count, case .sign(let close) = marks[place],
            close == (open == "(" ? ")" : "]")
        else { throw fail("rule \(name): '\(open)' without its end") }
        place += 1
        return open == "(" ? inner : .repeated(inner, least: 0, most: 1)
    }

    private mutating func range(
        _ first: TextPattern?, _ name: String
    ) throws(LanguageError) -> TextPattern {
        place += 1
        guard case .text(let low)? = first, place < marks.count,
            case .pattern(.text(let high)) = marks[place],
            let from = low.unicodeScalars.first, let to = high.unicodeScalars.first,
            low.unicodeScalars.count == 1, high.unicodeScalars.count == 1,
            from <= to, to.value - from.value < 4096
        else {
            throw fail("rule \(name): '..' needs two characters, at most 4096 apart")
        }
        var set = ScalarSet()
        for value in from.value...to.value {
            if let scalar = Unicode.Scalar(value) { set.insert(scalar) }
        }
        return .oneOf(set)
    }

    // MARK: Lark's directives

    private static let common: [String: String] = [
        "DIGIT": "[0-9]", "INT": "[0-9]+", "SIGNED_INT": "[+-]?[0-9]+",
        "DECIMAL": #"[0-9]+\.[0-9]*|\.[0-9]+"#,
        "FLOAT": #"[0-9]+[eE][+-]?[0-9]+|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"#,
        "NUMBER": #"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"#,
        "SIGNED_NUMBER": #"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"#,
        "ESCAPED_STRING": #""([^"\\\n]|\\.)*""#, "LETTER": "[a-zA-Z]", "WORD": "[a-zA-Z]+",
        "LCASE_LETTER": "[a-z]", "UCASE_LETTER": "[A-Z]",
        "CNAME": "[_a-zA-Z][_a-zA-Z0-9]*", "WS": #"[ \t\f\r\n]+"#, "WS_INLINE": #"[ \t]+"#,
        "NEWLINE": #"(\r?\n)+"#,
    ]

    private mutating func take(directive: String) throws(LanguageError) {
        let words = directive.split(separator: " ").map(String.init)
        guard words.count == 2, words[0] == "import", words[1].hasPrefix("common."),
            let source = GrammarCompiler.common[String(words[1].dropFirst(7))]
        else {
            throw LanguageError(
                .unsupported, "grammar: '%\(directive.prefix(80))' is not supported")
        }
        let rule = try number(of: String(words[1].dropFirst(7)))
        patterns[rule] = [try RegexCompiler.parse(source)]
    }

    // MARK: Building

    private func build(root: String) throws(LanguageError) -> ByteAutomaton {
        var automaton = ByteAutomaton()
        for name in order where patterns[names[name] ?? -1] == nil {
            throw fail("the rule '\(name)' is used and not defined")
        }
        for _ in order { _ = try automaton.makeRule() }
        for (index, _) in order.enumerated() {
            for pattern in patterns[index] ?? [] { try add(pattern, rule: index, &automaton) }
        }
        automaton.call(names[root] ?? 0, automaton.start, automaton.end)
        return automaton
    }

    /// A rule's pattern; what begins with the rule itself repeats what follows behind the rest:
    /// `a: a x | b` is `a: b x*`.
    private func add(
        _ pattern: TextPattern, rule: Int, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        var options: [TextPattern] = [pattern]
        while true {
            if case .either(let inner)? = options.first, options.count == 1 {
                options = inner
            } else if case .sequence(let parts)? = options.first, options.count == 1,
                parts.count == 1
            {
                options = parts
            } else {
                break
            }
        }
        let ends = automaton.rules[rule]
        let middle = try automaton.makeState()
        for option in options {
            var parts: [TextPattern] = [option]
            if case .sequence(let inner) = option { parts = inner }
            if case .rule(rule)? = parts.first, options.count > 1 {
                try automaton.add(middle, .sequence(Array(parts.dropFirst())), middle)
            } else {
                try automaton.add(ends.start, option, middle)
            }
        }
        automaton.join(middle, ends.end)
    }
}
