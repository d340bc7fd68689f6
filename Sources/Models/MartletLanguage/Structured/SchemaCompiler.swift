// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Builds the automaton of what a JSON Schema allows.
///
/// Whatever the automaton takes fits the schema; what would need more than an automaton is refused
/// with its place. Answers are narrower than the schema in three ways: properties come in the
/// schema's order, further ones only where the schema names none, and without a `type` they are of
/// the kind that the other keywords speak of. Definitions that contain themselves are rules that
/// call themselves.
struct SchemaCompiler {
    typealias State = ByteAutomaton.State

    /// Schemas inside one another that are built in place.
    private static let depthMax = 64
    private static let pendingMax = 4096

    var reader: SchemaReader
    private var depth = 0
    /// Rules by the pointers of the schemas that they are of.
    private var rules: [String: Int] = [:]
    private var pending: [(rule: Int, schemas: [LocatedSchema])] = []
    var anyRule: Int?
    var characterRule: Int?

    /// - Throws: `LanguageError` for a schema that is none, is not supported or is too large.
    static func compile(_ schema: JSONValue) throws(LanguageError) -> ByteAutomaton {
        var automaton = ByteAutomaton()
        var compiler = SchemaCompiler(root: schema)
        try compiler.add(
            [LocatedSchema(value: schema, pointer: "#")], automaton.start, automaton.end,
            &automaton)
        while let (rule, schemas) = compiler.pending.popLast() {
            let ends = automaton.rules[rule]
            try compiler.build(schemas, ends.start, ends.end, &automaton)
        }
        return automaton
    }

    /// Any object.
    static func anyObject() throws(LanguageError) -> ByteAutomaton {
        var automaton = ByteAutomaton()
        var compiler = SchemaCompiler(root: .null)
        try compiler.anyObject(automaton.start, automaton.end, &automaton)
        return automaton
    }

    private init(root: JSONValue) { reader = SchemaReader(root: root) }

    /// Adds a value that fits all of the schemas; nothing where none can.
    mutating func add(
        _ schemas: [LocatedSchema], _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        guard let first = schemas.first else { return try any(from, to, &automaton) }
        if schemas.count == 1, first.value["$ref"] == nil {
            return try build(schemas, from, to, &automaton)
        }
        // Where schemas meet again, the rule that they have is called.
        var all: [LocatedSchema] = []
        for schema in schemas {
            var schema = schema
            var count = 0
            while let object = schema.value.objectValue, let reference = object["$ref"],
                SchemaReader.isOnly("$ref", object)
            {
                schema = try reader.target(reference, schema)
                count += 1
                guard count <= SchemaCompiler.depthMax else {
                    throw first.fail("it refers to itself and to nothing else")
                }
            }
            if !all.contains(where: { $0.pointer == schema.pointer }) { all.append(schema) }
        }
        automaton.call(try rule(all, &automaton), from, to)
    }

    /// The rule of values that fit all of the schemas.
    mutating func rule(
        _ schemas: [LocatedSchema], _ automaton: inout ByteAutomaton
    ) throws(LanguageError) -> Int {
        let key = schemas.map(\.pointer).sorted().joined(separator: " ")
        if let known = rules[key] { return known }
        guard rules.count < SchemaCompiler.pendingMax else {
            throw schemas[0].exceeds("more than \(SchemaCompiler.pendingMax) definitions")
        }
        let rule = try automaton.makeRule()
        rules[key] = rule
        pending.append((rule, schemas))
        return rule
    }

    private mutating func build(
        _ schemas: [LocatedSchema], _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        depth += 1
        defer { depth -= 1 }
        guard let first = schemas.first else { return try any(from, to, &automaton) }
        guard depth <= SchemaCompiler.depthMax else {
            throw first.exceeds(
                "more than \(SchemaCompiler.depthMax) schemas inside one another")
        }
        // Alternatives without anything beside them stay as they are: definitions are not spread.
        if schemas.count == 1, let object = first.value.objectValue {
            if let options = object["anyOf"], SchemaReader.isOnly("anyOf", object) {
                for option in try reader.options("anyOf", options, first) {
                    try add([option], from, to, &automaton)
                }
                return
            }
            if let options = object["oneOf"], SchemaReader.isOnly("oneOf", object) {
                for option in try reader.distinct(options, first, 0) {
                    try add([option], from, to, &automaton)
                }
                return
            }
            if let all = object["allOf"], SchemaReader.isOnly("allOf", object) {
                return try add(reader.options("allOf", all, first), from, to, &automaton)
            }
        }
        for shape in try reader.shapes(schemas) {
            try add(shape, first, from, to, &automaton)
        }
    }

    private mutating func add(
        _ shape: SchemaShape, _ schema: LocatedSchema, _ from: State, _ to: State,
        _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        if let values = shape.values {
            var rest = shape
            rest.values = nil
            for value in values where try reader.fits(value, rest, schema) {
                try automaton.add(from, value.serialized(), to)
            }
            return
        }
        guard let types = shape.impliedTypes else { return try any(from, to, &automaton) }
        for type in types.sorted() {
            switch type {
            case "null": try automaton.add(from, "null", to)
            case "boolean":
                try automaton.add(from, "true", to)
                try automaton.add(from, "false", to)
            case "integer": try number(shape, isWhole: true, schema, from, to, &automaton)
            case "number": try number(shape, isWhole: false, schema, from, to, &automaton)
            case "string": try string(shape, schema, from, to, &automaton)
            case "object": try object(shape, schema, from, to, &automaton)
            default: try array(shape, schema, from, to, &automaton)
            }
        }
    }
}
