// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Renders a template once: visits its nodes, within limits.
struct TemplateInterpreter {
    let limits: TemplateLimits
    /// Seconds since the epoch, for `strftime_now`.
    let wallSeconds: Int64
    private(set) var output: [UInt8] = []
    private var steps = 0
    private var depth = 0
    var line = 0

    /// How a list of nodes ended.
    private enum Flow { case normal, breaks, continues }

    init(limits: TemplateLimits, wallSeconds: Int64) {
        self.limits = limits
        self.wallSeconds = wallSeconds
    }

    func fail(_ message: String) -> TemplateError { TemplateError(.invalid, message, line: line) }

    /// Counts work, so that a template that loops ends.
    mutating func charge(_ cost: Int = 1) throws(TemplateError) {
        steps += cost
        guard steps <= limits.stepsMax else {
            throw TemplateError(
                .limitExceeded, "more than \(limits.stepsMax) steps", line: line)
        }
    }

    /// A string that a template made.
    mutating func made(_ text: String) throws(TemplateError) -> TemplateValue {
        try check(byteCount: text.utf8.count)
        return .string(text)
    }

    mutating func check(byteCount: Int) throws(TemplateError) {
        guard byteCount <= limits.outputBytesMax else {
            throw TemplateError(
                .limitExceeded, "a text of more than \(limits.outputBytesMax) bytes", line: line)
        }
        try charge(1 + byteCount / 64)
    }

    mutating func made(_ values: [TemplateValue]) throws(TemplateError) -> TemplateValue {
        guard values.count <= limits.elementsMax else {
            throw TemplateError(
                .limitExceeded, "a list of more than \(limits.elementsMax) elements", line: line)
        }
        try charge(1 + values.count)
        return .list(values)
    }

    /// Goes one deeper, which `depth -= 1` undoes.
    mutating func enter() throws(TemplateError) {
        depth += 1
        guard depth <= limits.depthMax * 2 else {
            throw TemplateError(
                .limitExceeded, "more than \(limits.depthMax * 2) things inside one another",
                line: line)
        }
        try charge()
    }

    mutating func leave() { depth -= 1 }

    // MARK: Nodes

    mutating func render(
        _ nodes: [TemplateNode], _ scope: TemplateScope
    ) throws(TemplateError) -> String {
        _ = try run(nodes, scope)
        return String(decoding: output, as: UTF8.self)
    }

    private mutating func write(_ text: String) throws(TemplateError) {
        output += text.utf8
        try charge(1 + text.utf8.count / 64)
        guard output.count <= limits.outputBytesMax else {
            throw TemplateError(
                .limitExceeded, "a text of more than \(limits.outputBytesMax) bytes", line: line)
        }
    }

    private mutating func run(
        _ nodes: [TemplateNode], _ scope: TemplateScope
    ) throws(TemplateError) -> Flow {
        try enter()
        defer { leave() }
        for node in nodes {
            let flow = try run(node, scope)
            if flow != .normal { return flow }
        }
        return .normal
    }

    private mutating func run(
        _ node: TemplateNode, _ scope: TemplateScope
    ) throws(TemplateError) -> Flow {
        try charge()
        switch node {
        case .text(let text): try write(text)
        case .output(let expression, let line):
            self.line = line
            try write(try text(of: try evaluate(expression, scope)))
        case .condition(let branches, let otherwise, let line):
            for branch in branches {
                self.line = line
                if try evaluate(branch.test, scope).isTrue { return try run(branch.body, scope) }
            }
            return try run(otherwise, scope)
        case .loop(let loop, let line):
            self.line = line
            return try run(loop, scope)
        case .assignment(let target, let expression, let line):
            self.line = line
            try assign(try evaluate(expression, scope), to: target, scope)
        case .capture(let target, let filters, let body, let line):
            self.line = line
            let text = try captured(body, TemplateScope(parent: scope))
            try assign(try apply(filters, to: .string(text), scope), to: target, scope)
        case .macro(let macro):
            scope.values[macro.name] = .macro(TemplateMacro(definition: macro, scope: scope))
        case .call(let callee, let caller, let line):
            self.line = line
            guard case .call(let function, let arguments) = callee else {
                throw fail("'call' needs a call")
            }
            let value = try call(
                try evaluate(function, scope), arguments, scope,
                caller: TemplateMacro(definition: caller, scope: scope))
            try write(try text(of: value))
        case .filtered(let filters, let body, let line):
            self.line = line
            let inner = try captured(body, TemplateScope(parent: scope))
            try write(try text(of: try apply(filters, to: .string(inner), scope)))
        case .group(let body): return try run(body, scope)
        case .breakLoop: return .breaks
        case .continueLoop: return .continues
        }
        return .normal
    }

    /// What nodes write, instead of writing it.
    mutating func captured(
        _ nodes: [TemplateNode], _ scope: TemplateScope
    ) throws(TemplateError) -> String {
        var outer: [UInt8] = []
        swap(&outer, &output)
        defer { swap(&outer, &output) }
        _ = try run(nodes, scope)
        return String(decoding: output, as: UTF8.self)
    }

    private mutating func apply(
        _ filters: [TemplateExpression.Filter], to value: TemplateValue, _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateValue {
        var value = value
        for filter in filters { value = try self.filter(filter, value, scope) }
        return value
    }

    private mutating func assign(
        _ value: TemplateValue, to target: TemplateNode.Target, _ scope: TemplateScope
    ) throws(TemplateError) {
        switch target {
        case .member(let name, let member):
            guard case .namespace(let namespace)? = scope.find(name) else {
                throw fail("cannot set '\(member)' of '\(name)', which is no namespace")
            }
            namespace.values[member] = value
            try charge()
        case .names(let names): try bind(names, value, scope)
        }
    }

    private mutating func bind(
        _ names: [String], _ value: TemplateValue, _ scope: TemplateScope
    ) throws(TemplateError) {
        if names.count == 1 {
            scope.values[names[0]] = value
            return
        }
        let parts = try elements(of: value)
        guard parts.count == names.count else {
            throw fail("\(parts.count) values for \(names.count) names")
        }
        for (name, part) in zip(names, parts) { scope.values[name] = part }
    }

    // MARK: Loops

    private mutating func run(
        _ loop: TemplateNode.Loop, _ scope: TemplateScope
    ) throws(TemplateError) -> Flow {
        var items = try elements(of: try evaluate(loop.iterated, scope))
        if let condition = loop.condition {
            var kept: [TemplateValue] = []
            for item in items {
                let inner = TemplateScope(parent: scope)
                try bind(loop.names, item, inner)
                if try evaluate(condition, inner).isTrue { kept.append(item) }
            }
            items = kept
        }
        guard !items.isEmpty else { return try run(loop.otherwise, scope) }
        for index in items.indices {
            try charge()
            let inner = TemplateScope(parent: scope)
            inner.values["loop"] = .object(TemplateInterpreter.loopValue(items, index))
            try bind(loop.names, items[index], inner)
            if try run(loop.body, inner) == .breaks { break }
        }
        return .normal
    }

    private static func loopValue(_ items: [TemplateValue], _ index: Int) -> TemplateObject {
        var loop = TemplateObject()
        loop["index"] = .integer(index + 1)
        loop["index0"] = .integer(index)
        loop["revindex"] = .integer(items.count - index)
        loop["revindex0"] = .integer(items.count - index - 1)
        loop["first"] = .bool(index == 0)
        loop["last"] = .bool(index + 1 == items.count)
        loop["length"] = .integer(items.count)
        loop["previtem"] = index > 0 ? items[index - 1] : .undefined("previtem")
        loop["nextitem"] = index + 1 < items.count ? items[index + 1] : .undefined("nextitem")
        loop["depth"] = .integer(1)
        loop["depth0"] = .integer(0)
        return loop
    }

    /// What a loop goes over: elements, a string's characters, a dictionary's keys.
    mutating func elements(of value: TemplateValue) throws(TemplateError) -> [TemplateValue] {
        switch value {
        case .list(let values), .tuple(let values): return values
        case .undefined: return []
        case .string(let text):
            try charge(text.utf8.count)
            return text.unicodeScalars.map { .string(String(Character($0))) }
        case .object(let object): return object.keys.map { .string($0) }
        default: throw fail("'\(value.kind)' cannot be gone over")
        }
    }

    // MARK: Calls

    mutating func call(
        _ callee: TemplateValue, _ arguments: TemplateExpression.Arguments,
        _ scope: TemplateScope, caller: TemplateMacro? = nil
    ) throws(TemplateError) -> TemplateValue {
        var positional: [TemplateValue] = []
        for argument in arguments.positional { positional.append(try evaluate(argument, scope)) }
        var named = TemplateObject()
        for (name, argument) in arguments.named { named[name] = try evaluate(argument, scope) }
        switch callee {
        case .macro(let macro): return try call(macro, positional, named, caller: caller)
        case .function(let function): return try call(function, positional, named)
        case .method(let value, let name): return try method(name, of: value, positional, named)
        case .undefined(let name): throw fail("'\(name)' is undefined")
        default: throw fail("'\(callee.kind)' cannot be called")
        }
    }

    private mutating func call(
        _ macro: TemplateMacro, _ positional: [TemplateValue], _ named: TemplateObject,
        caller: TemplateMacro?
    ) throws(TemplateError) -> TemplateValue {
        try enter()
        defer { leave() }
        let definition = macro.definition
        guard positional.count <= definition.parameters.count else {
            throw fail("macro '\(definition.name)' takes \(definition.parameters.count) arguments")
        }
        let inner = TemplateScope(parent: macro.scope)
        if let caller { inner.values["caller"] = .macro(caller) }
        for (index, parameter) in definition.parameters.enumerated() {
            if index < positional.count {
                inner.values[parameter.name] = positional[index]
            } else if let value = named[parameter.name] {
                inner.values[parameter.name] = value
            } else if let fallback = parameter.fallback {
                inner.values[parameter.name] = try evaluate(fallback, inner)
            } else {
                inner.values[parameter.name] = .undefined(parameter.name)
            }
        }
        for name in named.keys where !definition.parameters.contains(where: { $0.name == name }) {
            throw fail("macro '\(definition.name)' takes no argument '\(name)'")
        }
        return .string(try captured(definition.body, inner))
    }

    private mutating func call(
        _ function: TemplateFunction, _ positional: [TemplateValue], _ named: TemplateObject
    ) throws(TemplateError) -> TemplateValue {
        switch function {
        case .raise:
            var message = ""
            if let given = positional.first { message = try text(of: given) }
            throw TemplateError(.raised, message, line: line)
        case .namespace, .dict:
            var object = TemplateObject()
            if case .object(let given)? = positional.first { object = given }
            for key in named.keys { object[key] = named[key] }
            return function == .dict
                ? .object(object) : .namespace(TemplateNamespace(object))
        case .now:
            guard case .string(let format)? = positional.first else {
                throw fail("strftime_now takes a format")
            }
            return try made(
                TemplateClock(secondsSinceEpoch: wallSeconds).format(format) ?? "")
        case .range:
            let numbers = positional.compactMap(\.asInteger)
            guard numbers.count == positional.count, (1...3).contains(numbers.count) else {
                throw fail("range takes one to three whole numbers")
            }
            let start = numbers.count > 1 ? numbers[0] : 0
            let end = numbers.count > 1 ? numbers[1] : numbers[0]
            let step = numbers.count > 2 ? numbers[2] : 1
            guard step != 0 else { throw fail("range: a step of 0") }
            let (distance, overflow) = end.subtractingReportingOverflow(start)
            let count =
                overflow || step == Int.min
                ? Int.max : max(0, (distance + (step > 0 ? step - 1 : step + 1)) / step)
            guard count <= limits.elementsMax else {
                throw TemplateError(
                    .limitExceeded, "range: more than \(limits.elementsMax) elements", line: line)
            }
            return try made((0..<count).map { .integer(start + $0 * step) })
        }
    }
}
