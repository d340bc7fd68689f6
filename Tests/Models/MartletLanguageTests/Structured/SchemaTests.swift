// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletTesting
internal import MartletTokenizers
internal import Testing

@Suite("Schemas and expressions, exactly")
struct SchemaTests {
    private static func text() throws -> LanguageText {
        LanguageText(
            tokenizer: try TinyTokenizer.make(), endTokens: [TinyTokenizer.turnEnd],
            contextLength: 4096)
    }

    private static func compile(_ format: AnswerFormat) throws -> CompiledFormat {
        try CompiledFormat(format, VocabularyIndex(try text()))
    }

    /// Whether an answer may be this text, whole.
    private static func accepts(_ format: AnswerFormat, _ answer: String) throws -> Bool {
        let text = try text()
        var constraint = FormatConstraint(try compile(format), text)
        for byte in answer.utf8 {
            guard case .ready(let mask) = constraint.mask(nil), mask.contains(Int(byte)) else {
                return false
            }
            constraint.accept(Int32(byte))
        }
        guard case .ready(let mask) = constraint.mask(nil) else { return false }
        return mask.contains(Int(TinyTokenizer.turnEnd))
    }

    struct Case: Sendable {
        var schema: JSONValue
        var fits: [String]
        var fails: [String]
    }

    private static let members: JSONValue = [
        "type": "object", "properties": ["a": ["type": "integer"], "b": ["type": "boolean"]],
    ]
    private static let cases = [
        Case(
            schema: ["type": "string", "pattern": #"^"$"#], fits: [#""\"""#], fails: [#"""""#]),
        Case(
            schema: ["type": "string", "pattern": #"^\\d$"#], fits: [#""\\d""#],
            fails: [#""\d""#, #""1""#]),
        Case(
            schema: ["type": "string", "pattern": #"^\s{2}$"#], fits: [#""\n ""#, #""  ""#],
            fails: ["\"\n \"", #"" ""#]),
        Case(
            schema: ["type": "string", "pattern": "b", "maxLength": 3],
            fits: [#""b""#, #""abé""#, #""\"b\\""#], fails: [#""aaa""#, #""aabb""#, #""""#]),
        Case(
            schema: ["type": "string", "pattern": "(^|,)x$"], fits: [#""x""#, #""a,x""#],
            fails: [#""ax""#]),
        Case(
            schema: ["type": "object", "properties": ["a": true], "required": ["a", "z"]],
            fits: [#"{"a":1,"z":null}"#], fails: [#"{"a":1}"#, #"{"z":1}"#]),
        Case(
            schema: [
                "type": "object", "properties": members["properties"] ?? .null,
                "anyOf": [["required": ["a"]], ["required": ["b"]]],
            ], fits: [#"{"a":1}"#, #"{"b":true}"#, #"{"a":1,"b":true}"#], fails: ["{}", "true"]),
        Case(
            schema: [
                "allOf": [["$ref": "#/$defs/x"], ["$ref": "#/$defs/y~1z%20"]],
                "$defs": [
                    "x": ["properties": ["p": ["minimum": 3]], "required": ["p"]],
                    "y/z ": [
                        "type": "object", "properties": ["p": ["type": "integer", "maximum": 5]],
                    ],
                ],
            ], fits: [#"{"p":3}"#, #"{"p": 5}"#], fails: [#"{"p":6}"#, #"{"p":2}"#, "{}", "3"]),
        Case(
            schema: ["type": "string", "enum": ["a", 1]], fits: [#""a""#], fails: ["1"]),
        Case(
            schema: ["type": "integer", "minimum": -12, "exclusiveMaximum": 105],
            fits: ["-12", "-3", "0", "99", "104"], fails: ["-13", "105", "-0", "1050", "1.5"]),
        Case(
            schema: ["type": "number", "exclusiveMinimum": 0.5, "maximum": 2],
            fits: ["0.51", "1", "2", "2.0", "1.999"], fails: ["0.5", "0.50", "2.01", "-1", "3"]),
        Case(
            schema: ["type": "integer", "multipleOf": 7], fits: ["0", "-14", "21", "700"],
            fails: ["8", "1", "-15"]),
        Case(
            schema: [
                "type": "object", "properties": ["a": true, "b": true, "c": true],
                "minProperties": 2, "maxProperties": 2,
            ], fits: [#"{"a":1,"c":2}"#, #"{"b":1,"c":2}"#],
            fails: ["{}", #"{"a":1}"#, #"{"a":1,"b":2,"c":3}"#]),
        Case(
            schema: ["type": "array", "items": ["type": "null"], "minItems": 1, "maxItems": 2],
            fits: ["[null]", "[null, null]"], fails: ["[]", "[null,null,null]"]),
        Case(
            schema: [
                "type": "array", "prefixItems": [["const": 1], ["const": 2]], "items": false,
            ], fits: ["[]", "[1]", "[1,2]"], fails: ["[2]", "[1,2,3]"]),
        Case(
            schema: [
                "oneOf": [
                    ["properties": ["k": ["const": "x"]], "type": "object"],
                    ["properties": ["k": ["const": "y"]], "type": "object"],
                ]
            ], fits: [#"{"k":"x"}"#, #"{"k":"y"}"#], fails: ["{}", #"{"k":"z"}"#]),
        Case(
            schema: [
                "type": "object", "propertyNames": ["pattern": "^[a-c]$"],
                "additionalProperties": ["type": "boolean"], "maxProperties": 2,
            ], fits: ["{}", #"{"a":true}"#], fails: [#"{"d":true}"#, #"{"a":1}"#]),
        Case(
            schema: ["type": "string", "format": "date"], fits: [#""2024-02-28""#],
            fails: [#""2024-13-01""#, #""x""#]),
    ]

    @Test("takes what a schema allows and nothing else", arguments: cases)
    func schemas(example: Case) throws {
        for answer in example.fits {
            #expect(try Self.accepts(.schema(example.schema), answer), "\(answer)")
        }
        for answer in example.fails {
            #expect(try !Self.accepts(.schema(example.schema), answer), "\(answer)")
        }
    }

    @Test("a long chain of definitions is followed, one that is too deep is a limit")
    func depth() throws {
        var definitions = JSONObject()
        for index in 0..<40 {
            definitions["d\(index)"] = [
                "type": "object", "required": ["n"],
                "properties": ["n": ["$ref": .string("#/$defs/d\(index + 1)")]],
            ]
        }
        definitions["d40"] = ["const": 1]
        let schema: JSONValue = ["$ref": "#/$defs/d0", "$defs": .object(definitions)]
        let open = String(repeating: #"{"n":"#, count: 40)
        #expect(
            try Self.accepts(.schema(schema), open + "1" + String(repeating: "}", count: 40)))
        var deep: JSONValue = ["type": "null"]
        for _ in 0..<100 { deep = ["type": "array", "items": deep] }
        let error = #expect(throws: LanguageError.self) { try Self.compile(.schema(deep)) }
        #expect(error?.code == .limitExceeded)
    }

    @Test(
        "what is not supported is refused with its place",
        arguments: [
            (["not": ["type": "null"]], "#/not"),
            (["properties": ["a~/b": ["if": true]]], "#/properties/a~0~1b/if"),
            (["type": "array", "uniqueItems": true], "#/uniqueItems"),
            (["items": ["contains": true]], "#/items/contains"),
            (["oneOf": [["type": "object"], ["type": "object"]]], "#/oneOf"),
            (["allOf": [["type": "wish"]]], "#/allOf/0/type"),
            (["minLength": -1], "#/minLength"), (["multipleOf": 0.5], "#/multipleOf"),
            (["$ref": "other.json"], "#/$ref"), (["pattern": "(?=a)"], "#/pattern"),
        ] as [(JSONValue, String)])
    func places(schema: JSONValue, place: String) throws {
        let error = #expect(throws: LanguageError.self) { try Self.compile(.schema(schema)) }
        #expect(error?.message.contains("'\(place)'") == true, "\(error?.message ?? "")")
    }

    @Test("contradictions allow nothing, and say so")
    func contradictions() throws {
        let schemas: [JSONValue] = [
            ["type": "string", "minLength": 5, "maxLength": 2],
            ["allOf": [["type": "string"], ["type": "integer"]]],
            ["type": "integer", "minimum": 2, "maximum": 1],
        ]
        for schema in schemas {
            #expect(throws: LanguageError.self, "\(schema)") { try Self.compile(.schema(schema)) }
        }
    }

    @Test("expressions: wide ranges, anchors at the ends, and words for what is none")
    func expressions() throws {
        let chinese = AnswerFormat.regex(#"[\u4e00-\u9fff]{2}"#)
        #expect(try Self.accepts(chinese, "漢字"))
        #expect(try !Self.accepts(chinese, "ab") && !Self.accepts(chinese, "é漢"))
        #expect(try Self.accepts(.regex("[^a-é]"), "ê") && !Self.accepts(.regex("[^a-é]"), "é"))
        #expect(try Self.accepts(.regex("^(^ab|c$)$"), "ab"))
        let refused = [
            ("a$b", "ends"), ("a^", "ends"), ("[[:alpha:]]", "alpha"), ("[a-z&&b]", "&&"),
            ("a{2,1}", "at least 2"), ("a{2000}", "1024"), ("[z-a]", "ends before"),
        ]
        for (pattern, word) in refused {
            let error = #expect(throws: LanguageError.self) { try Self.compile(.regex(pattern)) }
            #expect(error?.message.contains(word) == true, "\(pattern): \(error?.message ?? "")")
        }
    }
}
