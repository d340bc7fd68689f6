// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// One schema's keywords, read into a shape.
struct SchemaKeywords {
    private static let propertyCountMax = 512
    private static let valueCountMax = 4096

    private let schema: LocatedSchema
    private var members: SchemaShape.Members?
    private var elements: SchemaShape.Elements?

    init(_ schema: LocatedSchema) { self.schema = schema }

    /// - Throws: `LanguageError` with the pointer of what is not as it must be. Names that JSON
    ///   Schema does not have are passed over, as it says.
    mutating func read(
        _ key: String, _ value: JSONValue, _ shape: inout SchemaShape
    ) throws(LanguageError) {
        let place = schema.member(key, value)
        switch key {
        case "type": shape.types = try SchemaKeywords.types(place)
        case "const": narrow(&shape, [value])
        case "enum":
            guard let values = value.arrayValue, values.count <= SchemaKeywords.valueCountMax
            else {
                throw place.fail("expected a list of at most \(SchemaKeywords.valueCountMax)")
            }
            narrow(&shape, values)
        case "pattern": shape.patterns = [try text(place)]
        case "format": shape.formats = [try text(place)]
        case "minLength": shape.lengthMin = try count(place)
        case "maxLength": shape.lengthMax = try count(place)
        case "minItems": shape.elementsMin = try count(place)
        case "maxItems": shape.elementsMax = try count(place)
        case "minProperties": shape.membersMin = try count(place)
        case "maxProperties": shape.membersMax = try count(place)
        case "uniqueItems":
            guard let flag = value.boolValue else { throw place.fail("expected a boolean") }
            shape.hasUniqueElements = flag
        case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
            try readNumber(place, key, &shape)
        case "properties", "patternProperties", "additionalProperties", "propertyNames",
            "required", "unevaluatedProperties":
            try readMembers(place, key, &shape)
        case "prefixItems", "items", "additionalItems": try readElements(place, key)
        default: break
        }
    }

    func finish(_ object: JSONObject, _ shape: inout SchemaShape) throws(LanguageError) {
        if let members { shape.members = [members] }
        if var elements {
            // Before `prefixItems` there were lists of `items`, and `additionalItems` behind them.
            if object["items"]?.arrayValue == nil, object["additionalItems"] != nil {
                elements.rest = object["items"].map { schema.member("items", $0) }
            }
            shape.elements = [elements]
        }
    }

    private func narrow(_ shape: inout SchemaShape, _ values: [JSONValue]) {
        shape.values = shape.values.map { $0.filter(values.contains) } ?? values
    }

    private static func types(_ place: LocatedSchema) throws(LanguageError) -> Set<String> {
        var names: [String] = []
        switch place.value {
        case .string(let name): names = [name]
        case .array(let values) where values.allSatisfy { $0.stringValue != nil }:
            names = values.compactMap(\.stringValue)
        default: throw place.fail("expected a name or a list of names")
        }
        for name in names where !SchemaShape.allTypes.contains(name) && name != "integer" {
            throw place.fail("'\(name.prefix(64))' is no type")
        }
        return names.contains("number") ? Set(names).subtracting(["integer"]) : Set(names)
    }

    private func text(_ place: LocatedSchema) throws(LanguageError) -> String {
        guard let text = place.value.stringValue else { throw place.fail("expected a string") }
        return text
    }

    private func count(_ place: LocatedSchema) throws(LanguageError) -> Int {
        guard let count = place.value.intValue, count >= 0 else {
            throw place.fail("expected a whole number of at least 0")
        }
        return count
    }

    private func readNumber(
        _ place: LocatedSchema, _ key: String, _ shape: inout SchemaShape
    ) throws(LanguageError) {
        // Draft 4 has flags for the limits that are not part of the range.
        if let flag = place.value.boolValue, key.hasPrefix("exclusive") {
            guard flag else { return }
            if key == "exclusiveMinimum" { shape.low?.isExclusive = true }
            if key == "exclusiveMaximum" { shape.high?.isExclusive = true }
            let other = key == "exclusiveMinimum" ? "minimum" : "maximum"
            guard let limit = schema.value[other], limit.doubleValue != nil else {
                throw place.fail("expected '\(other)' beside it")
            }
            let bound = SchemaShape.Bound(value: limit, isExclusive: true)
            if key == "exclusiveMinimum" { shape.low = bound } else { shape.high = bound }
            return
        }
        guard let number = place.value.doubleValue, number.isFinite else {
            throw place.fail("expected a number")
        }
        if key == "multipleOf" {
            guard let whole = place.value.intValue, whole >= 1 else {
                throw place.fail(
                    "multiples of \(place.value) are not supported, only of whole "
                        + "numbers from 1")
            }
            shape.multiple = Int64(whole)
            return
        }
        let bound = SchemaShape.Bound(
            value: place.value, isExclusive: key.hasPrefix("exclusive"))
        var other = SchemaShape()
        if key.hasSuffix("inimum") { other.low = bound } else { other.high = bound }
        let both = shape.intersection(other)
        (shape.low, shape.high) = (both.low, both.high)
    }

    private mutating func readMembers(
        _ place: LocatedSchema, _ key: String, _ shape: inout SchemaShape
    ) throws(LanguageError) {
        var members = members ?? SchemaShape.Members()
        switch key {
        case "properties", "patternProperties":
            guard let object = place.value.objectValue else {
                throw place.fail("expected an object")
            }
            guard object.count <= SchemaKeywords.propertyCountMax else {
                throw place.exceeds("more than \(SchemaKeywords.propertyCountMax) properties")
            }
            for (name, value) in object {
                if key == "properties" {
                    members.named[name] = place.member(name, value)
                    if !shape.names.contains(name) { shape.names.append(name) }
                } else {
                    members.patterns.append((name, place.member(name, value)))
                }
            }
        case "additionalProperties": members.others = place
        case "propertyNames": shape.nameSchemas = [place]
        case "unevaluatedProperties":
            guard let flag = place.value.boolValue else {
                throw place.fail("'\(key)' is supported with true and false only")
            }
            shape.isClosed = !flag
        default:
            guard let names = place.value.arrayValue,
                names.allSatisfy({ $0.stringValue != nil }),
                names.count <= SchemaKeywords.propertyCountMax
            else { throw place.fail("expected a list of names") }
            shape.required = names.compactMap(\.stringValue)
        }
        self.members = members
    }

    private mutating func readElements(
        _ place: LocatedSchema, _ key: String
    ) throws(LanguageError) {
        var elements = elements ?? SchemaShape.Elements()
        if let list = place.value.arrayValue, key != "additionalItems" {
            guard list.count <= SchemaKeywords.propertyCountMax else {
                throw place.exceeds("more than \(SchemaKeywords.propertyCountMax) schemas")
            }
            elements.first = list.enumerated().map { place.member("\($0)", $1) }
        } else if key == "prefixItems" {
            throw place.fail("expected a list of schemas")
        } else {
            elements.rest = place
        }
        self.elements = elements
    }
}
