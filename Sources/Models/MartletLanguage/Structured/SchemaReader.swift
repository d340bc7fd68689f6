// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Reads schemas into shapes: references followed, alternatives spread out, every keyword either
/// understood or refused.
struct SchemaReader {
    /// Schemas that refer to one another before anything is said of a value.
    private static let depthMax = 64
    private static let shapeCountMax = 256
    /// Schemas that are read and put together in all, each time they are needed.
    private static let workMax = 20_000

    let root: JSONValue
    private var work = 0
    private var matchers: [String: TextMatcher] = [:]

    init(root: JSONValue) { self.root = root }

    /// Keywords that say nothing of whether a value fits.
    private static let remarks: Set<String> = [
        "title", "description", "default", "examples", "example", "deprecated", "readOnly",
        "writeOnly", "$schema", "$id", "id", "$comment", "$defs", "definitions", "$anchor",
        "discriminator", "nullable", "contentEncoding", "contentMediaType", "contentSchema",
        "strict", "$vocabulary",
    ]

    /// Keywords that would narrow what fits in ways that are not built.
    private static let refused: Set<String> = [
        "not", "if", "then", "else", "contains", "minContains", "maxContains",
        "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedItems",
        "$dynamicRef", "$recursiveRef",
    ]

    /// Whether a schema says nothing but this.
    static func isOnly(_ keyword: String, _ object: JSONObject) -> Bool {
        object.keys.allSatisfy { $0 == keyword || remarks.contains($0) }
    }

    // MARK: Shapes

    /// The shapes of values that fit one of which; none where nothing fits.
    mutating func shapes(
        _ schema: LocatedSchema, depth: Int = 0
    ) throws(LanguageError) -> [SchemaShape] {
        work += 1
        guard depth < SchemaReader.depthMax, work < SchemaReader.workMax else {
            throw schema.exceeds(
                "its references lead to more than \(SchemaReader.depthMax) schemas inside one "
                    + "another, or to themselves")
        }
        if case .bool(let allows) = schema.value { return allows ? [SchemaShape()] : [] }
        guard case .object(let object) = schema.value else {
            throw schema.fail("expected an object, found \(schema.value.kind.rawValue)")
        }
        var result = [try own(object, schema)]
        for (key, value) in object {
            switch key {
            case "$ref":
                result = try spread(
                    result, shapes(try target(value, schema), depth: depth + 1), schema)
            case "allOf":
                for option in try options(key, value, schema) {
                    result = try spread(result, shapes(option, depth: depth + 1), schema)
                }
            case "anyOf", "oneOf":
                let options =
                    key == "oneOf"
                    ? try distinct(value, schema, depth) : try options(key, value, schema)
                var all: [SchemaShape] = []
                for option in options { all += try shapes(option, depth: depth + 1) }
                result = try spread(result, all, schema)
            default: break
            }
        }
        return result
    }

    /// The shapes of values that fit all of the schemas.
    mutating func shapes(_ schemas: [LocatedSchema]) throws(LanguageError) -> [SchemaShape] {
        var result = [SchemaShape()]
        for schema in schemas { result = try spread(result, try shapes(schema), schema) }
        return result
    }

    private mutating func spread(
        _ left: [SchemaShape], _ right: [SchemaShape], _ schema: LocatedSchema
    ) throws(LanguageError) -> [SchemaShape] {
        guard left.count * right.count <= SchemaReader.shapeCountMax else {
            throw schema.exceeds(
                "more than \(SchemaReader.shapeCountMax) ways to choose between its options")
        }
        work += left.count * right.count
        return left.flatMap { one in right.map { one.intersection($0) } }
    }

    func options(
        _ keyword: String, _ value: JSONValue, _ schema: LocatedSchema
    ) throws(LanguageError) -> [LocatedSchema] {
        guard let options = value.arrayValue, !options.isEmpty else {
            throw schema.member(keyword, value).fail("expected a list of schemas")
        }
        return options.enumerated().map { schema.member(keyword, "\($0)", $1) }
    }

    /// What a reference names.
    func target(
        _ reference: JSONValue, _ schema: LocatedSchema
    ) throws(LanguageError) -> LocatedSchema {
        let place = schema.member("$ref", reference)
        guard let text = reference.stringValue else { throw place.fail("expected a string") }
        guard text.utf8.first == UInt8(ascii: "#"), let path = text.dropFirst().percentDecoded,
            path.isEmpty || path.hasPrefix("/")
        else {
            throw place.fail(
                "'\(text.prefix(200))' is no pointer into the schema: "
                    + "only those, as '#/$defs/name', are followed")
        }
        var found = LocatedSchema(value: root, pointer: "#")
        for part in path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            let name = String(part).pointerDecoded
            let next = found.value[name] ?? Int(name).flatMap { found.value[$0] }
            guard let next else { throw place.fail("'\(text.prefix(200))' is not in the schema") }
            found = found.member(name, next)
        }
        return found
    }

    // MARK: Keywords

    private mutating func own(
        _ object: JSONObject, _ schema: LocatedSchema
    ) throws(LanguageError) -> SchemaShape {
        var shape = SchemaShape()
        var keywords = SchemaKeywords(schema)
        for (key, value) in object {
            if SchemaReader.remarks.contains(key) { continue }
            if SchemaReader.refused.contains(key) {
                throw schema.member(key, value).fail("'\(key)' is not supported")
            }
            try keywords.read(key, value, &shape)
        }
        try keywords.finish(object, &shape)
        return shape
    }

    // MARK: Patterns

    /// Whether a pattern is found in a text.
    mutating func matches(
        _ pattern: String, _ text: String, _ schema: LocatedSchema
    ) throws(LanguageError) -> Bool {
        if let known = matchers[pattern] { return known.matches(text) }
        let made: TextMatcher
        do throws(LanguageError) {
            made = try TextMatcher(RegexCompiler.parse(pattern, searches: true))
        } catch {
            throw LanguageError(
                error.code, "schema, '\(schema.pointer.prefix(256))': \(error.message)")
        }
        matchers[pattern] = made
        return made.matches(text)
    }
}

/// Whether texts are a pattern's.
private struct TextMatcher: Sendable {
    private let automaton: ByteAutomaton

    init(_ pattern: TextPattern) throws(LanguageError) {
        var automaton = ByteAutomaton(stateCountMax: 20_000, edgeCountMax: 100_000)
        try automaton.add(automaton.start, pattern, automaton.end)
        self.automaton = automaton
    }

    func matches(_ text: String) -> Bool {
        var places: Set<ByteAutomaton.State> = closure([automaton.start])
        for byte in text.utf8.prefix(4096) {
            var next: Set<ByteAutomaton.State> = []
            for place in places {
                for edge in automaton.edges[Int(place)] where edge.low <= byte && byte <= edge.high
                {
                    next.insert(edge.target)
                }
            }
            places = closure(next)
        }
        return text.utf8.count <= 4096 && places.contains(automaton.end)
    }

    private func closure(_ places: Set<ByteAutomaton.State>) -> Set<ByteAutomaton.State> {
        var all = places
        var open = Array(places)
        while let place = open.popLast() {
            for target in automaton.silent[Int(place)] where all.insert(target).inserted {
                open.append(target)
            }
        }
        return all
    }
}

extension StringProtocol {
    /// Nil for a percent sign without two digits, or bytes that are no text.
    fileprivate var percentDecoded: String? {
        guard utf8.contains(UInt8(ascii: "%")) else { return String(self) }
        let source = Array(utf8)
        var bytes: [UInt8] = []
        var place = 0
        while place < source.count {
            guard source[place] == UInt8(ascii: "%") else {
                bytes.append(source[place])
                place += 1
                continue
            }
            guard place + 2 < source.count,
                let byte = UInt8(
                    String(decoding: source[place + 1...place + 2], as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(byte)
            place += 3
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

extension String {
    /// `~1` is a slash in a pointer, `~0` a tilde.
    fileprivate var pointerDecoded: String {
        guard utf8.contains(UInt8(ascii: "~")) else { return self }
        var result = ""
        var isEscape = false
        for scalar in unicodeScalars {
            if isEscape {
                result += scalar == "1" ? "/" : scalar == "0" ? "~" : "~\(scalar)"
                isEscape = false
            } else if scalar == "~" {
                isEscape = true
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return isEscape ? result + "~" : result
    }
}
