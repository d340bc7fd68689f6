// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A part of a template that writes something or changes a name.
indirect enum TemplateNode: Sendable {
    case text(String)
    case output(TemplateExpression, line: Int)
    case condition(
        [(test: TemplateExpression, body: [TemplateNode])], otherwise: [TemplateNode], line: Int)
    case loop(Loop, line: Int)
    case assignment(Target, TemplateExpression, line: Int)
    /// What the body writes, through filters.
    case capture(Target, [TemplateExpression.Filter], [TemplateNode], line: Int)
    case macro(Macro)
    /// Calls a macro whose `caller()` writes the body.
    case call(TemplateExpression, Macro, line: Int)
    case filtered([TemplateExpression.Filter], [TemplateNode], line: Int)
    case group([TemplateNode])
    case breakLoop
    case continueLoop

    struct Loop: Sendable {
        var names: [String]
        var iterated: TemplateExpression
        var condition: TemplateExpression?
        var body: [TemplateNode]
        var otherwise: [TemplateNode]
    }

    struct Macro: Sendable {
        var name: String
        var parameters: [(name: String, fallback: TemplateExpression?)]
        var body: [TemplateNode]
    }

    enum Target: Sendable {
        case names([String])
        case member(String, String)
    }
}

indirect enum TemplateExpression: Sendable {
    case literal(TemplateValue)
    case name(String)
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case dictionary([(TemplateExpression, TemplateExpression)])
    case member(TemplateExpression, String)
    case item(TemplateExpression, TemplateExpression)
    case slice(TemplateExpression, TemplateExpression?, TemplateExpression?, TemplateExpression?)
    case call(TemplateExpression, Arguments)
    case filter(TemplateExpression, Filter)
    case test(TemplateExpression, Filter, isNegated: Bool)
    case not(TemplateExpression)
    case negative(TemplateExpression)
    case operation(Operator, TemplateExpression, TemplateExpression)
    case and(TemplateExpression, TemplateExpression)
    case or(TemplateExpression, TemplateExpression)
    case comparison(TemplateExpression, [(Comparison, TemplateExpression)])
    case conditional(TemplateExpression, test: TemplateExpression, otherwise: TemplateExpression?)

    struct Arguments: Sendable {
        var positional: [TemplateExpression] = []
        var named: [(String, TemplateExpression)] = []
    }

    struct Filter: Sendable {
        var name: String
        var arguments: Arguments
    }

    enum Operator: Sendable {
        case add, subtract, multiply, divide, floorDivide, remainder, power, join
    }
    enum Comparison: Sendable {
        case equal, unequal, less, lessOrEqual, greater, greaterOrEqual, isIn, isNotIn
    }
}
