// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

// What a plan leaves for later: nodes that run on whole values, and nodes whose shapes follow from
// contents that only a run can tell.
extension PlanBuilder {
    func shouldDefer(_ node: NodeID) -> Bool {
        for case let output? in graph.outputs(of: node)
        where graph.type(of: output).container != .tensor { return true }
        let schema = graph.schema(of: node)
        if operators.operator(for: schema)?.isHostOnly ?? false { return true }
        let inputs = graph.inputs(of: node)
        for case let input? in inputs where operands[Int(input.index)] == nil {
            // Neither computed here nor a constant: deferred itself, or no tensor.
            if graph.constant(input) == nil { return true }
        }
        for slot in schema.contentInputs where slot < inputs.count {
            guard let input = inputs[slot], graph.constant(input) == nil else { continue }
            if operands[Int(input.index)]?.constant == nil { return true }
        }
        return false
    }

    /// Values that this plan computes and that deferred nodes or the graph's users read.
    func neededLater() -> [ValueID] {
        var isTaken = [Bool](repeating: false, count: graph.valueCount)
        var values: [ValueID] = []
        func take(_ value: ValueID) {
            guard !isTaken[Int(value.index)], operands[Int(value.index)] != nil,
                graph.constant(value) == nil
            else { return }
            isTaken[Int(value.index)] = true
            values.append(value)
        }
        // Inputs are there without being computed.
        for input in graph.inputs { isTaken[Int(input.index)] = true }
        for node in deferred {
            for case let input? in graph.inputs(of: node) { take(input) }
        }
        for output in graph.outputs { take(output) }
        return values
    }
}
