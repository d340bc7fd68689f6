// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// A schema and where it stands.
struct LocatedSchema: Sendable {
    var value: JSONValue
    /// A JSON pointer, `#` for the whole.
    var pointer: String

    func member(_ name: String, _ value: JSONValue) -> LocatedSchema {
        LocatedSchema(value: value, pointer: "\(pointer)/\(LocatedSchema.escaped(name))")
    }

    func member(_ name: String, _ key: String, _ value: JSONValue) -> LocatedSchema {
        member(name, value).member(key, value)
    }

    private static func escaped(_ name: String) -> String {
        var result = ""
        for scalar in name.unicodeScalars {
            switch scalar {
            case "~": result += "~0"
            case "/": result += "~1"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    func fail(_ message: String) -> LanguageError {
        LanguageError(.invalidInput, "schema, '\(pointer.prefix(256))': \(message)")
    }

    func exceeds(_ message: String) -> LanguageError {
        LanguageError(.limitExceeded, "schema, '\(pointer.prefix(256))': \(message)")
    }
}

/// What a value must be, put together of all schemas that apply to it at once; alternatives are
/// further shapes.
struct SchemaShape: Sendable {
    /// A limit of numbers.
    struct Bound: Sendable {
        var value: JSONValue
        var isExclusive: Bool

        var number: Double { value.doubleValue ?? 0 }
    }

    /// One schema's word on an object's members; `additionalProperties` is about its own others.
    struct Members: Sendable {
        var named: [String: LocatedSchema] = [:]
        var patterns: [(pattern: String, schema: LocatedSchema)] = []
        var others: LocatedSchema?
    }

    /// One schema's word on an array's elements.
    struct Elements: Sendable {
        var first: [LocatedSchema] = []
        var rest: LocatedSchema?
    }

    /// Nil for all.
    var types: Set<String>?
    var values: [JSONValue]?
    var patterns: [String] = []
    var formats: [String] = []
    var lengthMin = 0
    var lengthMax: Int?
    var low: Bound?
    var high: Bound?
    /// Of a whole number; 0 for one that is too large.
    var multiple: Int64?
    var members: [Members] = []
    /// In the order that schemas name them.
    var names: [String] = []
    var required: [String] = []
    var membersMin = 0
    var membersMax: Int?
    var nameSchemas: [LocatedSchema] = []
    var elements: [Elements] = []
    var elementsMin = 0
    var elementsMax: Int?
    var hasUniqueElements = false
    /// No others than those with names.
    var isClosed = false

    static let allTypes: Set<String> = [
        "null", "boolean", "number", "string", "array", "object",
    ]

    // MARK: Putting together

    /// Both at once.
    func intersection(_ other: SchemaShape) -> SchemaShape {
        var result = self
        result.types = SchemaShape.common(types, other.types)
        if let more = other.values {
            result.values = values.map { $0.filter(more.contains) } ?? more
        }
        result.patterns += other.patterns.filter { !patterns.contains($0) }
        result.formats += other.formats.filter { !formats.contains($0) }
        result.lengthMin = max(lengthMin, other.lengthMin)
        result.lengthMax = SchemaShape.least(lengthMax, other.lengthMax)
        result.low = SchemaShape.tighter(low, other.low) { $0 > $1 }
        result.high = SchemaShape.tighter(high, other.high) { $0 < $1 }
        result.multiple = SchemaShape.commonMultiple(multiple, other.multiple)
        result.members += other.members
        result.names += other.names.filter { !names.contains($0) }
        result.required += other.required.filter { !required.contains($0) }
        result.membersMin = max(membersMin, other.membersMin)
        result.membersMax = SchemaShape.least(membersMax, other.membersMax)
        result.nameSchemas += other.nameSchemas
        result.elements += other.elements
        result.elementsMin = max(elementsMin, other.elementsMin)
        result.elementsMax = SchemaShape.least(elementsMax, other.elementsMax)
        result.hasUniqueElements = hasUniqueElements || other.hasUniqueElements
        result.isClosed = isClosed || other.isClosed
        return result
    }

    private static func common(_ left: Set<String>?, _ right: Set<String>?) -> Set<String>? {
        guard let left else { return right }
        guard let right else { return left }
        var both = left.intersection(right)
        // Whole numbers are numbers.
        if left.contains("integer") && right.contains("number")
            || right.contains("integer") && left.contains("number")
        {
            if !both.contains("number") { both.insert("integer") }
        }
        return both
    }

    private static func least(_ left: Int?, _ right: Int?) -> Int? {
        guard let left else { return right }
        return min(left, right ?? left)
    }

    private static func tighter(
        _ left: Bound?, _ right: Bound?, _ precedes: (Double, Double) -> Bool
    ) -> Bound? {
        guard let left else { return right }
        guard let right else { return left }
        if case .integer(let first) = left.value, case .integer(let second) = right.value,
            first != second
        {
            return precedes(first > second ? 1 : 0, first > second ? 0 : 1) ? left : right
        }
        if left.number == right.number { return left.isExclusive ? left : right }
        return precedes(left.number, right.number) ? left : right
    }

    /// 0 where it is too large to be of use.
    private static func commonMultiple(_ left: Int64?, _ right: Int64?) -> Int64? {
        guard let left, let right else { return left ?? right }
        guard left > 0, right > 0 else { return 0 }
        var (large, small) = (left, right)
        while small != 0 { (large, small) = (small, large % small) }
        let (result, overflow) = (left / large).multipliedReportingOverflow(by: right)
        return overflow ? 0 : result
    }

    // MARK: Members and elements

    /// What a member of a name must be.
    /// - Parameter matches: whether a pattern is found in the name.
    func schemas(
        _ name: String, _ matches: (String) throws(LanguageError) -> Bool
    ) throws(LanguageError) -> [LocatedSchema] {
        var all: [LocatedSchema] = []
        for part in members {
            var isNamed = false
            if let schema = part.named[name] {
                all.append(schema)
                isNamed = true
            }
            for (pattern, schema) in part.patterns where try matches(pattern) {
                all.append(schema)
                isNamed = true
            }
            if !isNamed, let others = part.others { all.append(others) }
        }
        return all
    }

    /// What an array's element must be.
    func schemas(_ index: Int) -> [LocatedSchema] {
        elements.compactMap { index < $0.first.count ? $0.first[index] : $0.rest }
    }

    /// Elements from here on are alike.
    var firstCount: Int { elements.map(\.first.count).max() ?? 0 }

    /// The types that there are answers of: where none is given, those that something is said of.
    var impliedTypes: Set<String>? {
        if let types { return types }
        if !members.isEmpty || !required.isEmpty || membersMin > 0 || membersMax != nil
            || !nameSchemas.isEmpty
        {
            return ["object"]
        }
        if !elements.isEmpty || elementsMin > 0 || elementsMax != nil { return ["array"] }
        if !patterns.isEmpty || lengthMin > 0 || lengthMax != nil || !formats.isEmpty {
            return ["string"]
        }
        return low != nil || high != nil || multiple != nil ? ["number"] : nil
    }
}
