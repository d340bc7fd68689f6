// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletJSON
internal import MartletLanguage
internal import MartletTesting
internal import MartletTokenizers
internal import Testing

@Suite("Structured answers")
struct FormatConstraintTests {
    private static func text() throws -> LanguageText {
        LanguageText(
            tokenizer: try TinyTokenizer.make(), endTokens: [TinyTokenizer.turnEnd],
            contextLength: 4096)
    }

    /// An answer of random tokens among those that are allowed.
    private static func answer(
        _ format: AnswerFormat, seed: UInt64, lengthMax: Int = 60_000
    ) throws -> String? {
        let text = try text()
        var random = SeededRandom(seed: seed)
        var constraint = FormatConstraint(
            try CompiledFormat(format, VocabularyIndex(text)), text)
        var bytes: [UInt8] = []
        for _ in 0..<lengthMax {
            let mask = constraint.allowed()
            let all = (0..<TinyTokenizer.vocabularySize).filter { mask.contains($0) }
            // Ends where it may, so that loops do.
            if all.contains(Int(TinyTokenizer.turnEnd)) {
                return String(decoding: bytes, as: UTF8.self)
            }
            // Closing marks are likelier than others.
            let closing = all.filter { [34, 93, 125].contains($0) }
            let pool =
                !closing.isEmpty && Int.random(in: 0..<3, using: &random) == 0 ? closing : all
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

    @Test(
        "refuses formats that are none or too large",
        arguments: [
            .schema(["type": "wishes"]), .schema(["$ref": "#/nowhere"]), .schema(["$ref": "#"]),
            .schema(false), .schema(["enum": []]), .schema(7),
            .schema(["type": "array", "minItems": 1_000_000]),
            .regex("(a"), .regex("a)"), .regex("*"), .regex("[a"), .regex("a{2000}"),
            .regex("((a{1000}){1000}){1000}"), .regex(#"(?=a)"#), .regex(#"\b"#),
            .regex(String(repeating: "(", count: 5000)), .choice([]),
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

    @Test("hostile schemas and expressions end in time")
    func compilersFuzz() throws {
        let index = VocabularyIndex(try Self.text())
        fuzz("schemas", seeds: [Self.schema.serialized()], sizeMax: 4096) { bytes in
            _ = try CompiledFormat(.schema(try JSONValue(parsing: bytes)), index)
        }
        let patterns = [#"^(a|bc){2,3}-[^a-z\W]\d+?[x-z]?$"#, #"\u00e9[^"\\]*\x41"#]
        fuzz("expressions", seeds: patterns.map { Array($0.utf8) }, sizeMax: 256) { bytes in
            _ = try CompiledFormat(.regex(String(decoding: bytes, as: UTF8.self)), index)
        }
    }
}
