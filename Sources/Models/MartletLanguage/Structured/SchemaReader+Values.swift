// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Whether values fit, and whether options exclude one another.
extension SchemaReader {
    /// Whether a value fits all of the schemas.
    mutating func fits(
        _ value: JSONValue, _ schemas: [LocatedSchema]
    ) throws(LanguageError) -> Bool {
        for schema in schemas {
            var isOne = false
            for shape in try shapes(schema) where try fits(value, shape, schema) {
                isOne = true
                break
            }
            if !isOne { return false }
        }
        return true
    }

    mutating func fits(
        _ value: JSONValue, _ shape: SchemaShape, _ schema: LocatedSchema
    ) throws(LanguageError) -> Bool {
        if let types = shape.types, !SchemaReader.types(value).contains(where: types.contains) {
            return false
        }
        if let values = shape.values, !values.contains(value) { return false }
        switch value {
        case .integer, .number: return fits(number: value, shape)
        case .string(let text):
            let count = text.unicodeScalars.count
            guard count >= shape.lengthMin, count <= shape.lengthMax ?? count else { return false }
            for pattern in shape.patterns where try !matches(pattern, text, schema) {
                return false
            }
            return true
        case .array(let elements):
            guard elements.count >= shape.elementsMin,
                elements.count <= shape.elementsMax ?? elements.count
            else { return false }
            if shape.hasUniqueElements, Set(elements).count < elements.count { return false }
            for (index, element) in elements.enumerated()
            where try !fits(element, shape.schemas(index)) {
                return false
            }
            return true
        case .object(let object): return try fits(object, shape, schema)
        case .null, .bool: return true
        }
    }

    private mutating func fits(
        _ object: JSONObject, _ shape: SchemaShape, _ schema: LocatedSchema
    ) throws(LanguageError) -> Bool {
        guard object.count >= shape.membersMin, object.count <= shape.membersMax ?? object.count,
            shape.required.allSatisfy({ object[$0] != nil })
        else { return false }
        if shape.isClosed, object.keys.contains(where: { !shape.names.contains($0) }) {
            return false
        }
        for (name, member) in object {
            guard try fits(.string(name), shape.nameSchemas) else { return false }
            var reader = self
            let schemas = try shape.schemas(name) { pattern throws(LanguageError) in
                try reader.matches(pattern, name, schema)
            }
            self = reader
            guard try fits(member, schemas) else { return false }
        }
        return true
    }

    private func fits(number value: JSONValue, _ shape: SchemaShape) -> Bool {
        guard let number = value.doubleValue else { return false }
        if let low = shape.low {
            guard number > low.number || number == low.number && !low.isExclusive else {
                return false
            }
        }
        if let high = shape.high {
            guard number < high.number || number == high.number && !high.isExclusive else {
                return false
            }
        }
        guard let multiple = shape.multiple else { return true }
        guard let whole = value.intValue, multiple > 0 else { return false }
        return Int64(whole) % multiple == 0
    }

    private static func types(_ value: JSONValue) -> [String] {
        switch value {
        case .null: ["null"]
        case .bool: ["boolean"]
        case .string: ["string"]
        case .array: ["array"]
        case .object: ["object"]
        case .integer: ["integer", "number"]
        case .number: value.intValue == nil ? ["number"] : ["integer", "number"]
        }
    }

    // MARK: oneOf

    /// The options of a `oneOf`, no value of which fits another's: as they are, or with a property
    /// that tells them apart asked for.
    /// - Throws: `LanguageError` where nothing shows that they exclude one another.
    mutating func distinct(
        _ value: JSONValue, _ schema: LocatedSchema, _ depth: Int
    ) throws(LanguageError) -> [LocatedSchema] {
        let options = try options("oneOf", value, schema)
        guard options.count <= 64 else {
            throw schema.member("oneOf", value).exceeds("more than 64 options")
        }
        var all: [[SchemaShape]] = []
        for option in options { all.append(try shapes(option, depth: depth + 1)) }
        if try areDistinct(all, schema, asking: nil) { return options }
        for name in all.first?.first?.names ?? [] {
            guard try areDistinct(all, schema, asking: name) else { continue }
            return options.map { option in
                LocatedSchema(
                    value: ["allOf": [option.value], "required": [.string(name)]],
                    pointer: option.pointer + "+" + name)
            }
        }
        throw schema.member("oneOf", value).fail(
            "nothing shows that a value fits one of its options only; 'anyOf' is supported")
    }

    private mutating func areDistinct(
        _ options: [[SchemaShape]], _ schema: LocatedSchema, asking name: String?
    ) throws(LanguageError) -> Bool {
        for first in options.indices {
            for second in options.indices where second > first {
                for left in options[first] {
                    for right in options[second]
                    where try !excludes(left, right, schema, asking: name) {
                        return false
                    }
                }
            }
        }
        return true
    }

    private mutating func excludes(
        _ left: SchemaShape, _ right: SchemaShape, _ schema: LocatedSchema, asking name: String?
    ) throws(LanguageError) -> Bool {
        if let values = left.values {
            for value in values {
                guard try fits(value, left, schema) else { continue }
                if try fits(value, right, schema) { return false }
            }
            return true
        }
        if right.values != nil { return try excludes(right, left, schema, asking: name) }
        let both = left.intersection(right)
        var types = both.types ?? SchemaShape.allTypes
        if types.contains("integer") || types.contains("number"), let low = both.low,
            let high = both.high,
            low.number > high.number
                || low.number == high.number && (low.isExclusive || high.isExclusive)
        {
            types.subtract(["integer", "number"])
        }
        if let most = both.lengthMax, most < both.lengthMin { types.remove("string") }
        if let most = both.elementsMax, most < both.elementsMin { types.remove("array") }
        if types.contains("object") {
            // Spelled out by what they ask for: a property that cannot be both.
            for key in both.required + (name.map { [$0] } ?? []) {
                guard let one = try constants(left, key, schema),
                    let other = try constants(right, key, schema)
                else { continue }
                if !one.contains(where: other.contains) {
                    types.remove("object")
                    break
                }
            }
        }
        return types.isEmpty
    }

    /// The values that a property may have; nil where they are not listed.
    private mutating func constants(
        _ shape: SchemaShape, _ name: String, _ schema: LocatedSchema
    ) throws(LanguageError) -> [JSONValue]? {
        var reader = self
        let schemas = try shape.schemas(name) { pattern throws(LanguageError) in
            try reader.matches(pattern, name, schema)
        }
        var all: [JSONValue] = []
        let shapes = try reader.shapes(schemas)
        self = reader
        for shape in shapes {
            guard let values = shape.values else { return nil }
            all += values
        }
        return all
    }
}
