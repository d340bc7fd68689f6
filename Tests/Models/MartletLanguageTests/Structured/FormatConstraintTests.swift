// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletJSON
internal import MartletLanguage
internal import MartletTesting
internal import MartletTokenizers
internal import Synchronization
internal import Testing

@Suite("Structured answers")
struct FormatConstraintTests {
    private static func text() throws -> LanguageText {
        LanguageText(
            tokenizer: try TinyTokenizer.make(), endTokens: [TinyTokenizer.turnEnd],
            contextLength: 4096)
    }

    /// Compiled once: what many answers share, as requests do.
    private static let known = Mutex<[AnswerFormat: CompiledFormat]>([:])

    private static func compiled(
        _ format: AnswerFormat, _ text: LanguageText
    ) throws -> CompiledFormat {
        if let found = known.withLock({ $0[format] }) { return found }
        let made = try CompiledFormat(format, VocabularyIndex(text))
        known.withLock { $0[format] = made }
        return made
    }

    /// An answer of random tokens among those that are allowed. The longer it is, the likelier it
    /// closes what it opened, so that it ends.
    private static func answer(
        _ format: AnswerFormat, seed: UInt64, lengthMax: Int = 10_000
    ) throws -> String? {
        let text = try text()
        var random = SeededRandom(seed: seed)
        var constraint = FormatConstraint(try compiled(format, text), text)
        var bytes: [UInt8] = []
        for _ in 0..<lengthMax {
            let mask = try constraint.allowed()
            let all = (0..<TinyTokenizer.vocabularySize).filter { mask.contains($0) }
            // Ends where it may, so that loops do.
            if all.contains(Int(TinyTokenizer.turnEnd)) {
                return String(decoding: bytes, as: UTF8.self)
            }
            // Closing marks are likelier than others, and opening ones less.
            let closing = all.filter { [34, 93, 125].contains($0) }
            let plain = all.filter { ![91, 123, 32, 10].contains($0) }
            let patience = max(1, 3 - bytes.count / 100)
            var pool = bytes.count > 100 && !plain.isEmpty ? plain : all
            if !closing.isEmpty, Int.random(in: 0..<patience, using: &random) == 0 {
                pool = closing
            }
            guard let token = pool.randomElement(using: &random) else {
                Issue.record("nothing may follow \(String(decoding: bytes, as: UTF8.self))")
                return nil
            }
            bytes.append(UInt8(token))
            constraint.accept(Int32(token))
        }
        return nil
    }

    private static let schema: JSONValue = [
        "type": "object", "required": ["name", "tags", "kind"],
        "properties": [
            "name": ["type": "string", "minLength": 1, "maxLength": 8],
            "age": ["type": "integer"], "score": ["type": ["number", "null"]],
            "tags": ["type": "array", "items": ["enum": ["x", "ü", 3]], "maxItems": 3],
            "kind": ["$ref": "#/$defs/kind"], "tree": ["$ref": "#/$defs/tree"],
        ],
        "$defs": [
            "kind": ["const": ["a": true]],
            "tree": [
                "type": "object", "properties": ["left": ["$ref": "#/$defs/tree"]],
                "additionalProperties": false,
            ],
        ],
    ]

    @Test("what a schema allows is JSON of that schema", arguments: 0..<40)
    func schemas(seed: Int) throws {
        let text = try #require(try Self.answer(.schema(Self.schema), seed: UInt64(seed)))
        let value = try JSONValue(parsing: text)
        let name = try #require(value["name"]?.stringValue)
        #expect((1...8).contains(name.unicodeScalars.count), "\(text)")
        let tags = try #require(value["tags"]?.arrayValue)
        #expect(tags.count <= 3 && tags.allSatisfy { ["x", "ü", 3].contains($0) }, "\(text)")
        #expect(value["kind"] == ["a": true], "\(text)")
        #expect(value["age"].map { $0.intValue != nil } ?? true, "\(text)")
    }

    @Test("any object is an object, arrays have their length", arguments: 0..<40)
    func objects(seed: Int) throws {
        let text = try #require(try Self.answer(.json, seed: UInt64(seed)))
        #expect(try JSONValue(parsing: text).kind == .object, "\(text)")
        let list: JSONValue = ["type": "array", "items": ["type": "boolean"], "minItems": 2]
        let array = try #require(try Self.answer(.schema(list), seed: UInt64(seed)))
        #expect(try JSONValue(parsing: array).arrayValue?.count ?? 0 >= 2, "\(array)")
    }

    @Test("choices and regular expressions", arguments: 0..<20)
    func expressions(seed: Int) throws {
        let choice = try #require(
            try Self.answer(.choice(["yes", "no", "yesterday"]), seed: UInt64(seed)))
        #expect(["yes", "no", "yesterday"].contains(choice))
        let text = try #require(
            try Self.answer(.regex(#"^(a|bc){2,3}-[^a-z\W]\d+?[x-z]?$"#), seed: UInt64(seed)))
        #expect(text.wholeMatch(of: /(a|bc){2,3}-[^a-z\W]\d+[x-z]?/) != nil, "\(text)")
    }

    /// Sums with brackets, once in each notation.
    private static let grammars = [
        """
        # what it is
        root ::= sum
        sum ::= product (("+" | "-") product)*
        product ::= item | product "*" item
        item ::= [0-9]{1,3} | "(" ws sum ws ")"
        ws ::= " "?
        """,
        """
        // what it is
        %import common.INT
        ?start: sum
        sum: product | sum ("+" | "-") product -> added
        product: item ("*" item)*
        item: /[0-9]{1,3}/ | "(" [WS] sum " "~0..1 ")"
        WS: " "
        """,
    ]

    @Test("a grammar's answers are of its language", arguments: 0..<30)
    func grammars(seed: Int) throws {
        for grammar in Self.grammars {
            let text = try #require(try Self.answer(.grammar(grammar), seed: UInt64(seed)))
            #expect(Sums.accept(text), "\(text)")
        }
    }

    @Test("brackets close as often as they open, however deep")
    func nesting() throws {
        let grammar = #"root ::= "(" root ")" | "x""#
        let text = try Self.text()
        var constraint = FormatConstraint(try Self.compiled(.grammar(grammar), text), text)
        for _ in 0..<100 { constraint.accept(40) }
        var mask = try constraint.allowed()
        #expect(mask.count == 2)
        constraint.accept(120)
        for _ in 0..<100 {
            mask = try constraint.allowed()
            #expect(mask.count == 1 && mask.contains(41))
            constraint.accept(41)
        }
        mask = try constraint.allowed()
        #expect(constraint.isComplete && mask.count == 1)
    }

    @Test("rules that end in themselves need no depth")
    func tails() throws {
        let text = try Self.text()
        let compiled = try CompiledFormat(
            .grammar(#"root ::= "a" root | "b""#), VocabularyIndex(text))
        var constraint = FormatConstraint(compiled, text)
        for _ in 0..<2000 { constraint.accept(97) }
        let mask = try constraint.allowed()
        #expect(mask.count == 2)
    }

    @Test("an answer outlives what its format forgets")
    func forgetting() throws {
        // More states than are kept: each of the first bits is remembered.
        let text = try Self.text()
        let compiled = try CompiledFormat(.regex("(a|b)*a(a|b){14}c"), VocabularyIndex(text))
        var first = FormatConstraint(compiled, text)
        for byte in "abbbbbbb".utf8 { first.accept(Int32(byte)) }
        var random = SeededRandom(seed: 5)
        for _ in 0..<30 {
            var other = FormatConstraint(compiled, text)
            for _ in 0..<400 {
                _ = try other.allowed()
                other.accept(Bool.random(using: &random) ? 97 : 98)
            }
        }
        for byte in "bbbbbbb".utf8 { first.accept(Int32(byte)) }
        var mask = try first.allowed()
        #expect(mask.contains(99))
        first.accept(98)
        mask = try first.allowed()
        #expect(!mask.contains(99))
    }

    @Test(
        "refuses formats that are none or too large",
        arguments: [
            .schema(["type": "wishes"]), .schema(["$ref": "#/nowhere"]), .schema(["$ref": "#"]),
            .schema(false), .schema(["enum": []]), .schema(7),
            .schema(["type": "array", "minItems": 1_000_000]),
            .regex("(a"), .regex("a)"), .regex("*"), .regex("[a"), .regex("a{2000}"),
            .regex("((a{1000}){1000}){1000}"), .regex(#"(?=a)"#), .regex(#"\b"#),
            .regex(String(repeating: "(", count: 5000)), .choice([]), .grammar(""),
            .grammar("root ::= other"), .grammar("root ::= \"a"), .grammar("root ::= (\"a\""),
            .grammar("root ::= root"), .grammar("root ::= \"x\" root"), .grammar("::="),
            .grammar("root ::= a \"x\" | \"y\"\na ::= root \"z\" | \"q\""),
            .grammar("root ::= [a-z]{4000}"), .grammar("start: A\n%ignore A\nA: \"a\""),
            .grammar("root ::= " + String(repeating: "(", count: 5000)),
        ] as [AnswerFormat])
    func refusals(format: AnswerFormat) throws {
        let index = VocabularyIndex(try Self.text())
        #expect(throws: LanguageError.self) { try CompiledFormat(format, index) }
    }

    @Test("a core keeps to a format and ends with it")
    func core() throws {
        let tiny = try TinyCore(likely: [])
        let text = try Self.text()
        let compiled = try CompiledFormat(.choice(["left", "right"]), VocabularyIndex(text))
        var options = GenerationOptions()
        options.tokensMax = 50
        options.samples = 4
        let hearing = Hearing()
        _ = try tiny.core.submit(
            PreparedGeneration(
                tokens: [1, 2, 3], options: options,
                constraint: FormatConstraint(compiled, text), receive: hearing.receive),
            now: tiny.time.now())
        tiny.run()
        for index in 0..<4 {
            #expect(["left", "right"].contains(hearing.text(index)))
            #expect(hearing.reason(index) == .stop)
        }
    }

    @Test("what is expensive to compile is refused soon")
    func compileTime() throws {
        let index = VocabularyIndex(try Self.text())
        let nested = (0..<40).reduce("a?") { text, _ in "(\(text))?" }
        let wide = (0..<2000).map { "rule\($0) ::= rule\(($0 + 1) % 1000) | [^a]{1000}" }
        let hostile: [AnswerFormat] = [
            .regex(nested), .regex("((((a{9}){9}){9}){9}){9}"),
            .regex("([\u{100}-\u{1000}]{9}){99}"),
            .regex(String(repeating: "[^a][b-é]", count: 1000)),
            .grammar(wide.joined(separator: "\n")),
            .grammar((0..<900).map { "r\($0) ::= r\($0 + 1)? \"\"" }.joined(separator: "\n")),
            .grammar(
                "root ::= " + String(repeating: "(\"a\"? ", count: 60)
                    + String(repeating: "){9}", count: 60)),
        ]
        for format in hostile {
            let began = processorSeconds()
            _ = try? CompiledFormat(format, index)
            let took = processorSeconds() - began
            // 0.1 s on the machine that the bounds were set on; tests share theirs.
            #expect(took < 0.5, "\(took) s for \("\(format)".prefix(60))")
        }
    }

    @Test("hostile schemas and expressions end in time")
    func compilersFuzz() throws {
        let index = VocabularyIndex(try Self.text())
        let text = try Self.text()
        /// Random tokens among those that may come, each found in time.
        func walk(_ format: AnswerFormat) throws {
            var random = SeededRandom(seed: 1)
            var constraint = FormatConstraint(try CompiledFormat(format, index), text)
            for _ in 0..<8 {
                let began = processorSeconds()
                let mask = try constraint.allowed()
                let took = processorSeconds() - began
                #expect(took < 0.6, "\(took) s for a mask of \("\(format)".prefix(200))")
                let all = (0..<TinyTokenizer.vocabularySize).filter { mask.contains($0) }
                guard let token = all.randomElement(using: &random) else { return }
                constraint.accept(Int32(token))
            }
        }
        fuzz("schemas", seeds: [Self.schema.serialized()], sizeMax: 4096) { bytes in
            try walk(.schema(try JSONValue(parsing: bytes)))
        }
        let patterns = [#"^(a|bc){2,3}-[^a-z\W]\d+?[x-z]?$"#, #"\u00e9[^"\\]*\x41"#]
        fuzz("expressions", seeds: patterns.map { Array($0.utf8) }, sizeMax: 256) { bytes in
            try walk(.regex(String(decoding: bytes, as: UTF8.self)))
        }
        fuzz("grammars", seeds: Self.grammars.map { Array($0.utf8) }, sizeMax: 2048) { bytes in
            try walk(.grammar(String(decoding: bytes, as: UTF8.self)))
        }
    }
}

extension FormatConstraint {
    /// Found here and now.
    mutating func allowed() throws -> TokenMask {
        switch mask(nil) {
        case .ready(let mask): mask
        case .failed(let error): throw error
        case .pending: throw LanguageError(.internal, "nobody is at work on the mask")
        }
    }
}

/// This thread's processor time.
private func processorSeconds() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Reads the sums of the tests' grammars on its own.
private struct Sums {
    private var rest: Substring.UTF8View

    static func accept(_ text: String) -> Bool {
        var sums = Sums(rest: text[...].utf8)
        return sums.sum() && sums.rest.isEmpty
    }

    private mutating func take(_ bytes: String) -> Bool {
        guard let first = rest.first, bytes.utf8.contains(first) else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func sum() -> Bool {
        guard item() else { return false }
        while take("+-*") { guard item() else { return false } }
        return true
    }

    private mutating func item() -> Bool {
        if take("(") {
            _ = take(" ")
            guard sum() else { return false }
            _ = take(" ")
            return take(")")
        }
        var count = 0
        while take("0123456789") { count += 1 }
        return (1...3).contains(count)
    }
}
