// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How far a graph has come, and what it may contain there.
///
/// | | imported | optimised |
/// | --- | --- | --- |
/// | invariants of `verify()`, in every body too | yes | yes |
/// | operators in their newest form only | yes | yes |
/// | fused operators (domain martlet) | those that files name | any |
/// | a condition that is a constant | may be | never, its branch stands in its place |
/// | nodes that nothing reads | may be | never |
/// | inputs of fused operators (`FusedForm`) | – | as stated |
/// | captures that are constants | may be | never, bodies hold them |
public enum GraphStage: Sendable {
    /// What an importer or builder hands over.
    case imported
    /// What planning starts from.
    case optimised
}

extension Graph {
    /// Everything in the graph that its stage does not allow; empty for a legal one.
    public func violations(of stage: GraphStage) -> [String] {
        var found = verify().map(\.description)
        for node in nodes {
            if schema(of: node) == .alignAxis {
                found.append("\(describe(node)): only an import in progress has it")
            }
            guard stage == .optimised else { continue }
            if let violation = fusedFormViolation(at: node) { found.append(violation) }
            let results = outputs(of: node).compactMap { $0 }
            if results.allSatisfy({ consumers(of: $0).isEmpty && !isOutput($0) }) {
                found.append("\(describe(node)): nothing reads what it makes")
            }
            if schema(of: node) == .if, let condition = input(0, of: node),
                constant(condition) != nil
            {
                found.append("\(describe(node)): its condition is a constant")
            }
            for body in bodies(of: node) {
                for place in body.captures {
                    guard let value = input(place, of: node), constant(value) != nil else {
                        continue
                    }
                    found.append(
                        "\(describe(node)), \(body.name): captures the constant "
                            + "'\(name(of: value))'")
                }
                found += body.graph.violations(of: stage).map {
                    "\(describe(node)), \(body.name): \($0)"
                }
            }
        }
        return found
    }
}
