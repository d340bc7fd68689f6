// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Which element types an operator takes, and which of its inputs must agree.
///
/// Kernels trust what passed here: an input of another width would be read past its end.
struct TypeRules: Sendable {
    /// One formal input: inputs of the same variable have the same type, out of `allowed`.
    private struct Formal: Sendable {
        var variable: Character
        /// A bit for each `ElementType`'s raw value.
        var allowed: UInt32
        var repeats = false
        var variesInRepeats = false
    }

    private let formals: [Formal]

    /// The rules of an operator of ONNX's own domains; nil for others.
    static func rules(of name: String, domain: String) -> TypeRules? {
        switch domain {
        case "": byName[Substring(name)]
        case "ai.onnx.ml": byName[Substring("ai.onnx.ml." + name)]
        default: nil
        }
    }

    private static let byName: [Substring: TypeRules] = {
        var rules: [Substring: TypeRules] = [:]
        for row in table.split(separator: "\n") {
            let words = row.split(separator: " ")
            guard let name = words.first else { continue }
            rules[name] = TypeRules(formals: words.dropFirst().compactMap(formal))
        }
        return rules
    }()

    private static func formal(_ word: Substring) -> Formal? {
        guard let variable = word.first else { return nil }
        let repeats = word.last == "+" || word.last == "~"
        let digits = word.dropFirst().dropLast(repeats ? 1 : 0)
        guard let allowed = UInt32(digits, radix: 16) else { return nil }
        return Formal(
            variable: variable, allowed: allowed, repeats: repeats,
            variesInRepeats: word.last == "~")
    }

    /// Checks a node's inputs as far as their types are known.
    /// - Throws: `GraphError` naming the node, the input and the type.
    func check(_ context: borrowing ShapeContext) throws(GraphError) {
        for slot in context.inputs.indices {
            guard let formal = formal(at: slot), let type = context.inputs[slot]?.elementType
            else { continue }
            guard formal.allowed >> UInt32(type.rawValue) & 1 != 0 else {
                throw context.failure("input \(slot) cannot be \(type)", code: .invalidModel)
            }
            if formal.variesInRepeats { continue }
            for other in 0..<slot {
                guard self.formal(at: other)?.variable == formal.variable,
                    let known = context.inputs[other]?.elementType, known != type
                else { continue }
                throw context.failure(
                    "input \(other) is \(known), input \(slot) is \(type): they must be alike",
                    code: .invalidModel)
            }
        }
    }

    private func formal(at slot: Int) -> Formal? {
        if slot < formals.count { return formals[slot] }
        if let last = formals.last, last.repeats { return last }
        return nil
    }
}
