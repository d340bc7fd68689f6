// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension TemplateInterpreter {
    /// A filter's arguments, found by place or name.
    private struct Given {
        let positional: [TemplateValue]
        let named: TemplateObject

        func value(_ index: Int, _ name: String) -> TemplateValue? {
            index < positional.count ? positional[index] : named[name]
        }

        func text(_ index: Int, _ name: String) -> String? {
            if case .string(let text)? = value(index, name) { text } else { nil }
        }

        func flag(_ index: Int, _ name: String) -> Bool { value(index, name)?.isTrue ?? false }
    }

    mutating func filter(
        _ filter: TemplateExpression.Filter, _ value: TemplateValue, _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateValue {
        try charge()
        var positional: [TemplateValue] = []
        for argument in filter.arguments.positional {
            positional.append(try evaluate(argument, scope))
        }
        var named = TemplateObject()
        for (name, argument) in filter.arguments.named {
            named[name] = try evaluate(argument, scope)
        }
        let given = Given(positional: positional, named: named)
        switch filter.name {
        case "default", "d":
            let fallback = given.value(0, "default_value") ?? .string("")
            if case .undefined = value { return fallback }
            return given.flag(1, "boolean") && !value.isTrue ? fallback : value
        case "tojson": return try json(value, given)
        case "length", "count": return .integer(try count(value))
        case "string": return .string(try text(of: value))
        case "safe": return value
        case "list": return try made(try elements(of: value))
        case "items", "dictsort": return try pairs(filter.name, value, given)
        case "map", "select", "reject", "selectattr", "rejectattr":
            return try chosen(filter.name, try elements(of: value), given, scope)
        case "first", "last", "reverse", "sum", "min", "max", "sort", "unique", "join":
            return try listed(filter.name, value, given)
        case "int", "float", "abs", "round": return try number(filter.name, value, given)
        default: return try texts(filter.name, try text(of: value), given)
        }
    }

    private mutating func count(_ value: TemplateValue) throws(TemplateError) -> Int {
        switch value {
        case .string(let text):
            try charge(text.utf8.count / 16)
            return text.unicodeScalars.count
        case .list(let values), .tuple(let values): return values.count
        case .object(let object): return object.count
        case .undefined: return 0
        default: throw fail("'\(value.kind)' has no length")
        }
    }

    private mutating func json(
        _ value: TemplateValue, _ given: Given
    ) throws(TemplateError) -> TemplateValue {
        var writer = TemplateJSON()
        let indent = given.value(0, "indent") ?? .none
        if let width = indent.asInteger { writer.indent = min(max(width, 0), 64) }
        if let parts = given.named["separators"]?.elements, parts.count == 2 {
            writer.itemSeparator = try text(of: parts[0])
            writer.keySeparator = try text(of: parts[1])
        }
        writer.sortsKeys = given.named["sort_keys"]?.isTrue ?? false
        var text = ""
        try writer.write(value, to: &text, &self)
        return try made(text)
    }

    private mutating func pairs(
        _ name: String, _ value: TemplateValue, _ given: Given
    ) throws(TemplateError) -> TemplateValue {
        if case .undefined = value { return .list([]) }
        guard case .object(let object) = value else {
            throw fail("\(name) takes a dictionary, not \(value.kind)")
        }
        var keys = object.keys
        if name == "dictsort" {
            guard given.text(1, "by") ?? "key" == "key" else {
                throw TemplateError(.unsupported, "dictsort by value", line: line)
            }
            let isExact = given.flag(0, "case_sensitive")
            keys.sort {
                let (left, right) = isExact ? ($0, $1) : ($0.lowercased(), $1.lowercased())
                return left.utf8.lexicographicallyPrecedes(right.utf8)
            }
            if given.flag(2, "reverse") { keys.reverse() }
        }
        return try made(keys.map { .tuple([.string($0), object[$0] ?? .none]) })
    }

    // MARK: Lists

    /// The member that a path of names and numbers leads to.
    private mutating func attribute(
        _ path: String, of value: TemplateValue
    ) throws(TemplateError) -> TemplateValue {
        var value = value
        for part in TextSearch.split(path, by: ".") {
            value = try item(Int(part).map { .integer($0) } ?? .string(part), of: value)
        }
        return value
    }

    private mutating func chosen(
        _ name: String, _ values: [TemplateValue], _ given: Given, _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateValue {
        var result: [TemplateValue] = []
        if name == "map" {
            let path = given.named["attribute"].flatMap { value -> String? in
                if case .string(let path) = value { path } else { nil }
            }
            guard let filterName = path ?? given.text(0, "") else {
                throw fail("map takes a filter or an attribute")
            }
            for value in values {
                if path != nil {
                    var found = try attribute(filterName, of: value)
                    if case .undefined = found, let fallback = given.named["default"] {
                        found = fallback
                    }
                    result.append(found)
                } else {
                    let rest = given.positional.dropFirst().map { TemplateExpression.literal($0) }
                    let filter = TemplateExpression.Filter(
                        name: filterName,
                        arguments: TemplateExpression.Arguments(positional: Array(rest)))
                    result.append(try self.filter(filter, value, scope))
                }
            }
            return try made(result)
        }
        let usesAttribute = name.hasSuffix("attr")
        let testPlace = usesAttribute ? 1 : 0
        let arguments = Array(given.positional.dropFirst(testPlace + 1))
        for value in values {
            var subject = value
            if usesAttribute {
                guard let path = given.text(0, "") else { throw fail("\(name) takes an attribute") }
                subject = try attribute(path, of: value)
            }
            var outcome = subject.isTrue
            if let test = given.text(testPlace, "") {
                outcome = try self.test(test, subject, arguments)
            }
            if outcome == name.hasPrefix("select") { result.append(value) }
        }
        return try made(result)
    }

    private mutating func listed(
        _ name: String, _ value: TemplateValue, _ given: Given
    ) throws(TemplateError) -> TemplateValue {
        if name == "reverse", case .string(let text) = value {
            return try made(String(String.UnicodeScalarView(text.unicodeScalars.reversed())))
        }
        let values = try elements(of: value)
        switch name {
        case "first": return values.first ?? .undefined("the first of an empty list")
        case "last": return values.last ?? .undefined("the last of an empty list")
        case "reverse": return try made(values.reversed())
        case "join":
            var parts = values
            if let path = given.text(1, "attribute") {
                parts = []
                for value in values { parts.append(try attribute(path, of: value)) }
            }
            return try joined(parts, by: given.text(0, "d") ?? "")
        case "sum":
            var total = TemplateValue.integer(0)
            for value in values {
                let part =
                    try given.text(0, "attribute").map { (path) throws(TemplateError) in
                        try attribute(path, of: value)
                    } ?? value
                guard let left = total.asNumber, let right = part.asNumber else {
                    throw fail("sum takes numbers")
                }
                if let first = total.asInteger, let second = part.asInteger {
                    let (sum, overflow) = first.addingReportingOverflow(second)
                    if overflow { throw fail("a number that is too large") }
                    total = .integer(sum)
                } else {
                    total = .number(left + right)
                }
            }
            return total
        case "unique":
            var result: [TemplateValue] = []
            for value in values {
                try charge(result.count)
                if !result.contains(where: { TemplateValue.equal($0, value) }) {
                    result.append(value)
                }
            }
            return try made(result)
        default: return try ordered(name, values, given)
        }
    }

    private mutating func ordered(
        _ name: String, _ values: [TemplateValue], _ given: Given
    ) throws(TemplateError) -> TemplateValue {
        let path = given.text(name == "sort" ? 2 : 1, "attribute")
        let isExact = given.flag(name == "sort" ? 1 : 0, "case_sensitive")
        var keyed: [(key: TemplateValue, value: TemplateValue)] = []
        for value in values {
            var key = value
            if let path { key = try attribute(path, of: value) }
            if !isExact, case .string(let text) = key { key = .string(text.lowercased()) }
            keyed.append((key, value))
        }
        try charge(keyed.count * 16)
        // Insertion by halves keeps the order of equals and may throw.
        var sorted: [(key: TemplateValue, value: TemplateValue)] = []
        for entry in keyed {
            var (low, high) = (0, sorted.count)
            while low < high {
                let middle = (low + high) / 2
                if try precedes(entry.key, sorted[middle].key) {
                    high = middle
                } else {
                    low = middle + 1
                }
            }
            sorted.insert(entry, at: low)
            try charge(1 + (sorted.count - low) / 16)
        }
        switch name {
        case "min": return sorted.first?.value ?? .undefined("the least of an empty list")
        case "max":
            guard let last = sorted.last else { return .undefined("the most of an empty list") }
            return sorted.first { TemplateValue.equal($0.key, last.key) }?.value ?? last.value
        default:
            let result = sorted.map(\.value)
            return try made(given.flag(0, "reverse") ? result.reversed() : result)
        }
    }

    // MARK: Numbers and texts

    private mutating func number(
        _ name: String, _ value: TemplateValue, _ given: Given
    ) throws(TemplateError) -> TemplateValue {
        var number = value.asNumber
        if number == nil, case .string(let text) = value {
            number = Double(TextSearch.trimmed(text, left: true, right: true))
        }
        switch name {
        case "int":
            if let exact = value.asInteger { return .integer(exact) }
            if case .string(let text) = value, let exact = Int(text) { return .integer(exact) }
            guard let number, number.magnitude < 9e18 else {
                return given.value(0, "default") ?? .integer(0)
            }
            return .integer(Int(number))
        case "float": return number.map { .number($0) } ?? given.value(0, "default") ?? .number(0)
        case "abs":
            if let exact = value.asInteger {
                guard exact != .min else { throw fail("a number that is too large") }
                return .integer(abs(exact))
            }
            guard let number else { throw fail("abs takes a number") }
            return .number(number.magnitude)
        default:
            guard let number else { throw fail("round takes a number") }
            let precision = min(max(given.value(0, "precision")?.asInteger ?? 0, 0), 15)
            let scale = (0..<precision).reduce(1.0) { power, _ in power * 10 }
            let rule: FloatingPointRoundingRule =
                switch given.text(1, "method") {
                case "ceil": .up
                case "floor": .down
                default: .toNearestOrEven
                }
            return .number((number * scale).rounded(rule) / scale)
        }
    }

    private mutating func texts(
        _ name: String, _ text: String, _ given: Given
    ) throws(TemplateError) -> TemplateValue {
        try charge(1 + text.utf8.count / 16)
        switch name {
        case "trim":
            guard let cut = given.text(0, "chars") else {
                return .string(TextSearch.trimmed(text, left: true, right: true))
            }
            let set = Set(cut.unicodeScalars)
            return .string(TextSearch.trimmed(text, left: true, right: true) { set.contains($0) })
        case "upper", "lower", "capitalize", "title": return try cased(name, text)
        case "replace":
            guard let old = given.text(0, "old"), let new = given.text(1, "new") else {
                throw fail("replace takes two texts")
            }
            let count = given.value(2, "count")?.asInteger ?? -1
            return try replaced(text, old, new, countMax: count < 0 ? .max : count)
        case "escape", "e", "forceescape":
            var escaped = text
            for (old, new) in [
                ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("\"", "&#34;"),
            ] { escaped = TextSearch.split(escaped, by: old).joined(separator: new) }
            return try made(escaped)
        case "wordcount":
            return .integer(text.unicodeScalars.split(whereSeparator: TextSearch.isSpace).count)
        case "indent": return try indented(text, given)
        case "format": return try made(try formatted(text, .tuple(given.positional)))
        default:
            throw TemplateError(.unsupported, "the filter '\(name)' is not supported", line: line)
        }
    }

    private mutating func indented(
        _ text: String, _ given: Given
    ) throws(TemplateError) -> TemplateValue {
        var margin = String(
            repeating: " ", count: min(max(given.value(0, "width")?.asInteger ?? 4, 0), 1024))
        if let given = given.text(0, "width") { margin = given }
        let lines = TextSearch.split(text, by: "\n")
        try check(byteCount: text.utf8.count + lines.count * margin.utf8.count)
        let takesFirst = given.flag(1, "first")
        let takesBlank = given.flag(2, "blank")
        let result = lines.enumerated().map { index, line in
            (index > 0 || takesFirst) && (takesBlank || !line.isEmpty || index == 0)
                ? margin + line : line
        }
        return try made(result.joined(separator: "\n"))
    }

    // MARK: Tests

    mutating func test(
        _ name: String, _ value: TemplateValue, _ arguments: [TemplateValue]
    ) throws(TemplateError) -> Bool {
        func other() throws(TemplateError) -> TemplateValue {
            guard let other = arguments.first else {
                throw fail("the test '\(name)' takes a value")
            }
            return other
        }
        switch name {
        case "defined", "undefined":
            var isUndefined = false
            if case .undefined = value { isUndefined = true }
            return isUndefined == (name == "undefined")
        case "none": return value.kind == "None"
        case "string": return value.kind == "str"
        case "mapping": return value.kind == "dict"
        case "boolean": return value.kind == "bool"
        case "integer": return value.kind == "int"
        case "float": return value.kind == "float"
        case "number": return value.asNumber != nil
        case "true": if case .bool(true) = value { return true } else { return false }
        case "false": if case .bool(false) = value { return true } else { return false }
        case "sequence": return ["str", "list", "tuple", "dict", "undefined"].contains(value.kind)
        case "iterable": return ["str", "list", "tuple", "dict", "undefined"].contains(value.kind)
        case "callable": return ["macro", "function"].contains(value.kind)
        case "odd", "even", "divisibleby":
            guard let number = value.asInteger else { throw fail("'\(name)' takes a whole number") }
            let divisor = name == "divisibleby" ? try other().asInteger ?? 0 : 2
            guard divisor != 0 else { throw fail("a division by 0") }
            let rest = divisor == -1 ? 0 : number % divisor
            return (rest == 0) == (name != "odd")
        case "eq", "equalto", "==": return TemplateValue.equal(value, try other())
        case "ne", "!=": return !TemplateValue.equal(value, try other())
        case "sameas":
            let other = try other()
            return value.kind == other.kind && TemplateValue.equal(value, other)
        case "lt", "lessthan", "<": return try precedes(value, try other())
        case "gt", "greaterthan", ">": return try precedes(try other(), value)
        case "le", "<=": return !(try precedes(try other(), value))
        case "ge", ">=": return !(try precedes(value, try other()))
        case "in": return try contains(try other(), value)
        case "lower", "upper":
            let text = try text(of: value)
            if case .bool(let outcome) = try cased(name == "lower" ? "islower" : "isupper", text) {
                return outcome
            }
            return false
        default:
            throw TemplateError(.unsupported, "the test '\(name)' is not supported", line: line)
        }
    }
}
