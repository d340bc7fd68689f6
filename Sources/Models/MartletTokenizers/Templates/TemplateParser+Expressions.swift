// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension TemplateParser {
    /// An expression, or several with commas between them: a tuple.
    mutating func expressionOrTuple() throws(TemplateError) -> TemplateExpression {
        let first = try expression()
        guard isSymbol(",") else { return first }
        var parts = [first]
        while skip(",") {
            if current == .variableEnd || current == .blockEnd { break }
            parts.append(try expression())
        }
        return .tuple(parts)
    }

    mutating func expression(
        allowsConditional: Bool = true
    ) throws(TemplateError) -> TemplateExpression {
        try nest()
        defer { depth -= 1 }
        var value = try disjunction()
        while allowsConditional, skipName("if") {
            let test = try disjunction()
            var otherwise: TemplateExpression?
            if skipName("else") { otherwise = try expression() }
            value = .conditional(value, test: test, otherwise: otherwise)
        }
        return value
    }

    private mutating func disjunction() throws(TemplateError) -> TemplateExpression {
        var left = try conjunction()
        while skipName("or") { left = .or(left, try conjunction()) }
        return left
    }

    private mutating func conjunction() throws(TemplateError) -> TemplateExpression {
        var left = try negation()
        while skipName("and") { left = .and(left, try negation()) }
        return left
    }

    private mutating func negation() throws(TemplateError) -> TemplateExpression {
        guard skipName("not") else { return try comparison() }
        try nest()
        defer { depth -= 1 }
        return .not(try negation())
    }

    private mutating func comparison() throws(TemplateError) -> TemplateExpression {
        let left = try sum()
        var rest: [(TemplateExpression.Comparison, TemplateExpression)] = []
        while let comparison = takeComparison() { rest.append((comparison, try sum())) }
        return rest.isEmpty ? left : .comparison(left, rest)
    }

    private mutating func takeComparison() -> TemplateExpression.Comparison? {
        let symbols: [(String, TemplateExpression.Comparison)] = [
            ("==", .equal), ("!=", .unequal), ("<", .less), ("<=", .lessOrEqual), (">", .greater),
            (">=", .greaterOrEqual),
        ]
        for (symbol, comparison) in symbols where skip(symbol) { return comparison }
        if skipName("in") { return .isIn }
        if isName("not"), tokens.dropFirst().first?.kind == .name("in") {
            tokens.removeFirst(2)
            return .isNotIn
        }
        return nil
    }

    private mutating func sum() throws(TemplateError) -> TemplateExpression {
        var left = try joined()
        while true {
            if skip("+") {
                left = .operation(.add, left, try joined())
            } else if skip("-") {
                left = .operation(.subtract, left, try joined())
            } else {
                return left
            }
        }
    }

    private mutating func joined() throws(TemplateError) -> TemplateExpression {
        var left = try product()
        while skip("~") { left = .operation(.join, left, try product()) }
        return left
    }

    private mutating func product() throws(TemplateError) -> TemplateExpression {
        var left = try power()
        let symbols: [(String, TemplateExpression.Operator)] = [
            ("*", .multiply), ("/", .divide), ("//", .floorDivide), ("%", .remainder),
        ]
        while let (symbol, operation) = symbols.first(where: { isSymbol($0.0) }) {
            _ = skip(symbol)
            left = .operation(operation, left, try power())
        }
        return left
    }

    private mutating func power() throws(TemplateError) -> TemplateExpression {
        var left = try unary(withFilters: true)
        while skip("**") { left = .operation(.power, left, try unary(withFilters: true)) }
        return left
    }

    private mutating func unary(withFilters: Bool) throws(TemplateError) -> TemplateExpression {
        try nest()
        defer { depth -= 1 }
        var value: TemplateExpression
        if skip("-") {
            value = .negative(try unary(withFilters: false))
        } else if skip("+") {
            value = try unary(withFilters: false)
        } else {
            value = try postfix(try primary())
        }
        if withFilters { value = try filtersAndTests(value) }
        return value
    }

    private mutating func primary() throws(TemplateError) -> TemplateExpression {
        switch current {
        case .name(let name):
            tokens.removeFirst()
            switch name {
            case "true", "True": return .literal(.bool(true))
            case "false", "False": return .literal(.bool(false))
            case "none", "None": return .literal(.none)
            default: return .name(name)
            }
        case .string(var text):
            tokens.removeFirst()
            while case .string(let more) = current {
                text += more
                tokens.removeFirst()
            }
            return .literal(.string(text))
        case .integer(let value):
            tokens.removeFirst()
            return .literal(.integer(value))
        case .number(let value):
            tokens.removeFirst()
            return .literal(.number(value))
        case .symbol("("): return try parenthesised()
        case .symbol("["):
            tokens.removeFirst()
            return .list(try listed(until: "]"))
        case .symbol("{"): return try dictionary()
        default: throw fail("expected an expression")
        }
    }

    private mutating func listed(
        until end: String
    ) throws(TemplateError) -> [TemplateExpression] {
        var parts: [TemplateExpression] = []
        while !skip(end) {
            if !parts.isEmpty {
                try expect(",")
                if skip(end) { break }
            }
            parts.append(try expression())
        }
        return parts
    }

    private mutating func parenthesised() throws(TemplateError) -> TemplateExpression {
        try expect("(")
        if skip(")") { return .tuple([]) }
        let first = try expression()
        if skip(")") { return first }
        try expect(",")
        return .tuple([first] + (try listed(until: ")")))
    }

    private mutating func dictionary() throws(TemplateError) -> TemplateExpression {
        try expect("{")
        var members: [(TemplateExpression, TemplateExpression)] = []
        while !skip("}") {
            if !members.isEmpty {
                try expect(",")
                if skip("}") { break }
            }
            let key = try expression()
            try expect(":")
            members.append((key, try expression()))
        }
        return .dictionary(members)
    }

    private mutating func postfix(
        _ value: TemplateExpression
    ) throws(TemplateError) -> TemplateExpression {
        var value = value
        var length = 0
        while true {
            if skip(".") {
                if case .integer(let index) = current {
                    tokens.removeFirst()
                    value = .item(value, .literal(.integer(index)))
                } else {
                    value = .member(value, try name())
                }
            } else if skip("[") {
                value = try subscripted(value)
            } else if isSymbol("(") {
                value = .call(value, try arguments())
            } else {
                return value
            }
            // Each is one deeper to evaluate.
            length += 1
            guard depth + length <= limits.depthMax else {
                throw TemplateError(.limitExceeded, "too long a chain of members", line: line)
            }
        }
    }

    private mutating func subscripted(
        _ value: TemplateExpression
    ) throws(TemplateError) -> TemplateExpression {
        var parts: [TemplateExpression?] = [nil]
        var isSlice = false
        while !skip("]") {
            if skip(":") {
                isSlice = true
                parts.append(nil)
            } else {
                parts[parts.count - 1] = try expression()
            }
        }
        guard isSlice else {
            guard let index = parts[0] else { throw fail("expected an index") }
            return .item(value, index)
        }
        guard parts.count <= 3 else { throw fail("too many parts of a slice") }
        return .slice(value, parts[0], parts[1], parts.count > 2 ? parts[2] : nil)
    }

    mutating func arguments() throws(TemplateError) -> TemplateExpression.Arguments {
        var arguments = TemplateExpression.Arguments()
        try expect("(")
        var isFirst = true
        while !skip(")") {
            if !isFirst {
                try expect(",")
                if skip(")") { break }
            }
            isFirst = false
            if case .name(let name) = current, tokens.dropFirst().first?.kind == .symbol("=") {
                tokens.removeFirst(2)
                arguments.named.append((name, try expression()))
            } else {
                arguments.positional.append(try expression())
            }
        }
        return arguments
    }

    // MARK: Filters and tests

    /// A filter behind its `|`.
    mutating func filter() throws(TemplateError) -> TemplateExpression.Filter {
        let name = try name()
        let arguments = isSymbol("(") ? try arguments() : TemplateExpression.Arguments()
        return TemplateExpression.Filter(name: name, arguments: arguments)
    }

    private mutating func filtersAndTests(
        _ value: TemplateExpression
    ) throws(TemplateError) -> TemplateExpression {
        var value = value
        var length = 0
        while true {
            if skip("|") {
                value = .filter(value, try filter())
            } else if skipName("is") {
                let isNegated = skipName("not")
                let name = try name()
                value = .test(
                    value,
                    TemplateExpression.Filter(name: name, arguments: try testArguments()),
                    isNegated: isNegated)
            } else if isSymbol("(") {
                value = .call(value, try arguments())
            } else {
                return value
            }
            length += 1
            guard depth + length <= limits.depthMax else {
                throw TemplateError(.limitExceeded, "too long a chain of filters", line: line)
            }
        }
    }

    private mutating func testArguments() throws(TemplateError) -> TemplateExpression.Arguments {
        var found = TemplateExpression.Arguments()
        switch current {
        case .symbol("("): return try arguments()
        case .name(let name) where !["else", "or", "and", "is", "if", "in", "not"].contains(name):
            found.positional = [try postfix(try primary())]
        case .string, .integer, .number, .symbol("["), .symbol("{"):
            found.positional = [try postfix(try primary())]
        default: break
        }
        return found
    }
}
