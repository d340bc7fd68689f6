// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Objects, arrays, and values of any kind.
extension SchemaCompiler {
    private typealias Member = (name: String, isRequired: Bool, schemas: [LocatedSchema])

    mutating func object(
        _ shape: SchemaShape, _ schema: LocatedSchema, _ from: State, _ to: State,
        _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let names = shape.names + shape.required.filter { !shape.names.contains($0) }
        guard !names.isEmpty else { return try map(shape, schema, from, to, &automaton) }
        guard let members = try members(names, shape, schema) else { return }
        guard shape.membersMin <= members.count else {
            throw schema.member("minProperties", .null).fail(
                "\(shape.membersMin) is more than the properties with names, and no others are "
                    + "written beside those")
        }
        let requiredCount = members.count { $0.isRequired }
        let most = min(shape.membersMax ?? members.count, members.count)
        let isCounted = shape.membersMin > requiredCount || most < members.count
        let inside = try automaton.makeState()
        let close = try automaton.makeState()
        automaton.add(from, 0x7B...0x7B, inside)
        automaton.add(close, 0x7D...0x7D, to)
        // By how many members were written; only whether there was one matters without limits.
        var places: [State?] = [try automaton.makeState()]
        if let first = places[0] { try space(inside, first, &automaton) }
        for member in members {
            places = try write(member, places, countMax: isCounted ? most : nil, &automaton)
        }
        for (count, place) in places.enumerated() {
            guard let place, !isCounted || count >= shape.membersMin else { continue }
            if count > 0 {
                try space(place, close, &automaton)
            } else {
                automaton.join(place, close)
            }
        }
    }

    /// The members that may be written, in order; nil where one that must be may not.
    private mutating func members(
        _ names: [String], _ shape: SchemaShape, _ schema: LocatedSchema
    ) throws(LanguageError) -> [Member]? {
        var members: [Member] = []
        for name in names {
            let isRequired = shape.required.contains(name)
            var reader = reader
            let schemas = try shape.schemas(name) { pattern throws(LanguageError) in
                try reader.matches(pattern, name, schema)
            }
            self.reader = reader
            if try self.reader.fits(.string(name), shape.nameSchemas) {
                members.append((name, isRequired, schemas))
            } else if isRequired {
                return nil
            }
        }
        return members
    }

    /// Writes a member, or passes it over where it may be.
    /// - Parameters:
    ///   - places: where the members before it end, by how many of them were written.
    ///   - countMax: how many may be written; nil where they need not be counted.
    /// - Returns: the same for the members up to this one.
    private mutating func write(
        _ member: Member, _ places: [State?], countMax: Int?, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) -> [State?] {
        let entry = try automaton.makeRule()
        let ends = automaton.rules[entry]
        let colon = try automaton.makeState()
        let value = try automaton.makeState()
        try automaton.add(ends.start, JSONValue.string(member.name).serialized() + [0x3A], colon)
        try space(colon, value, &automaton)
        try add(member.schemas, value, ends.end, &automaton)
        var next: [State?] = Array(repeating: nil, count: places.count + 1)
        func reach(
            _ count: Int, _ automaton: inout ByteAutomaton
        ) throws(LanguageError) -> State {
            let count = countMax != nil ? count : min(count, 1)
            if let known = next[count] { return known }
            let made = try automaton.makeState()
            next[count] = made
            return made
        }
        for (count, place) in places.enumerated() {
            guard let place else { continue }
            if !member.isRequired { automaton.join(place, try reach(count, &automaton)) }
            if let countMax, count + 1 > countMax { continue }
            var start = place
            if count > 0 {
                let comma = try automaton.makeState()
                start = try automaton.makeState()
                automaton.add(place, 0x2C...0x2C, comma)
                try space(comma, start, &automaton)
            }
            automaton.call(entry, start, try reach(count + 1, &automaton))
        }
        while next.count > 2, next.last == .some(nil) { next.removeLast() }
        return next
    }

    /// An object whose names are not given.
    private mutating func map(
        _ shape: SchemaShape, _ schema: LocatedSchema, _ from: State, _ to: State,
        _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        guard shape.membersMin <= 1 else {
            throw schema.member("minProperties", .null).fail(
                "more than 1 is supported only where the properties have names")
        }
        let patterns = shape.members.flatMap(\.patterns)
        guard patterns.count <= 1 else {
            throw schema.member("patternProperties", .null).fail(
                "more than one pattern is supported only where the properties have names")
        }
        let values = shape.members.compactMap { $0.patterns.first?.schema ?? $0.others }
        let open = try automaton.makeState()
        automaton.add(from, 0x7B...0x7B, open)
        let first = try automaton.makeState()
        try space(open, first, &automaton)
        if shape.membersMin == 0 { automaton.add(first, 0x7D...0x7D, to) }
        guard !shape.isClosed || !values.isEmpty || !patterns.isEmpty, shape.membersMax != 0 else {
            return
        }
        if shape.isClosed, patterns.isEmpty, shape.members.allSatisfy({ $0.others == nil }) {
            return
        }
        let entry = try automaton.makeRule()
        let ends = automaton.rules[entry]
        let named = try automaton.makeState()
        let colon = try automaton.makeState()
        let value = try automaton.makeState()
        for var name in try reader.shapes(shape.nameSchemas) {
            if let types = name.types, !types.contains("string") { continue }
            name.types = ["string"]
            if let pattern = patterns.first { name.patterns.append(pattern.pattern) }
            if let values = name.values {
                name.values = nil
                for value in values where value.stringValue != nil {
                    guard try reader.fits(value, name, schema) else { continue }
                    try automaton.add(ends.start, value.serialized(), named)
                }
            } else {
                try string(name, schema, ends.start, named, &automaton)
            }
        }
        automaton.add(named, 0x3A...0x3A, colon)
        try space(colon, value, &automaton)
        try add(values, value, ends.end, &automaton)
        try list(
            entry, least: max(shape.membersMin, 1), most: shape.membersMax, first, to,
            close: 0x7D, schema.member("maxProperties", .null), &automaton)
    }

    mutating func array(
        _ shape: SchemaShape, _ schema: LocatedSchema, _ from: State, _ to: State,
        _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        guard !shape.hasUniqueElements || shape.elementsMax ?? 2 <= 1 else {
            throw schema.member("uniqueItems", true).fail("'uniqueItems' is not supported")
        }
        guard shape.elementsMin <= SchemaCompiler.countMax else {
            throw schema.member("minItems", .null).exceeds(
                "at most \(SchemaCompiler.countMax) elements can be asked for")
        }
        let open = try automaton.makeState()
        let first = try automaton.makeState()
        automaton.add(from, 0x5B...0x5B, open)
        try space(open, first, &automaton)
        if shape.elementsMin == 0 { automaton.add(first, 0x5D...0x5D, to) }
        var place = first
        let (least, most) = (shape.elementsMin, shape.elementsMax ?? Int.max)
        for index in 0..<min(shape.firstCount, most) {
            let start = try separated(place, index == 0, &automaton)
            let next = try automaton.makeState()
            try add(shape.schemas(index), start, next, &automaton)
            place = next
            if index + 1 >= least {
                let close = try automaton.makeState()
                try space(place, close, &automaton)
                automaton.add(close, 0x5D...0x5D, to)
            }
        }
        guard most > shape.firstCount else { return }
        let element = try automaton.makeRule()
        let ends = automaton.rules[element]
        try add(shape.schemas(shape.firstCount), ends.start, ends.end, &automaton)
        let start = try separated(place, shape.firstCount == 0, &automaton)
        try list(
            element, least: max(least - shape.firstCount, 1),
            most: shape.elementsMax.map { $0 - shape.firstCount }, start, to, close: 0x5D,
            schema.member("maxItems", .null), &automaton)
    }

    /// Behind a comma, unless it is the first.
    private mutating func separated(
        _ place: State, _ isFirst: Bool, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) -> State {
        if isFirst { return place }
        let comma = try automaton.makeState()
        let start = try automaton.makeState()
        automaton.add(place, 0x2C...0x2C, comma)
        try space(comma, start, &automaton)
        return start
    }

    /// One rule so often, with commas between, and the bracket that ends it.
    private mutating func list(
        _ rule: Int, least: Int, most: Int?, _ from: State, _ to: State, close byte: UInt8,
        _ limit: LocatedSchema, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        if let most {
            guard most <= SchemaCompiler.countMax else {
                throw limit.exceeds("more than \(SchemaCompiler.countMax) cannot be counted")
            }
            guard most >= least else { return }
        }
        let close = try automaton.makeState()
        automaton.add(close, byte...byte, to)
        var start = from
        for index in 1...max(least, most ?? least) {
            let after = try automaton.makeState()
            automaton.call(rule, start, after)
            if index >= least { try space(after, close, &automaton) }
            let comma = try automaton.makeState()
            if index == most { return }
            automaton.add(after, 0x2C...0x2C, comma)
            if most == nil, index == least {
                // From here on as often as one likes.
                let again = try automaton.makeState()
                try space(comma, again, &automaton)
                automaton.call(rule, again, after)
                return
            }
            start = try automaton.makeState()
            try space(comma, start, &automaton)
        }
    }

    /// Any value: a rule that containers call for what is in them.
    mutating func any(
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
        try anyNumber(from, to, isWhole: false, &automaton)
        try anyString(from, to, &automaton)
        try anyObject(from, to, &automaton)
        let open = try automaton.makeState()
        let element = try automaton.makeState()
        automaton.add(from, 0x5B...0x5B, open)
        try space(open, element, &automaton)
        automaton.add(element, 0x5D...0x5D, to)
        try list(
            rule, least: 1, most: nil, element, to, close: 0x5D,
            LocatedSchema(value: .null, pointer: "#"), &automaton)
    }

    /// An object with any names.
    mutating func anyObject(
        _ from: State, _ to: State, _ automaton: inout ByteAutomaton
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
        try anyString(key, named, &automaton)
        automaton.add(named, 0x3A...0x3A, colon)
        try space(colon, value, &automaton)
        try any(value, after, &automaton)
        let comma = try automaton.makeState()
        automaton.add(after, 0x2C...0x2C, comma)
        try space(comma, key, &automaton)
        try space(after, close, &automaton)
        automaton.add(close, 0x7D...0x7D, to)
    }
}
