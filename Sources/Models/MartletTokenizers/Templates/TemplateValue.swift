// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// A value that a template computes with: Python's, as far as templates see them.
enum TemplateValue: Sendable {
    /// The name that is not known, for the error of whoever needs it.
    case undefined(String)
    case none
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case list([TemplateValue])
    case tuple([TemplateValue])
    case object(TemplateObject)
    case namespace(TemplateNamespace)
    case macro(TemplateMacro)
    case function(TemplateFunction)
    /// A method taken from a value, to be called.
    indirect case method(TemplateValue, String)

    init(_ value: JSONValue) {
        switch value {
        case .null: self = .none
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(Int(value))
        case .number(let value): self = .number(value)
        case .string(let value): self = .string(value)
        case .array(let values): self = .list(values.map(TemplateValue.init))
        case .object(let members):
            var object = TemplateObject()
            for (key, value) in members { object[key] = TemplateValue(value) }
            self = .object(object)
        }
    }

    /// Python's truth.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .number(let value): value != 0
        case .string(let value): !value.utf8.isEmpty
        case .list(let values), .tuple(let values): !values.isEmpty
        case .object(let object): object.count > 0
        default: true
        }
    }

    var kind: String {
        switch self {
        case .undefined: "undefined"
        case .none: "None"
        case .bool: "bool"
        case .integer: "int"
        case .number: "float"
        case .string: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .object: "dict"
        case .namespace: "namespace"
        case .macro: "macro"
        case .function, .method: "function"
        }
    }

    var elements: [TemplateValue]? {
        switch self {
        case .list(let values), .tuple(let values): values
        default: nil
        }
    }

    /// Booleans count as 0 and 1.
    var asInteger: Int? {
        switch self {
        case .integer(let value): value
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    var asNumber: Double? {
        if case .number(let value) = self { return value }
        return asInteger.map(Double.init)
    }

    static func equal(_ left: TemplateValue, _ right: TemplateValue) -> Bool {
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let left), .string(let right)):
            return left.utf8.elementsEqual(right.utf8)
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            return left.count == right.count && zip(left, right).allSatisfy(equal)
        case (.object(let left), .object(let right)):
            return left.count == right.count
                && left.keys.allSatisfy { key in
                    guard let other = right[key], let own = left[key] else { return false }
                    return equal(own, other)
                }
        case (.namespace(let left), .namespace(let right)): return left === right
        default:
            if let left = left.asInteger, let right = right.asInteger { return left == right }
            guard let left = left.asNumber, let right = right.asNumber else { return false }
            return left == right
        }
    }
}

/// A dictionary with string keys in the order of their insertion.
struct TemplateObject: Sendable {
    private(set) var keys: [String] = []
    private var values: [Key: TemplateValue] = [:]

    /// Compared by bytes, as Python compares strings.
    private struct Key: Hashable, Sendable {
        var bytes: [UInt8]
        init(_ text: String) { bytes = Array(text.utf8) }
    }

    var count: Int { keys.count }

    subscript(key: String) -> TemplateValue? {
        get { values[Key(key)] }
        set {
            let place = Key(key)
            if values[place] == nil, newValue != nil { keys.append(key) }
            if newValue == nil { keys.removeAll { Key($0) == place } }
            values[place] = newValue
        }
    }
}

/// What `namespace(…)` makes: values that blocks inside may change.
// Sendable: made and changed by one rendering, on its thread.
final class TemplateNamespace: @unchecked Sendable {
    var values: TemplateObject

    init(_ values: TemplateObject) { self.values = values }
}

/// A macro with the scope that it was defined in.
struct TemplateMacro: Sendable {
    let definition: TemplateNode.Macro
    let scope: TemplateScope
}

enum TemplateFunction: Sendable {
    case range, namespace, dict, raise, now
}

/// Names and their values, and the scope around.
// Sendable: as TemplateNamespace.
final class TemplateScope: @unchecked Sendable {
    var values: [String: TemplateValue] = [:]
    let parent: TemplateScope?

    init(parent: TemplateScope?) { self.parent = parent }

    func find(_ name: String) -> TemplateValue? {
        var scope: TemplateScope? = self
        while let current = scope {
            if let value = current.values[name] { return value }
            scope = current.parent
        }
        return nil
    }
}
