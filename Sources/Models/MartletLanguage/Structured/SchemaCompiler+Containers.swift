// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Objects, arrays, and values of any kind.
extension SchemaCompiler {
    mutating func properties(
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

    mutating func items(
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
    mutating func object(
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
