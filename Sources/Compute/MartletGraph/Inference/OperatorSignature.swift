// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// What an operator takes by its standard: how many inputs, of which element types, which of them
/// must agree, and which attributes.
///
/// Kernels trust what passed here: an input of another width would be read past its end, and forms
/// that only passes may make have further inputs and attributes that no file may state.
struct OperatorSignature: Sendable {
    /// One formal input: inputs of the same variable have the same type, out of `allowed`.
    private struct Formal: Sendable {
        var variable: Character
        /// A bit for each `ElementType`'s raw value.
        var allowed: UInt32
        var repeats = false
        var variesInRepeats = false
    }

    private var formals: [Formal] = []
    /// Inputs of the version that took most; nil where the last one repeats.
    private var inputCountMax: Int?
    /// Those of all versions.
    private var attributes: Set<String> = []

    /// The signature of an operator of ONNX's own domains, and of those of ONNX Runtime's that are
    /// read too; nil for others.
    static func signature(of name: String, domain: String) -> OperatorSignature? {
        byName[domain.isEmpty || domain == "ai.onnx" ? name : "\(domain).\(name)"]
    }

    private static let byName: [String: OperatorSignature] = {
        var signatures: [String: OperatorSignature] = [:]
        for row in table.split(separator: "\n") {
            let words = row.split(separator: " ")
            guard let name = words.first else { continue }
            signatures[String(name)] = OperatorSignature(words.dropFirst())
        }
        return signatures
    }()

    private init(_ words: ArraySlice<Substring>) {
        var count: Int?
        for word in words {
            switch word.first {
            case "#": count = Int(word.dropFirst())
            case "@":
                attributes = Set(word.dropFirst().split(separator: ",").map(String.init))
            default:
                if let formal = OperatorSignature.formal(word) { formals.append(formal) }
            }
        }
        inputCountMax = formals.last?.repeats == true ? nil : count ?? formals.count
    }

    private static func formal(_ word: Substring) -> Formal? {
        guard let variable = word.first else { return nil }
        let repeats = word.last == "+" || word.last == "~"
        let digits = word.dropFirst().dropLast(repeats ? 1 : 0)
        guard let allowed = UInt32(digits, radix: 16) else { return nil }
        return Formal(
            variable: variable, allowed: allowed, repeats: repeats,
            variesInRepeats: word.last == "~")
    }

    /// What a node as a file has it states beyond the signature; nil where nothing.
    func surplus(inputCount: Int, attributes stated: some Sequence<String>) -> String? {
        if let inputCountMax, inputCount > inputCountMax {
            return "\(inputCount) inputs; the operator has at most \(inputCountMax)"
        }
        // Written by exporters for their own ends, or since gone from the standard.
        let unknown = stated.first { !attributes.contains($0) && $0 != "consumed_inputs" }
        return unknown.map { "attribute '\($0)', which the operator does not have" }
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
