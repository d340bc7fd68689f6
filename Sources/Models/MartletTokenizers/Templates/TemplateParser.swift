// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Reads a template's blocks; its expressions are in the extension.
struct TemplateParser {
    var tokens: ArraySlice<TemplateToken>
    let limits: TemplateLimits
    var depth = 0
    /// Loops around what is being read.
    private var loops = 0

    static func parse(
        _ source: String, limits: TemplateLimits
    ) throws(TemplateError) -> [TemplateNode] {
        guard source.utf8.count <= limits.sourceBytesMax else {
            throw TemplateError(
                .limitExceeded,
                "\(source.utf8.count) bytes are more than the \(limits.sourceBytesMax) allowed")
        }
        var parser = TemplateParser(
            tokens: try TemplateLexer.tokens(of: source)[...], limits: limits)
        let (nodes, end) = try parser.body(until: [])
        guard end == nil else { throw parser.fail("an unexpected \(end ?? "")") }
        return nodes
    }

    init(tokens: ArraySlice<TemplateToken>, limits: TemplateLimits) {
        self.tokens = tokens
        self.limits = limits
    }

    // MARK: Tokens

    var current: TemplateToken.Kind { tokens.first?.kind ?? .end }
    var line: Int { tokens.first?.line ?? 0 }

    func fail(_ message: String) -> TemplateError { TemplateError(.syntax, message, line: line) }

    func isSymbol(_ symbol: String) -> Bool { current == .symbol(symbol) }
    func isName(_ name: String) -> Bool { current == .name(name) }

    mutating func skip(_ symbol: String) -> Bool {
        guard isSymbol(symbol) else { return false }
        tokens.removeFirst()
        return true
    }

    mutating func skipName(_ name: String) -> Bool {
        guard isName(name) else { return false }
        tokens.removeFirst()
        return true
    }

    mutating func expect(_ symbol: String) throws(TemplateError) {
        guard skip(symbol) else { throw fail("expected '\(symbol)'") }
    }

    mutating func name() throws(TemplateError) -> String {
        guard case .name(let name) = current else { throw fail("expected a name") }
        tokens.removeFirst()
        return name
    }

    /// Enters something nested, which `depth -= 1` leaves.
    mutating func nest() throws(TemplateError) {
        depth += 1
        guard depth <= limits.depthMax else {
            throw TemplateError(
                .limitExceeded, "more than \(limits.depthMax) things inside one another",
                line: line)
        }
    }

    private mutating func endBlock() throws(TemplateError) {
        guard current == .blockEnd else { throw fail("expected '%}'") }
        tokens.removeFirst()
    }

    // MARK: Blocks

    /// Reads nodes up to a block of one of these names, which is left open behind its name.
    private mutating func body(
        until ends: [String]
    ) throws(TemplateError) -> (nodes: [TemplateNode], end: String?) {
        try nest()
        defer { depth -= 1 }
        var nodes: [TemplateNode] = []
        while true {
            let line = line
            switch current {
            case .text(let text):
                tokens.removeFirst()
                nodes.append(.text(text))
            case .variableBegin:
                tokens.removeFirst()
                let value = try expressionOrTuple()
                guard current == .variableEnd else { throw fail("expected '}}'") }
                tokens.removeFirst()
                nodes.append(.output(value, line: line))
            case .blockBegin:
                tokens.removeFirst()
                let name = try name()
                if ends.contains(name) { return (nodes, name) }
                nodes.append(try block(name, line))
            case .end:
                guard ends.isEmpty else { throw fail("expected \(ends.joined(separator: " or "))") }
                return (nodes, nil)
            default: throw fail("an unexpected piece of a tag")
            }
        }
    }

    /// A body up to one end, and that block's own end.
    private mutating func closed(_ end: String) throws(TemplateError) -> [TemplateNode] {
        let nodes = try body(until: [end]).nodes
        try endBlock()
        return nodes
    }

    private mutating func block(_ name: String, _ line: Int) throws(TemplateError) -> TemplateNode {
        switch name {
        case "if": return try condition(line)
        case "for": return try loop(line)
        case "set": return try assignment(line)
        case "macro":
            let macro = try macroHead()
            try endBlock()
            return .macro(try withBody(macro, "endmacro"))
        case "call":
            var caller = TemplateNode.Macro(name: "caller", parameters: [], body: [])
            if isSymbol("(") { caller.parameters = try parameters() }
            let callee = try expression()
            try endBlock()
            return .call(callee, try withBody(caller, "endcall"), line: line)
        case "filter":
            var filters = [try filter()]
            while skip("|") { filters.append(try filter()) }
            try endBlock()
            return .filtered(filters, try closed("endfilter"), line: line)
        case "generation":
            // Marks what the assistant wrote; it changes nothing in the text.
            try endBlock()
            return .group(try closed("endgeneration"))
        case "break", "continue":
            guard loops > 0 else { throw fail("\(name) outside a loop") }
            try endBlock()
            return name == "break" ? .breakLoop : .continueLoop
        case "include", "import", "from", "extends", "block", "autoescape", "with", "do", "trans":
            throw TemplateError(.unsupported, "'\(name)' is not supported", line: line)
        default: throw TemplateError(.syntax, "an unknown block '\(name)'", line: line)
        }
    }

    private mutating func withBody(
        _ macro: TemplateNode.Macro, _ end: String
    ) throws(TemplateError) -> TemplateNode.Macro {
        let outer = loops
        loops = 0
        defer { loops = outer }
        var macro = macro
        let nodes = try body(until: [end]).nodes
        // `{% endmacro name %}` may repeat the name.
        if case .name = current { tokens.removeFirst() }
        try endBlock()
        macro.body = nodes
        return macro
    }

    private mutating func condition(_ line: Int) throws(TemplateError) -> TemplateNode {
        var branches: [(test: TemplateExpression, body: [TemplateNode])] = []
        var test = try expression()
        try endBlock()
        while true {
            let (nodes, end) = try body(until: ["elif", "else", "endif"])
            branches.append((test, nodes))
            switch end {
            case "elif":
                test = try expression()
                try endBlock()
            case "else":
                try endBlock()
                return .condition(branches, otherwise: try closed("endif"), line: line)
            default:
                try endBlock()
                return .condition(branches, otherwise: [], line: line)
            }
        }
    }

    private mutating func loop(_ line: Int) throws(TemplateError) -> TemplateNode {
        let names = try targetNames()
        guard skipName("in") else { throw fail("expected 'in'") }
        // The loop's own `if` is no conditional expression.
        let iterated = try expression(allowsConditional: false)
        var condition: TemplateExpression?
        if skipName("if") { condition = try expression() }
        if isName("recursive") {
            throw TemplateError(.unsupported, "recursive loops are not supported", line: line)
        }
        try endBlock()
        loops += 1
        let (nodes, end) = try body(until: ["else", "endfor"])
        loops -= 1
        try endBlock()
        let otherwise = end == "else" ? try closed("endfor") : []
        return .loop(
            TemplateNode.Loop(
                names: names, iterated: iterated, condition: condition, body: nodes,
                otherwise: otherwise), line: line)
    }

    private mutating func targetNames() throws(TemplateError) -> [String] {
        let isInside = skip("(")
        var names = [try name()]
        while skip(",") { names.append(try name()) }
        if isInside { try expect(")") }
        return names
    }

    private mutating func assignment(_ line: Int) throws(TemplateError) -> TemplateNode {
        var target = TemplateNode.Target.names(try targetNames())
        if case .names(let names) = target, names.count == 1, skip(".") {
            target = .member(names[0], try name())
        }
        if skip("=") {
            let value = try expressionOrTuple()
            try endBlock()
            return .assignment(target, value, line: line)
        }
        var filters: [TemplateExpression.Filter] = []
        while skip("|") { filters.append(try filter()) }
        try endBlock()
        return .capture(target, filters, try closed("endset"), line: line)
    }

    private mutating func macroHead() throws(TemplateError) -> TemplateNode.Macro {
        TemplateNode.Macro(name: try name(), parameters: try parameters(), body: [])
    }

    private mutating func parameters() throws(TemplateError) -> [(
        name: String, fallback: TemplateExpression?
    )] {
        try expect("(")
        var parameters: [(name: String, fallback: TemplateExpression?)] = []
        while !skip(")") {
            if !parameters.isEmpty { try expect(",") }
            if skip(")") { break }
            let name = try name()
            let fallback = skip("=") ? try expression() : nil
            guard fallback != nil || parameters.last?.fallback == nil else {
                throw fail("a parameter without a default behind one that has one")
            }
            parameters.append((name, fallback))
        }
        return parameters
    }
}
