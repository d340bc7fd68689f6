// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

// Runs whose structure follows from the data: a plan, nodes on whole values, the next plan, ….
extension StageContext {
    /// The most stages that one run goes through.
    static let stagesMax = 4096

    /// Runs the stage and all that come after it.
    func run(_ values: [EngineValue], _ state: RunState) throws -> [EngineValue] {
        let tensors = values.map { $0.tensor ?? StageContext.standIn }
        try check(values)
        var results: [Tensor] = []
        let plan = try run(tensors, outputs: &results, cancellation: state.cancellation)
        if plan.deferred.isEmpty { return results.map { .tensor($0) } }
        return try finish(plan, values, results, state)
    }

    /// What is left after this stage's plan has run.
    func finish(
        _ plan: Plan, _ values: [EngineValue], _ exports: [Tensor], _ state: RunState
    ) throws -> [EngineValue] {
        var context = self
        var plan = plan
        var values = values
        var exports = exports
        var results = [EngineValue?](repeating: nil, count: stage.graph.outputs.count)
        // For each output of the present stage, the result that it is.
        var targets = Array(results.indices)
        for _ in 0..<StageContext.stagesMax {
            let graph = context.stage.graph
            let continuation = try context.stage.continuation(of: plan)
            var registers = context.registers(values, plan, exports)
            for call in continuation.calls {
                try context.perform(call, &registers, state)
            }
            for (index, output) in graph.outputs.enumerated() {
                guard let value = context.read(output, registers) else { continue }
                results[targets[index]] = value
            }
            guard let rest = continuation.rest else {
                return try results.map { value in
                    guard let value else {
                        throw EngineError(.internal, "\(graph.name): an output was not computed")
                    }
                    return value
                }
            }
            values = try rest.inputs.map { input in
                guard let value = context.read(input, registers) else {
                    throw EngineError(
                        .internal, "'\(graph.name(of: input))' was not computed in time")
                }
                return value
            }
            targets = rest.outputs.map { targets[$0] }
            context = context.context(of: rest.stage)
            try context.check(values)
            let tensors = values.map { $0.tensor ?? StageContext.standIn }
            plan = try context.run(tensors, outputs: &exports, cancellation: state.cancellation)
            if plan.deferred.isEmpty {
                for (target, tensor) in zip(targets, exports) { results[target] = .tensor(tensor) }
                return try results.map { value in
                    guard let value else {
                        throw EngineError(.internal, "\(graph.name): an output was not computed")
                    }
                    return value
                }
            }
        }
        throw EngineError(
            .limitExceeded,
            "graph '\(stage.graph.name)': more than \(StageContext.stagesMax) stages follow from "
                + "the data")
    }

    private func check(_ values: [EngineValue]) throws {
        let graph = stage.graph
        guard values.count == graph.inputs.count else {
            throw EngineError(
                .invalidInput,
                "graph '\(graph.name)': expected \(graph.inputs.count) inputs, got \(values.count)")
        }
        for (input, value) in zip(graph.inputs, values)
        where !value.fits(graph.type(of: input).container) {
            throw EngineError(
                .invalidInput,
                "'\(graph.name(of: input))': expected \(graph.type(of: input)), "
                    + "got \(value.summary)")
        }
    }

    // MARK: Registers

    private func registers(
        _ values: [EngineValue], _ plan: Plan, _ exports: [Tensor]
    ) -> [EngineValue?] {
        var registers = [EngineValue?](repeating: nil, count: stage.graph.valueCount)
        for (input, value) in zip(stage.graph.inputs, values) {
            registers[Int(input.index)] = value
        }
        for (value, tensor) in zip(plan.exports, exports) {
            registers[Int(value.index)] = .tensor(tensor)
        }
        return registers
    }

    private func read(_ value: ValueID, _ registers: [EngineValue?]) -> EngineValue? {
        if let held = registers[Int(value.index)] { return held }
        return stage.graph.constant(value).map { .tensor($0) }
    }

    private func perform(
        _ call: Continuation.Call, _ registers: inout [EngineValue?], _ state: RunState
    ) throws {
        let graph = stage.graph
        try state.checkCancellation()
        let inputs = try graph.inputs(of: call.node).map { input -> EngineValue? in
            guard let input else { return nil }
            guard let value = read(input, registers) else {
                throw EngineError(.internal, "'\(graph.name(of: input))' was not computed in time")
            }
            return value
        }
        let outputs = graph.outputs(of: call.node)
        let hostCall = HostCall(
            inputs: inputs, attributes: graph.attributes[Int(call.node.index)],
            description: graph.describe(call.node), state: state,
            outputTypes: outputs.map { $0.map { graph.type(of: $0) } },
            bodies: BodyRunner(contexts: call.bodies.mapValues { context(of: $0) }))
        try call.host(hostCall)
        for (output, value) in zip(outputs, hostCall.outputs) {
            guard let output else { continue }
            guard let value else {
                throw hostCall.failure("'\(graph.name(of: output))' was not made", .internal)
            }
            guard value.fits(graph.type(of: output).container) else {
                throw hostCall.failure(
                    "'\(graph.name(of: output))': expected \(graph.type(of: output)), "
                        + "got \(value.summary)", .invalidInput)
            }
            registers[Int(output.index)] = value
        }
    }
}

/// Runs a node's bodies.
struct BodyRunner {
    let contexts: [String: StageContext]

    var names: [String] { contexts.keys.sorted() }

    /// What a body leaves behind counts no longer once it has ended; its results are its caller's
    /// to count.
    func run(
        _ name: String, _ inputs: [EngineValue], _ state: RunState, _ description: String
    ) throws -> [EngineValue] {
        guard let context = contexts[name] else {
            throw EngineError(.invalidModel, "\(description): it has no body '\(name)'")
        }
        return try state.scoped { try context.run(inputs, state) }
    }
}
