// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Builds the automaton of what a JSON Schema allows.
///
/// Properties come in the schema's order, others only where the schema names none. Definitions that
/// contain themselves and values of no given type are rules that call themselves. Limits of
/// numbers, `format` and `not` are not enforced.
struct SchemaCompiler {
    typealias State = ByteAutomaton.State

    private let root: JSONValue
    private var depth = 0
    /// Schemas inside one another, definitions included.
    static let depthMax = 24
    static let countMax = 256
    static let propertyCountMax = 512
    /// The rules of definitions, by reference.
    private var rules: [String: Int] = [:]
    var anyRule: Int?

    /// - Throws: `LanguageError` for a schema that allows nothing or is too large.
    static func compile(_ schema: JSONValue) throws(LanguageError) -> ByteAutomaton {
        var automaton = ByteAutomaton()
        var compiler = SchemaCompiler(root: schema)
        guard try compiler.add(schema, automaton.start, automaton.end, &automaton) else {
            throw LanguageError(.invalidInput, "schema: it allows nothing")
        }
        return automaton
    }

    /// Any object.
    static func anyObject() throws(LanguageError) -> ByteAutomaton {
        var automaton = ByteAutomaton()
        var compiler = SchemaCompiler(root: .null)
        try compiler.object(automaton.start, automaton.end, &automaton)
        return automaton
    }

    private init(root: JSONValue) { self.root = root }

    func fail(_ message: String) -> LanguageError {
        LanguageError(.invalidInput, "schema: \(message)")
    }

    /// - Returns: false when nothing fits; a definition's rule may turn out so later on.
    mutating func add(
        _ schema: JSONValue, _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) -> Bool {
        depth += 1
        defer { depth -= 1 }
        guard depth <= SchemaCompiler.depthMax else { return false }
        if case .bool(let allows) = schema {
            if allows { try any(from, to, &automaton) }
            return allows
        }
        guard case .object(let object) = schema else {
            throw fail("expected an object, found \(schema.kind.rawValue)")
        }
        if let reference = object["$ref"]?.stringValue {
            return try follow(reference, from, to, &automaton)
        }
        if let value = object["const"] {
            try automaton.add(from, value.serialized(), to)
            return true
        }
        if let values = object["enum"]?.arrayValue {
            guard values.count <= 4096 else { throw fail("enum: more than 4096 values") }
            for value in values { try automaton.add(from, value.serialized(), to) }
            return !values.isEmpty
        }
        for name in ["anyOf", "oneOf"] {
            guard let options = object[name]?.arrayValue else { continue }
            var hasAny = false
            for option in options where try add(option, from, to, &automaton) { hasAny = true }
            return hasAny
        }
        if let all = object["allOf"]?.arrayValue {
            return try add(merged(all, object), from, to, &automaton)
        }
        return try typed(object, from, to, &automaton)
    }

    mutating func follow(
        _ reference: String, _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) -> Bool {
        if let known = rules[reference] {
            automaton.call(known, from, to)
            return true
        }
        guard reference.hasPrefix("#") else { throw fail("'\(reference)' is not in the schema") }
        var target = root
        for part in reference.dropFirst().split(separator: "/") {
            let name = String(part)
            let next = Int(name).flatMap { target[$0] } ?? target[name]
            guard let next else { throw fail("'\(reference)' is not in the schema") }
            target = next
        }
        let rule = try automaton.makeRule()
        rules[reference] = rule
        let ends = automaton.rules[rule]
        guard try add(target, ends.start, ends.end, &automaton) else { return false }
        automaton.call(rule, from, to)
        return true
    }

    /// The members of several schemas in one: the later add to the former's properties.
    func merged(
        _ schemas: [JSONValue], _ own: JSONObject
    ) throws(LanguageError) -> JSONValue {
        var result = JSONObject()
        for schema in schemas + [.object(own)] {
            var object = schema.objectValue ?? JSONObject()
            if let reference = object["$ref"]?.stringValue, schemas.count == 1 {
                return ["$ref": .string(reference)]
            }
            object["allOf"] = nil
            for (name, value) in object {
                switch (name, result[name], value) {
                case ("properties", .object(let left)?, .object(let right)):
                    var joined = left
                    for (key, value) in right { joined[key] = value }
                    result[name] = .object(joined)
                case ("required", .array(let left)?, .array(let right)):
                    result[name] = .array(left + right)
                default: result[name] = value
                }
            }
        }
        return .object(result)
    }

    mutating func typed(
        _ object: JSONObject, _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) -> Bool {
        var types: [String] = []
        switch object["type"] {
        case .string(let name)?: types = [name]
        case .array(let names)?: types = names.compactMap(\.stringValue)
        case nil:
            if object["properties"] != nil {
                types = ["object"]
            } else if object["items"] != nil || object["prefixItems"] != nil {
                types = ["array"]
            } else if object["pattern"] != nil {
                types = ["string"]
            } else {
                try any(from, to, &automaton)
                return true
            }
        default: throw fail("type: expected a name or a list of names")
        }
        var hasAny = false
        for type in types where try add(type, object, from, to, &automaton) { hasAny = true }
        return hasAny
    }

    mutating func add(
        _ type: String, _ object: JSONObject, _ from: State, _ to: State,
        _ automaton: inout ByteAutomaton
    ) throws(LanguageError) -> Bool {
        switch type {
        case "null": try automaton.add(from, "null", to)
        case "boolean":
            try automaton.add(from, "true", to)
            try automaton.add(from, "false", to)
        case "integer": try number(from, to, isWhole: true, &automaton)
        case "number": try number(from, to, isWhole: false, &automaton)
        case "string": try string(object, from, to, &automaton)
        case "object": return try properties(object, from, to, &automaton)
        case "array": return try items(object, from, to, &automaton)
        default: throw fail("type: '\(type)' is not known")
        }
        return true
    }
}
