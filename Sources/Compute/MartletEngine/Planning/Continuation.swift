// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

/// How a run goes on where a plan ends: nodes that run one by one on whole values, then the next
/// stage, which is planned once those values are there.
///
/// Values are kept in registers, one for each value of the stage's graph.
final class Continuation: Sendable {
    /// A node that runs on whole values, and the stages of its bodies.
    struct Call: Sendable {
        let node: NodeID
        let host: HostOperator
        let bodies: [String: Stage]
    }

    /// What is left after the calls.
    struct Rest: Sendable {
        let stage: Stage
        /// The registers that become the next stage's inputs.
        let inputs: [ValueID]
        /// For each output of the next stage, the output of this one that it is.
        let outputs: [Int]
    }

    let calls: [Call]
    let rest: Rest?

    init(of plan: Plan, in stage: Stage) throws {
        let graph = stage.graph
        var isReady = [Bool](repeating: true, count: graph.valueCount)
        for node in plan.deferred {
            for case let output? in graph.outputs(of: node) { isReady[Int(output.index)] = false }
        }
        var calls: [Call] = []
        var left: [NodeID] = []
        for node in plan.deferred {
            let inputs = graph.inputs(of: node)
            guard inputs.allSatisfy({ $0.map { isReady[Int($0.index)] } ?? true }),
                let host = stage.environment.operators.host(for: node, in: graph)
            else {
                left.append(node)
                continue
            }
            calls.append(
                Call(
                    node: node, host: host, bodies: Continuation.bodies(of: node, in: stage)))
            for case let output? in graph.outputs(of: node) { isReady[Int(output.index)] = true }
        }
        guard !left.isEmpty else {
            self.calls = calls
            rest = nil
            return
        }
        // A stage gets somewhere, or no later one does.
        guard !calls.isEmpty || left.count < graph.nodeCount else {
            throw EngineError(
                .unsupported,
                "\(graph.describe(left[0])): a shape depends on data that cannot be followed")
        }
        self.calls = calls
        rest = try Continuation.rest(left, isReady, in: stage)
    }

    private static func bodies(of node: NodeID, in stage: Stage) -> [String: Stage] {
        var bodies: [String: Stage] = [:]
        for (name, attribute) in stage.graph.attributes[Int(node.index)] {
            guard case .graph(let body) = attribute else { continue }
            bodies[name] = Stage(graph: body, environment: stage.environment)
        }
        return bodies
    }

    private static func rest(
        _ left: [NodeID], _ isReady: [Bool], in stage: Stage
    ) throws -> Rest {
        let graph = stage.graph
        var next = Graph(name: graph.name)
        var inputs: [ValueID] = []
        var moved = [ValueID?](repeating: nil, count: graph.valueCount)
        func read(_ value: ValueID) -> ValueID {
            if let known = moved[Int(value.index)] { return known }
            let made: ValueID
            if let tensor = graph.constant(value) {
                made = next.addConstant(name: graph.name(of: value), tensor)
            } else if isReady[Int(value.index)] {
                inputs.append(value)
                made = next.addInput(
                    name: graph.name(of: value),
                    type: ValueType(container: graph.type(of: value).container))
            } else {
                made = next.addValue(name: graph.name(of: value), type: graph.type(of: value))
            }
            moved[Int(value.index)] = made
            return made
        }
        for node in left {
            let nodeInputs = graph.inputs(of: node).map { $0.map(read) }
            let nodeOutputs = graph.outputs(of: node).map { $0.map(read) }
            next.addNode(
                graph.schema(of: node), name: graph.name(of: node), inputs: nodeInputs,
                outputs: nodeOutputs, attributes: graph.attributes[Int(node.index)])
        }
        var outputs: [Int] = []
        for (index, output) in graph.outputs.enumerated() where !isReady[Int(output.index)] {
            outputs.append(index)
            next.outputs.append(read(output))
        }
        return Rest(
            stage: Stage(graph: next, environment: stage.environment), inputs: inputs,
            outputs: outputs)
    }
}
