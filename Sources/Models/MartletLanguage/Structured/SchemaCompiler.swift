// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Builds the automaton of what a JSON Schema allows.
///
/// Properties come in the schema's order, others only where the schema names none. Definitions that
/// contain themselves and values of no given type are rules that call themselves. Limits of
/// numbers, `format` and `not` are not enforced.
struct SchemaCompiler {
    private typealias State = ByteAutomaton.State

    private let root: JSONValue
    private var depth = 0
    /// Schemas inside one another, definitions included.
    private static let depthMax = 24
    private static let countMax = 256
    private static let propertyCountMax = 512
    /// The rules of definitions, by reference.
    private var rules: [String: Int] = [:]
    private var anyRule: Int?

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

    private func fail(_ message: String) -> LanguageError {
        LanguageError(.invalidInput, "schema: \(message)")
    }

    /// - Returns: false when nothing fits; a definition's rule may turn out so later on.
    private mutating func add(
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

    private mutating func follow(
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
    private func merged(
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

    private mutating func typed(
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

    private mutating func add(
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

    // MARK: Scalars

    /// Nothing, a space, or a new line with its margin.
    private mutating func space(
        _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        automaton.join(from, to)
        automaton.add(from, 0x20...0x20, to)
        let line = try automaton.makeState()
        automaton.add(from, 0x0A...0x0A, line)
        automaton.add(line, 0x20...0x20, line)
        automaton.join(line, to)
    }

    private mutating func number(
        _ from: State, _ to: State, isWhole: Bool, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let pattern = #"-?(0|[1-9][0-9]{0,17})"#
        try RegexCompiler.add(
            isWhole ? pattern : pattern + #"(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?"#, from, to,
            to: &automaton)
    }

    /// One character of a string's inside.
    private func character(
        _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        automaton.add(from, 0x20...0x21, to)
        automaton.add(from, 0x23...0x5B, to)
        automaton.add(from, 0x5D...0x7F, to)
        try automaton.addWide(from, to)
        let escape = try automaton.makeState()
        automaton.add(from, 0x5C...0x5C, escape)
        for byte in "\"\\/bfnrt".utf8 { automaton.add(escape, byte...byte, to) }
        // Code points of the basic plane that are no surrogates.
        let hex = #"[0-9a-cA-Ce-fE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"#
        let code = try automaton.makeState()
        automaton.add(escape, UInt8(ascii: "u")...UInt8(ascii: "u"), code)
        try RegexCompiler.add(hex, code, to, to: &automaton)
    }

    private mutating func string(
        _ object: JSONObject, _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let begin = try automaton.makeState()
        let finish = try automaton.makeState()
        automaton.add(from, 0x22...0x22, begin)
        automaton.add(finish, 0x22...0x22, to)
        if let pattern = object["pattern"]?.stringValue {
            // Not anchored patterns may have anything around them; that is cut off here.
            return try RegexCompiler.add(pattern, begin, finish, to: &automaton)
        }
        let least = max(object["minLength"]?.intValue ?? 0, 0)
        let most = object["maxLength"]?.intValue
        guard least <= SchemaCompiler.countMax, most ?? 0 <= 4 * SchemaCompiler.countMax else {
            // Too long to count: any length.
            return try characters(begin, finish, least: 0, most: nil, &automaton)
        }
        try characters(begin, finish, least: least, most: most, &automaton)
    }

    private func characters(
        _ from: State, _ to: State, least: Int, most: Int?, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        var last = from
        for _ in 0..<least {
            let next = try automaton.makeState()
            try character(last, next, &automaton)
            last = next
        }
        if let most {
            for _ in least..<max(most, least) {
                automaton.join(last, to)
                let next = try automaton.makeState()
                try character(last, next, &automaton)
                last = next
            }
        } else {
            let loop = try automaton.makeState()
            automaton.join(last, loop)
            try character(loop, loop, &automaton)
            last = loop
        }
        automaton.join(last, to)
    }

    // MARK: Containers

    private mutating func properties(
        _ object: JSONObject, _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) -> Bool {
        guard let members = object["properties"]?.objectValue, !members.isEmpty else {
            if object["additionalProperties"] == false {
                try automaton.add(from, "{}", to)
            } else {
                try self.object(
                    from, to, &automaton, value: object["additionalProperties"])
            }
            return true
        }
        guard members.count <= SchemaCompiler.propertyCountMax else {
            throw fail("more than \(SchemaCompiler.propertyCountMax) properties")
        }
        let required = Set((object["required"]?.arrayValue ?? []).compactMap(\.stringValue))
        // Nothing written so far, and something.
        var empty: State? = try automaton.makeState()
        var filled = try automaton.makeState()
        let inside = try automaton.makeState()
        if let empty { try space(inside, empty, &automaton) }
        for (name, schema) in members {
            let key = try automaton.makeState()
            let value = try automaton.makeState()
            let after = try automaton.makeState()
            // Nothing may lead to a value that cannot end.
            guard try add(schema, value, after, &automaton) else {
                if required.contains(name) { return false }
                continue
            }
            if let empty { automaton.join(empty, key) }
            let comma = try automaton.makeState()
            automaton.add(filled, 0x2C...0x2C, comma)
            try space(comma, key, &automaton)
            let colon = try automaton.makeState()
            try automaton.add(key, JSONValue.string(name).serialized() + [0x3A], colon)
            try space(colon, value, &automaton)
            if required.contains(name) {
                empty = nil
            } else {
                automaton.join(filled, after)
                if let old = empty {
                    let next = try automaton.makeState()
                    automaton.join(old, next)
                    empty = next
                }
            }
            filled = after
        }
        let close = try automaton.makeState()
        try space(filled, close, &automaton)
        if let empty { automaton.join(empty, close) }
        automaton.add(close, 0x7D...0x7D, to)
        automaton.add(from, 0x7B...0x7B, inside)
        return true
    }

    private mutating func items(
        _ object: JSONObject, _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) -> Bool {
        let first = object["prefixItems"]?.arrayValue ?? []
        let least = max(object["minItems"]?.intValue ?? 0, first.count)
        let most = object["maxItems"]?.intValue
        guard least <= SchemaCompiler.countMax, most ?? 0 <= SchemaCompiler.countMax,
            most ?? least >= least
        else { throw fail("items: a count that is none, or over \(SchemaCompiler.countMax)") }
        let rest = object["items"] ?? .bool(true)
        var place = try automaton.makeState()
        let inside = try automaton.makeState()
        try space(inside, place, &automaton)
        let close = try automaton.makeState()
        automaton.add(close, 0x5D...0x5D, to)
        // Adds no way from `from` when the element is impossible.
        func element(
            _ compiler: inout SchemaCompiler, _ index: Int, _ from: State, _ to: State,
            _ automaton: inout ByteAutomaton
        ) throws(LanguageError) -> Bool {
            let begin = try automaton.makeState()
            guard
                try compiler.add(
                    index < first.count ? first[index] : rest, begin, to, &automaton)
            else { return false }
            if index > 0 {
                let comma = try automaton.makeState()
                automaton.add(from, 0x2C...0x2C, comma)
                try compiler.space(comma, begin, &automaton)
            } else {
                automaton.join(from, begin)
            }
            return true
        }
        var index = 0
        while index < max(least, most ?? max(least, 1)) {
            if index >= least { try space(place, close, &automaton) }
            let next = try automaton.makeState()
            guard try element(&self, index, place, next, &automaton) else {
                guard index >= least else { return false }
                automaton.add(from, 0x5B...0x5B, inside)
                return true
            }
            place = next
            index += 1
        }
        try space(place, close, &automaton)
        if most == nil, rest != .bool(false) {
            // Back to where one more may follow.
            let again = try automaton.makeState()
            if try element(&self, max(index, 1), place, again, &automaton) {
                automaton.join(again, place)
            }
        }
        automaton.add(from, 0x5B...0x5B, inside)
        return true
    }

    /// Any value: a rule that containers call for what is in them.
    private mutating func any(
        _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        if let anyRule {
            automaton.call(anyRule, from, to)
            return
        }
        let rule = try automaton.makeRule()
        anyRule = rule
        automaton.call(rule, from, to)
        let (from, to) = (automaton.rules[rule].start, automaton.rules[rule].end)
        for text in ["null", "true", "false"] { try automaton.add(from, text, to) }
        try number(from, to, isWhole: false, &automaton)
        try string(JSONObject(), from, to, &automaton)
        try object(from, to, &automaton)
        let open = try automaton.makeState()
        let element = try automaton.makeState()
        let after = try automaton.makeState()
        let close = try automaton.makeState()
        let value = try automaton.makeState()
        automaton.add(from, 0x5B...0x5B, open)
        try space(open, element, &automaton)
        automaton.add(element, 0x5D...0x5D, to)
        automaton.join(element, value)
        try any(value, after, &automaton)
        let comma = try automaton.makeState()
        automaton.add(after, 0x2C...0x2C, comma)
        try space(comma, value, &automaton)
        try space(after, close, &automaton)
        automaton.add(close, 0x5D...0x5D, to)
    }

    /// An object with any names.
    private mutating func object(
        _ from: State, _ to: State, _ automaton: inout ByteAutomaton,
        value schema: JSONValue? = nil
    ) throws(LanguageError) {
        let open = try automaton.makeState()
        let first = try automaton.makeState()
        let key = try automaton.makeState()
        let colon = try automaton.makeState()
        let named = try automaton.makeState()
        let value = try automaton.makeState()
        let after = try automaton.makeState()
        let close = try automaton.makeState()
        automaton.add(from, 0x7B...0x7B, open)
        try space(open, first, &automaton)
        automaton.add(first, 0x7D...0x7D, to)
        automaton.join(first, key)
        try string(JSONObject(), key, named, &automaton)
        automaton.add(named, 0x3A...0x3A, colon)
        try space(colon, value, &automaton)
        if let schema, schema != .bool(true) {
            _ = try add(schema, value, after, &automaton)
        } else {
            try any(value, after, &automaton)
        }
        let comma = try automaton.makeState()
        automaton.add(after, 0x2C...0x2C, comma)
        try space(comma, key, &automaton)
        try space(after, close, &automaton)
        automaton.add(close, 0x7D...0x7D, to)
    }
}
