// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletGraph
internal import MartletTensor

/// Turns a graph and concrete input shapes into a plan.
final class PlanBuilder {
    let graph: Graph
    let weights: PackedWeights
    /// As `EngineOptions.threads`; 0 means the whole pool.
    let threads: Int32
    let precision: EnginePrecision
    var slots = SlotTable()

    let operators: OperatorTable
    private(set) var deferred: [NodeID] = []
    private var steps: [StepRecord] = []
    private var arguments: [UInt8] = []
    private var stepNodes: [Plan.StepNode] = []
    /// What no kernel can do, gathered so that all of it is told at once.
    private var refusals: [EngineError] = []
    private static let listedMax = 50
    /// By `ValueID`: what is known of a value once it has been reached.
    private(set) var operands: [Operand?]

    init(
        graph: Graph, operators: OperatorTable, weights: PackedWeights, threads: Int32,
        precision: EnginePrecision
    ) {
        self.graph = graph
        self.operators = operators
        self.weights = weights
        self.threads = threads
        self.precision = precision
        operands = Array(repeating: nil, count: graph.valueCount)
    }

    /// - Throws: `EngineError` naming every node that no kernel can do, or the first one that
    ///   cannot be planned for another reason.
    func build(_ key: Plan.Key, _ inferred: InferredTypes) throws -> Plan {
        do {
            let plan = try planned(key, inferred)
            try throwRefusals()
            return plan
        } catch {
            // What follows from a refusal is no news.
            try throwRefusals()
            throw error
        }
    }

    private func throwRefusals() throws {
        guard let first = refusals.first else { return }
        if refusals.count == 1 { throw first }
        let lines = refusals.prefix(PlanBuilder.listedMax).map { "\n- \($0.message)" }.joined()
        let rest = refusals.count - PlanBuilder.listedMax
        throw EngineError(
            .unsupported,
            "graph '\(graph.name)': \(refusals.count) problems\(lines)"
                + (rest > 0 ? "\n- and \(rest) more" : ""))
    }

    private func planned(_ key: Plan.Key, _ inferred: InferredTypes) throws -> Plan {
        for (index, value) in graph.inputs.enumerated()
        where graph.type(of: value).container == .tensor {
            if let content = key.contents.first(where: { $0.input == index }) {
                define(value, content.tensor, isGraphs: false)
                continue
            }
            let (type, shape, byteCount) = try sized(value, inferred)
            operands[Int(value.index)] = Operand(
                slot: slots.addInput(index, byteCount: byteCount), elementType: type, shape: shape,
                constant: nil, value: value)
        }
        for node in graph.nodes {
            if knowOutputs(graph.outputs(of: node), inferred) { continue }
            if shouldDefer(node) {
                deferred.append(node)
            } else {
                try lowerOrNote(node, inferred)
            }
        }
        let exports = deferred.isEmpty ? graph.outputs : neededLater()
        let outputs = try exports.enumerated().map { try placeOutput($0, $1) }
        guard let (placements, arenaByteCount) = slots.place() else {
            throw EngineError(.limitExceeded, "graph '\(graph.name)': the arena's size overflows")
        }
        return Plan(
            key: key, deferred: deferred, exports: exports, steps: steps, arguments: arguments,
            placements: placements, arenaByteCount: arenaByteCount, outputs: outputs,
            stepNodes: stepNodes)
    }

    // MARK: Nodes

    private func lowerOrNote(_ node: NodeID, _ inferred: InferredTypes) throws {
        do {
            try lower(node, inferred)
        } catch let error as EngineError {
            guard error.code == .unsupported else { throw error }
            refusals.append(error)
        }
    }

    private func lower(_ node: NodeID, _ inferred: InferredTypes) throws {
        let outputIDs = graph.outputs(of: node)
        let inputs = try graph.inputs(of: node).map { try $0.map(operand) }
        var isEmpty = true
        let outputs = try outputIDs.map { value -> Operand? in
            guard let value else { return nil }
            let (type, shape, byteCount) = try sized(value, inferred)
            if byteCount > 0 || type == .bytes { isEmpty = false }
            let operand = Operand(
                slot: slots.addArena(byteCount: byteCount), elementType: type, shape: shape,
                constant: nil, value: value)
            operands[Int(value.index)] = operand
            return operand
        }
        if isEmpty { return }
        let schema = graph.schema(of: node)
        guard let native = operators.operator(for: schema) else {
            throw EngineError(.unsupported, "\(graph.describe(node)): operator not supported")
        }
        let first = steps.count
        let lowering = Lowering(
            builder: self, inputs: inputs, outputs: outputs,
            attributes: graph.attributes[Int(node.index)], description: graph.describe(node))
        try native.lower(lowering)
        noteWork(OperatorWork(schema.name, inputs: inputs, outputs: outputs), from: first)
        let range = first..<steps.count
        for case let operand? in inputs + outputs { slots.touch(operand.slot, steps: range) }
        for slot in lowering.scratchSlots { slots.touch(slot, steps: range) }
    }

    /// Puts down what a node's steps do together.
    private func noteWork(_ work: OperatorWork, from first: Int) {
        guard first < steps.count else { return }
        for index in first..<(steps.count - 1) { stepNodes[index].isLast = false }
        stepNodes[steps.count - 1].work = work
    }

    /// Whether shape inference knows all that the node computes; its outputs are constants then.
    private func knowOutputs(_ outputs: [ValueID?], _ inferred: InferredTypes) -> Bool {
        var tensors: [(ValueID, Tensor)] = []
        for case let output? in outputs {
            guard let tensor = inferred.value(of: output)?.tensor() else { return false }
            tensors.append((output, tensor))
        }
        for (output, tensor) in tensors { define(output, tensor, isGraphs: false) }
        return true
    }

    private func operand(_ value: ValueID) throws -> Operand {
        if let operand = operands[Int(value.index)] { return operand }
        guard let tensor = graph.constant(value) else {
            throw EngineError(
                .invalidModel, "value '\(graph.name(of: value))' is read before it is computed")
        }
        return define(value, tensor, isGraphs: true)
    }

    @discardableResult
    private func define(_ value: ValueID, _ tensor: Tensor, isGraphs: Bool) -> Operand {
        let operand = Operand(
            slot: slots.addFixed(tensor), elementType: tensor.elementType, shape: tensor.shape,
            constant: tensor, value: isGraphs ? value : nil)
        operands[Int(value.index)] = operand
        return operand
    }

    private func sized(
        _ value: ValueID, _ inferred: InferredTypes
    ) throws -> (type: ElementType, shape: Shape, byteCount: Int) {
        let type = inferred.type(of: value)
        guard let elementType = type.elementType, let shape = type.fixedShape else {
            let producer = graph.producer(of: value).map { graph.describe($0) } ?? graph.name
            throw EngineError(
                .unsupported,
                "\(producer): the shape of '\(graph.name(of: value))' depends on the data")
        }
        guard let count = shape.elementCountChecked else {
            throw EngineError(
                .limitExceeded, "value '\(graph.name(of: value))': shape \(shape) overflows")
        }
        if elementType == .bytes { return (elementType, shape, 0) }
        guard let byteCount = elementType.byteCount(elements: count) else {
            throw EngineError(
                .limitExceeded, "value '\(graph.name(of: value))': shape \(shape) overflows")
        }
        return (elementType, shape, byteCount)
    }

    // MARK: What lowerings write

    func append<Arguments: BitwiseCopyable>(
        _ kernel: StepKernel, _ block: Arguments, description: String
    ) {
        while arguments.count % 16 != 0 { arguments.append(0) }
        unsafe steps.append(StepRecord(kernel: kernel, argumentsOffset: arguments.count))
        unsafe withUnsafeBytes(of: block) { bytes in
            unsafe arguments.append(contentsOf: bytes)
        }
        let parts = description.split(separator: " ", maxSplits: 1)
        stepNodes.append(
            Plan.StepNode(name: description, operatorName: parts.first.map(String.init) ?? ""))
    }

    /// Gives a value another slot than the one made for it.
    func redirect(_ operand: Operand, to slot: Slot) {
        guard let value = operand.value else { return }
        operands[Int(value.index)] = Operand(
            slot: slot, elementType: operand.elementType, shape: operand.shape, constant: nil,
            value: value)
    }

    // MARK: Outputs

    private func placeOutput(_ index: Int, _ value: ValueID) throws -> Plan.Output {
        let operand = try operand(value)
        let byteCount = operand.elementType.byteCount(elements: operand.count) ?? 0
        func output(_ source: Plan.OutputSource) -> Plan.Output {
            Plan.Output(
                elementType: operand.elementType, shape: operand.shape, byteCount: byteCount,
                source: source)
        }
        if let constant = operand.constant { return output(.constant(constant)) }
        switch slots.placeOutput(index, at: operand.slot, byteCount: byteCount) {
        case .placed: return output(.computed)
        case .input(let input): return output(.copyOfInput(input))
        case .fixed, .needsCopy:
            guard operand.elementType != .bytes else {
                throw EngineError(
                    .unsupported,
                    "output '\(graph.name(of: value))': computed elements of type BYTES")
            }
            let slot = slots.addOutput(index, byteCount: byteCount)
            let first = steps.count
            unsafe append(
                copyStep, CopyArguments(from: operand.slot, to: slot, byteCount: byteCount),
                description: "Copy of '\(graph.name(of: value))'")
            slots.touch(operand.slot, steps: first..<steps.count)
            slots.touch(slot, steps: first..<steps.count)
            return output(.computed)
        }
    }
}

struct CopyArguments: BitwiseCopyable {
    var from: Slot
    var to: Slot
    var byteCount: Int
}

func copyStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: CopyArguments.self)
    let frame = unsafe StepFrame(frame)
    if let from = unsafe frame[arguments.from], let to = unsafe frame[arguments.to] {
        unsafe memcpy(to, from, arguments.byteCount)
    }
    return StepStatus.done
}
