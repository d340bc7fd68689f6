// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

extension TemplateInterpreter {
    mutating func evaluate(
        _ expression: TemplateExpression, _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateValue {
        try enter()
        defer { leave() }
        switch expression {
        case .literal(let value): return value
        case .name(let name): return scope.find(name) ?? .undefined(name)
        case .list(let parts): return try made(try evaluate(parts, scope))
        case .tuple(let parts): return .tuple(try evaluate(parts, scope))
        case .dictionary(let members):
            var object = TemplateObject()
            for (key, value) in members {
                object[try dictionaryKey(try evaluate(key, scope))] = try evaluate(value, scope)
            }
            return .object(object)
        case .member(let base, let name): return try member(name, of: try evaluate(base, scope))
        case .item(let base, let index):
            return try item(try evaluate(index, scope), of: try evaluate(base, scope))
        case .slice(let base, let start, let end, let step):
            return try slice(
                try evaluate(base, scope), try bound(start, scope), try bound(end, scope),
                try bound(step, scope))
        case .call(let callee, let arguments):
            return try call(try evaluate(callee, scope), arguments, scope)
        case .filter(let value, let filter):
            return try self.filter(filter, try evaluate(value, scope), scope)
        case .test(let value, let test, let isNegated):
            let outcome = try self.test(
                test.name, try evaluate(value, scope),
                try evaluate(test.arguments.positional, scope))
            return .bool(outcome != isNegated)
        case .not(let value): return .bool(!(try evaluate(value, scope).isTrue))
        case .negative(let value): return try negative(try evaluate(value, scope))
        case .operation(let operation, let left, let right):
            return try self.operation(
                operation, try evaluate(left, scope), try evaluate(right, scope))
        case .and(let left, let right):
            let value = try evaluate(left, scope)
            return value.isTrue ? try evaluate(right, scope) : value
        case .or(let left, let right):
            let value = try evaluate(left, scope)
            return value.isTrue ? value : try evaluate(right, scope)
        case .comparison(let first, let rest):
            var left = try evaluate(first, scope)
            for (comparison, operand) in rest {
                let right = try evaluate(operand, scope)
                guard try compare(comparison, left, right) else { return .bool(false) }
                left = right
            }
            return .bool(true)
        case .conditional(let value, let test, let otherwise):
            if try evaluate(test, scope).isTrue { return try evaluate(value, scope) }
            guard let otherwise else { return .undefined("the other case") }
            return try evaluate(otherwise, scope)
        }
    }

    private mutating func evaluate(
        _ parts: [TemplateExpression], _ scope: TemplateScope
    ) throws(TemplateError) -> [TemplateValue] {
        var values: [TemplateValue] = []
        for part in parts { values.append(try evaluate(part, scope)) }
        return values
    }

    private mutating func dictionaryKey(_ value: TemplateValue) throws(TemplateError) -> String {
        guard case .string(let key) = value else { return try text(of: value) }
        return key
    }

    private mutating func bound(
        _ expression: TemplateExpression?, _ scope: TemplateScope
    ) throws(TemplateError) -> Int? {
        guard let expression else { return nil }
        switch try evaluate(expression, scope) {
        case .none: return nil
        case let value:
            guard let number = value.asInteger else {
                throw fail("a slice takes whole numbers, not \(value.kind)")
            }
            return number
        }
    }

    // MARK: Members

    static let methods: [String: Set<String>] = [
        "str": [
            "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith",
            "upper", "lower", "title", "capitalize", "replace", "join", "find", "rfind", "count",
            "removeprefix", "removesuffix", "isdigit", "isalpha", "isspace", "isupper", "islower",
            "format", "zfill", "index",
        ],
        "dict": ["items", "keys", "values", "get"],
        "list": ["index", "count"],
        "tuple": ["index", "count"],
    ]

    /// `value.name`: a method, or else what `value['name']` is.
    mutating func member(
        _ name: String, of value: TemplateValue
    ) throws(TemplateError) -> TemplateValue {
        if case .namespace(let namespace) = value {
            return namespace.values[name] ?? .undefined(name)
        }
        if TemplateInterpreter.methods[value.kind]?.contains(name) == true {
            return .method(value, name)
        }
        if case .object(let object) = value { return object[name] ?? .undefined(name) }
        if case .undefined(let missing) = value { throw fail("'\(missing)' is undefined") }
        if case .none = value { return .undefined("None has no '\(name)'") }
        return .undefined(name)
    }

    mutating func item(
        _ index: TemplateValue, of value: TemplateValue
    ) throws(TemplateError) -> TemplateValue {
        switch value {
        case .object(let object):
            guard case .string(let key) = index else { return .undefined("a key") }
            if let found = object[key] { return found }
            return try member(key, of: value)
        case .list(let values), .tuple(let values):
            guard let place = index.asInteger else { return .undefined("an element") }
            let wanted = place < 0 ? place &+ values.count : place
            return values.indices.contains(wanted) ? values[wanted] : .undefined("element \(place)")
        case .string(let text):
            guard let place = index.asInteger else {
                if case .string(let name) = index { return try member(name, of: value) }
                return .undefined("a character")
            }
            try charge(text.utf8.count)
            let scalars = text.unicodeScalars
            let wanted = place < 0 ? place &+ scalars.count : place
            guard wanted >= 0, wanted < scalars.count else {
                return .undefined("character \(place)")
            }
            return .string(
                String(Character(scalars[scalars.index(scalars.startIndex, offsetBy: wanted)])))
        case .namespace(let namespace):
            guard case .string(let key) = index else { return .undefined("a key") }
            return namespace.values[key] ?? .undefined(key)
        case .undefined(let name): throw fail("'\(name)' is undefined")
        default: return .undefined("an element of \(value.kind)")
        }
    }

    private mutating func slice(
        _ value: TemplateValue, _ start: Int?, _ end: Int?, _ step: Int?
    ) throws(TemplateError) -> TemplateValue {
        switch value {
        case .list(let values):
            return try made(
                try TemplateInterpreter.places(values.count, start, end, step, self).map {
                    values[$0]
                })
        case .tuple(let values):
            return .tuple(
                try TemplateInterpreter.places(values.count, start, end, step, self).map {
                    values[$0]
                })
        case .string(let text):
            let scalars = Array(text.unicodeScalars)
            try charge(scalars.count)
            var result = String.UnicodeScalarView()
            for place in try TemplateInterpreter.places(scalars.count, start, end, step, self) {
                result.append(scalars[place])
            }
            return try made(String(result))
        case .undefined(let name): throw fail("'\(name)' is undefined")
        default: throw fail("'\(value.kind)' has no slices")
        }
    }

    /// The places that Python's slice takes of so many elements.
    private static func places(
        _ count: Int, _ start: Int?, _ end: Int?, _ step: Int?, _ interpreter: TemplateInterpreter
    ) throws(TemplateError) -> [Int] {
        let step = step ?? 1
        guard step != 0, step != Int.min else { throw interpreter.fail("a slice with the step 0") }
        func clamp(_ value: Int?, _ fallback: Int) -> Int {
            guard let value else { return fallback }
            let wanted = value < 0 ? value &+ count : value
            return step > 0 ? min(max(wanted, 0), count) : min(max(wanted, -1), count - 1)
        }
        var place = clamp(start, step > 0 ? 0 : count - 1)
        let last = clamp(end, step > 0 ? count : -1)
        var places: [Int] = []
        while step > 0 ? place < last : place > last {
            places.append(place)
            let (next, overflow) = place.addingReportingOverflow(step)
            if overflow { break }
            place = next
        }
        return places
    }

    // MARK: Operators

    private func negative(_ value: TemplateValue) throws(TemplateError) -> TemplateValue {
        if let number = value.asInteger { return .integer(0 &- number) }
        if case .number(let number) = value { return .number(-number) }
        throw fail("'\(value.kind)' has no negative")
    }

    private mutating func operation(
        _ operation: TemplateExpression.Operator, _ left: TemplateValue, _ right: TemplateValue
    ) throws(TemplateError) -> TemplateValue {
        if operation == .join {
            let (first, second) = (try text(of: left), try text(of: right))
            try check(byteCount: first.utf8.count + second.utf8.count)
            return .string(first + second)
        }
        switch (operation, left, right) {
        case (.add, .string(let left), .string(let right)):
            try check(byteCount: left.utf8.count + right.utf8.count)
            return .string(left + right)
        case (.add, .list(let left), .list(let right)): return try made(left + right)
        case (.add, .tuple(let left), .tuple(let right)): return .tuple(left + right)
        case (.multiply, .string(let text), let count), (.multiply, let count, .string(let text)):
            guard let times = count.asInteger else { break }
            let (bytes, overflow) = text.utf8.count.multipliedReportingOverflow(by: max(times, 0))
            try check(byteCount: overflow ? Int.max : bytes)
            return .string(String(repeating: text, count: max(times, 0)))
        case (.remainder, .string(let format), _):
            return try made(try formatted(format, right))
        default: break
        }
        if case .undefined(let name) = left { throw fail("'\(name)' is undefined") }
        if case .undefined(let name) = right { throw fail("'\(name)' is undefined") }
        if let left = left.asInteger, let right = right.asInteger {
            if let value = try integers(operation, left, right) { return value }
        } else if left.asNumber == nil || right.asNumber == nil {
            throw fail("'\(left.kind)' and '\(right.kind)' cannot be combined so")
        }
        return .number(try numbers(operation, left.asNumber ?? 0, right.asNumber ?? 0))
    }

    private func integers(
        _ operation: TemplateExpression.Operator, _ left: Int, _ right: Int
    ) throws(TemplateError) -> TemplateValue? {
        let result: (partialValue: Int, overflow: Bool)
        switch operation {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .floorDivide, .remainder:
            guard right != 0 else { throw fail("a division by 0") }
            guard right != -1 else {
                result = operation == .remainder ? (0, false) : 0.subtractingReportingOverflow(left)
                break
            }
            var (quotient, rest) = left.quotientAndRemainder(dividingBy: right)
            if rest != 0, (rest < 0) != (right < 0) {
                quotient -= 1
                rest += right
            }
            result = (operation == .remainder ? rest : quotient, false)
        case .power:
            guard right >= 0 else { return nil }
            var power = (partialValue: 1, overflow: false)
            for _ in 0..<min(right, 64) {
                power = power.partialValue.multipliedReportingOverflow(by: left)
                if power.overflow { break }
            }
            if right > 64, !(-1...1).contains(left) { power.overflow = true }
            result = power
        default: return nil
        }
        guard !result.overflow else { throw fail("a number that is too large") }
        return .integer(result.partialValue)
    }

    private func numbers(
        _ operation: TemplateExpression.Operator, _ left: Double, _ right: Double
    ) throws(TemplateError) -> Double {
        switch operation {
        case .add, .join: return left + right
        case .subtract: return left - right
        case .multiply: return left * right
        case .power: return pow(left, right)
        case .divide, .floorDivide, .remainder:
            guard right != 0 else { throw fail("a division by 0") }
            if operation == .divide { return left / right }
            let quotient = (left / right).rounded(.down)
            return operation == .floorDivide ? quotient : left - quotient * right
        }
    }

    mutating func compare(
        _ comparison: TemplateExpression.Comparison, _ left: TemplateValue, _ right: TemplateValue
    ) throws(TemplateError) -> Bool {
        switch comparison {
        case .equal: return TemplateValue.equal(left, right)
        case .unequal: return !TemplateValue.equal(left, right)
        case .isIn: return try contains(right, left)
        case .isNotIn: return !(try contains(right, left))
        case .less: return try precedes(left, right)
        case .greater: return try precedes(right, left)
        case .lessOrEqual: return !(try precedes(right, left))
        case .greaterOrEqual: return !(try precedes(left, right))
        }
    }

    mutating func precedes(
        _ left: TemplateValue, _ right: TemplateValue
    ) throws(TemplateError) -> Bool {
        switch (left, right) {
        case (.string(let left), .string(let right)):
            return left.utf8.lexicographicallyPrecedes(right.utf8)
        case (.list, .list), (.tuple, .tuple):
            let (first, second) = (left.elements ?? [], right.elements ?? [])
            for (left, right) in zip(first, second) where !TemplateValue.equal(left, right) {
                return try precedes(left, right)
            }
            return first.count < second.count
        default:
            guard let left = left.asNumber, let right = right.asNumber else {
                throw fail("'\(left.kind)' and '\(right.kind)' have no order")
            }
            return left < right
        }
    }

    mutating func contains(
        _ container: TemplateValue, _ value: TemplateValue
    ) throws(TemplateError) -> Bool {
        switch container {
        case .string(let text):
            guard case .string(let part) = value else {
                throw fail("'in' a text takes a text, not \(value.kind)")
            }
            try charge(1 + text.utf8.count / 16)
            return TextSearch.first(part, in: text) != nil
        case .list(let values), .tuple(let values):
            try charge(values.count)
            return values.contains { TemplateValue.equal($0, value) }
        case .object(let object):
            guard case .string(let key) = value else { return false }
            return object[key] != nil
        case .undefined: return false
        default: throw fail("'\(container.kind)' contains nothing")
        }
    }
}
