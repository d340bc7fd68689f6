// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// What shape inference found, by `ValueID`.
public struct InferredTypes: Sendable {
    public internal(set) var types: [ValueType]
    /// Contents that follow from shapes and constants alone: a planner need not compute them.
    public internal(set) var values: [HostValue?]

    public func type(of value: ValueID) -> ValueType { types[Int(value.index)] }
    public func shape(of value: ValueID) -> Shape? { types[Int(value.index)].fixedShape }
    public func value(of value: ValueID) -> HostValue? { values[Int(value.index)] }
}

/// Works out every value's type from the inputs', following shape arithmetic as it goes.
///
/// With the inputs' shapes given, every shape that depends on nothing else comes out as numbers;
/// without, dimensions are expressions over the inputs' symbols. One instance serves many runs: a
/// run costs about half a microsecond a node.
public struct ShapeInference: Sendable {
    public let graph: Graph
    private let nodes: [NodeID]
    private let constants: [Tensor?]

    public init(_ graph: Graph) {
        self.graph = graph
        nodes = Array(graph.nodes)
        var constants = [Tensor?](repeating: nil, count: graph.valueCount)
        for (value, tensor) in graph.constants { constants[Int(value.index)] = tensor }
        self.constants = constants
    }

    /// - Parameter inputShapes: the graph's inputs' shapes, in order; nil keeps what they declare.
    /// - Throws: `GraphError` naming the node, or the input whose shape is not the declared one.
    public func run(inputShapes: [Shape]? = nil) throws(GraphError) -> InferredTypes {
        guard let inputShapes else {
            return try run(inputTypes: graph.inputs.map { graph.type(of: $0) })
        }
        guard inputShapes.count == graph.inputs.count else {
            throw wrongCount(inputShapes.count)
        }
        var types: [ValueType] = []
        types.reserveCapacity(inputShapes.count)
        for (input, shape) in zip(graph.inputs, inputShapes) {
            var type = graph.type(of: input)
            if type.container == .tensor { type.dimensions = shape.map { Dimension($0) } }
            types.append(type)
        }
        return try run(inputTypes: types)
    }

    /// With what is known of the inputs' types and contents, in their order.
    /// - Parameter followsBodies: whether control flow's bodies are looked into, which costs as
    ///   much as they are large.
    /// - Throws: `GraphError` naming the node, or the input whose type is not the declared one.
    public func run(
        inputTypes: [ValueType], values: [HostValue?] = [], followsBodies: Bool = true
    ) throws(GraphError) -> InferredTypes {
        guard inputTypes.count == graph.inputs.count else { throw wrongCount(inputTypes.count) }
        for (input, type) in zip(graph.inputs, inputTypes)
        where !type.fits(graph.type(of: input)) {
            throw GraphError(
                .invalidShape,
                "input '\(graph.name(of: input))': expected \(graph.type(of: input)), got \(type)")
        }
        var context = ShapeContext(graph: graph, symbols: FreshSymbols())
        context.followsBodies = followsBodies
        return try run(inputTypes, values, &context)
    }

    /// What a body makes of inputs of these types; sizes that follow from nothing known are told
    /// apart from those of the graphs around it.
    func results(
        _ inputTypes: [ValueType], symbols: FreshSymbols, bodyDepth: Int
    ) throws(GraphError) -> [ValueType] {
        guard inputTypes.count == graph.inputs.count else { throw wrongCount(inputTypes.count) }
        var context = ShapeContext(graph: graph, symbols: symbols)
        context.bodyDepth = bodyDepth
        let inferred = try run(inputTypes, [], &context)
        return graph.outputs.map { inferred.type(of: $0) }
    }

    /// What the rule of one node sees once types are known.
    func context(of node: NodeID, _ inferred: InferredTypes) -> ShapeContext {
        var context = ShapeContext(graph: graph, symbols: FreshSymbols())
        context.node = node
        context.attributes = graph.attributes[Int(node.index)]
        context.inputs = graph.inputs(of: node).map { $0.map { inferred.type(of: $0) } }
        return context
    }

    private func run(
        _ inputTypes: [ValueType], _ values: [HostValue?], _ context: inout ShapeContext
    ) throws(GraphError) -> InferredTypes {
        var result = InferredTypes(
            types: graph.valueTypes,
            values: [HostValue?](repeating: nil, count: graph.valueCount))
        for (input, type) in zip(graph.inputs, inputTypes) {
            result.types[Int(input.index)] = type
        }
        for (input, value) in zip(graph.inputs, values) {
            result.values[Int(input.index)] = value
        }
        for node in nodes { try infer(node, in: &context, into: &result) }
        return result
    }

    /// Goes on behind nodes whose inputs do not fit; what they make is of unknown type then.
    func runTellingAll() -> (InferredTypes, failures: [GraphError]) {
        var result = InferredTypes(
            types: graph.valueTypes,
            values: [HostValue?](repeating: nil, count: graph.valueCount))
        var context = ShapeContext(graph: graph, symbols: FreshSymbols())
        var failures: [GraphError] = []
        for node in nodes {
            do throws(GraphError) {
                try infer(node, in: &context, into: &result)
            } catch {
                failures.append(error)
                for case let output? in graph.outputs(of: node) {
                    result.types[Int(output.index)] = ValueType()
                }
            }
        }
        return (result, failures)
    }

    private func wrongCount(_ count: Int) -> GraphError {
        GraphError(
            .invalidShape,
            "graph '\(graph.name)' has \(graph.inputs.count) inputs, got \(count)")
    }

    private func infer(
        _ node: NodeID, in context: inout ShapeContext, into result: inout InferredTypes
    ) throws(GraphError) {
        let index = Int(node.index)
        if !context.followsBodies && graph.hasBodies(node) {
            // Their values come to be at the run; only what holds them is known.
            for case let output? in graph.nodeOutputs[index] {
                result.types[Int(output.index)].dimensions = nil
            }
            return
        }
        context.inputs.removeAll(keepingCapacity: true)
        context.values.removeAll(keepingCapacity: true)
        context.constants.removeAll(keepingCapacity: true)
        context.outputs.removeAll(keepingCapacity: true)
        context.outputValues.removeAll(keepingCapacity: true)
        for input in graph.nodeInputs[index] {
            guard let input else {
                context.inputs.append(nil)
                context.values.append(nil)
                context.constants.append(nil)
                continue
            }
            context.inputs.append(result.types[Int(input.index)])
            context.values.append(result.values[Int(input.index)])
            context.constants.append(constants[Int(input.index)])
        }
        let outputs = graph.nodeOutputs[index]
        for _ in outputs {
            context.outputs.append(ValueType())
            context.outputValues.append(nil)
        }
        context.attributes = graph.attributes[index]
        context.node = node
        try graph.operators[index].signature?.check(context)
        try graph.operators[index].infer(&context)
        for (slot, output) in outputs.enumerated() {
            guard let output, constants[Int(output.index)] == nil else { continue }
            result.types[Int(output.index)] = context.outputs[slot]
            result.values[Int(output.index)] = context.outputValues[slot]
        }
    }
}

extension ValueType {
    /// Whether a value of this type may stand where `declared` is asked for.
    func fits(_ declared: ValueType) -> Bool {
        guard container == declared.container else { return false }
        if let elementType, let wanted = declared.elementType, elementType != wanted {
            return false
        }
        if let shape = fixedShape, shape.elementCountChecked == nil { return false }
        guard let dimensions, let wanted = declared.dimensions else { return true }
        guard dimensions.count == wanted.count else { return false }
        for (size, wanted) in zip(dimensions, wanted) {
            if let size = size.fixed, let wanted = wanted.fixed, size != wanted { return false }
        }
        return true
    }
}

extension Graph {
    /// Fills in `valueTypes` from the inputs' declared types.
    ///
    /// What a model declares of inner values is not believed: types follow from the rules alone.
    /// - Throws: `GraphError` naming the node whose inputs do not fit.
    public mutating func inferShapes() throws(GraphError) {
        valueTypes = try ShapeInference(self).run().types
    }

    /// The same; what several nodes' inputs lack is told in one error.
    mutating func inferShapesTellingAll() throws(GraphError) {
        let (inferred, failures) = ShapeInference(self).runTellingAll()
        if failures.count == 1 { throw failures[0] }
        var problems = ImportProblems()
        for failure in failures { problems.add(failure.code, failure.message) }
        try problems.throwIfAny(model: name)
        valueTypes = inferred.types
    }
}
