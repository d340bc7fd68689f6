// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A rule that a graph breaks.
public struct GraphViolation: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        case idOutOfRange, severalProducers, staleProducer, staleConsumers, usedBeforeProduced
        case undefinedValue, duplicateName, constantWithProducer, bodyMismatch
    }

    public var kind: Kind
    public var message: String

    public var description: String { "\(kind.rawValue): \(message)" }
}

extension Graph {
    /// Every broken invariant, in node order; empty for a sound graph. Linear.
    public func verify() -> [GraphViolation] {
        var violations: [GraphViolation] = []
        func report(_ kind: GraphViolation.Kind, _ message: String) {
            violations.append(GraphViolation(kind: kind, message: message))
        }
        guard verifyRanges(report) else { return violations }
        var isDefined = [Bool](repeating: false, count: valueCount)
        for input in inputs { isDefined[Int(input.index)] = true }
        for constant in constants.keys {
            isDefined[Int(constant.index)] = true
            if producer(of: constant) != nil {
                report(.constantWithProducer, "'\(name(of: constant))' is computed and constant")
            }
        }
        var uses = [Int](repeating: 0, count: valueCount)
        for node in nodes {
            for case let input? in inputs(of: node) {
                uses[Int(input.index)] += 1
                if isDefined[Int(input.index)] { continue }
                let kind: GraphViolation.Kind =
                    producer(of: input) == nil ? .undefinedValue : .usedBeforeProduced
                report(kind, "\(describe(node)) reads '\(name(of: input))'")
            }
            for case let output? in outputs(of: node) where constants[output] == nil {
                if isDefined[Int(output.index)] {
                    report(.severalProducers, "'\(name(of: output))' of \(describe(node))")
                }
                if producer(of: output) != node {
                    report(.staleProducer, "'\(name(of: output))' of \(describe(node))")
                }
                isDefined[Int(output.index)] = true
            }
        }
        for output in outputs where !isDefined[Int(output.index)] {
            report(.undefinedValue, "output '\(name(of: output))'")
        }
        for value in 0..<valueCount where consumers[value].count != uses[value] {
            report(.staleConsumers, "'\(valueNames[value])'")
        }
        for node in nodes where hasBodies(node) { verifyBodies(of: node, report) }
        var names: Set<String> = []
        for value in inputs + outputs.filter({ !inputs.contains($0) })
        where !names.insert(name(of: value)).inserted {
            report(.duplicateName, "'\(name(of: value))' names two inputs or outputs")
        }
        return violations
    }

    /// Bodies must be sound themselves, and take what the node gives them.
    private func verifyBodies(
        of node: NodeID, _ report: (GraphViolation.Kind, String) -> Void
    ) {
        let bodies = bodies(of: node)
        let stated = attributes[Int(node.index)].values.count { attribute in
            if case .graph = attribute { true } else { false }
        }
        if bodies.count != stated {
            report(.bodyMismatch, "\(describe(node)): a graph captures what is not there")
        }
        for body in bodies {
            let captured = body.captures.map { inputs(of: node)[$0] }
            if captured.contains(where: { $0 == nil }) {
                report(.bodyMismatch, "\(describe(node)), \(body.name): captures an absent input")
            }
            for violation in body.graph.verify() {
                report(violation.kind, "\(describe(node)), \(body.name): \(violation.message)")
            }
        }
    }

    private func verifyRanges(_ report: (GraphViolation.Kind, String) -> Void) -> Bool {
        func inRange(_ value: ValueID) -> Bool { value.index >= 0 && value.index < valueCount }
        var isSound = true
        for node in nodes {
            for case let value? in inputs(of: node) + outputs(of: node) where !inRange(value) {
                report(.idOutOfRange, "value \(value.index) at \(describe(node))")
                isSound = false
            }
        }
        for value in inputs + outputs where !inRange(value) {
            report(.idOutOfRange, "value \(value.index) among inputs and outputs")
            isSound = false
        }
        return isSound
    }

    /// "MatMul 'encoder/query'": how messages name a node.
    package func describe(_ node: NodeID) -> String {
        let name = name(of: node)
        if !name.isEmpty { return "\(schema(of: node)) '\(name)'" }
        let first = outputs(of: node).lazy.compactMap { $0 }.first
        return "\(schema(of: node)) of '\(first.map { self.name(of: $0) } ?? "")'"
    }
}
