// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Synchronization

/// A graph that plans are made for: a model's, what is left of one once contents that shapes
/// depend on are known, or the body of a loop or condition.
final class Stage: Sendable {
    /// The most plans kept, and the most bytes they may take (constants they worked out included).
    static let planCountMax = 32
    static let planBytesMax = 256 << 20
    /// The most ways that one stage may go on.
    static let continuationCountMax = 64

    let graph: Graph
    let environment: StageEnvironment
    let weights: PackedWeights
    /// Inputs whose contents plans depend on; none for a model of fixed structure.
    let contentInputs: [Int]
    private let inference: ShapeInference
    private let constantBytes: Int
    private let plans: Mutex<PlanCache<Plan>>
    private let continuations = Mutex<[[NodeID]: Continuation]>([:])

    /// - Parameter weights: packed forms of the graph's constants that are there already.
    init(graph: Graph, environment: StageEnvironment, weights forms: [PackedWeights.Form] = []) {
        self.graph = graph
        self.environment = environment
        inference = ShapeInference(graph)
        contentInputs = graph.contentInputs()
        constantBytes = graph.constants.values.reduce(0) { $0 &+ $1.byteCount }
        weights = PackedWeights(byteCountMax: environment.memoryBytesMax, forms: forms)
        plans = Mutex(PlanCache(countMax: Stage.planCountMax, byteCountMax: Stage.planBytesMax))
    }

    var arenaByteCountMax: Int { plans.withLock { $0.arenaByteCountMax } }

    /// The plan for these inputs, made now if it is not kept. What is no tensor has a stand-in.
    func plan(for inputs: [Tensor]) throws -> Plan {
        if let plan = plans.withLock({ $0.find { $0.fits(inputs) } }) { return plan }
        var contents: [Plan.Content] = []
        for index in contentInputs where inputs[index].elementCount <= HostValue.elementsMax {
            contents.append(Plan.Content(input: index, tensor: try inputs[index].copied()))
        }
        let types = zip(graph.inputs, inputs).map { input, tensor in
            let declared = graph.type(of: input)
            guard declared.container == .tensor else { return declared }
            return ValueType(
                elementType: tensor.elementType, dimensions: tensor.shape.map { Dimension($0) })
        }
        return try makePlan(
            Plan.Key(
                shapes: inputs.map(\.shape), types: inputs.map(\.elementType), contents: contents),
            types)
    }

    /// The plan for inputs of these shapes whose contents are not known.
    func plan(forShapes shapes: [Shape]) throws -> Plan {
        var types: [ValueType] = []
        for (input, shape) in zip(graph.inputs, shapes) {
            var type = graph.type(of: input)
            if type.container == .tensor { type.dimensions = shape.map { Dimension($0) } }
            types.append(type)
        }
        let key = Plan.Key(
            shapes: shapes, types: types.map { $0.elementType ?? .uint8 }, contents: [])
        if let plan = plans.withLock({ $0.find { $0.key.isSame(as: key) } }) { return plan }
        return try makePlan(key, types)
    }

    /// - Throws: `EngineError.Code.limitExceeded` when the plan needs more memory than allowed.
    private func makePlan(_ key: Plan.Key, _ types: [ValueType]) throws -> Plan {
        var values = [HostValue?](repeating: nil, count: types.count)
        for content in key.contents { values[content.input] = HostValue(content.tensor) }
        let inferred: InferredTypes
        do {
            inferred = try inference.run(inputTypes: types, values: values, followsBodies: false)
        } catch {
            throw EngineError(.invalidInput, error.message, cause: error)
        }
        let builder = PlanBuilder(
            graph: graph, operators: environment.operators, weights: weights,
            threads: environment.threads, precision: environment.precision)
        let plan = try builder.build(key, inferred)
        let outputBytes = plan.outputs.reduce(0) { $0 &+ $1.byteCount }
        let parts = [constantBytes, weights.byteCount, plan.arenaByteCount, outputBytes]
        var total = 0
        for part in parts {
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow, sum <= environment.memoryBytesMax else {
                throw EngineError(
                    .limitExceeded,
                    "model '\(graph.name)' with inputs \(key.shapes): weights \(constantBytes), "
                        + "packed \(weights.byteCount), arena \(plan.arenaByteCount) and outputs "
                        + "\(outputBytes) bytes pass the limit of \(environment.memoryBytesMax)")
            }
            total = sum
        }
        plans.withLock { $0.insert(plan) }
        return plan
    }

    /// How the stage goes on after a plan that could not reach its end.
    func continuation(of plan: Plan) throws -> Continuation {
        if let known = continuations.withLock({ $0[plan.deferred] }) { return known }
        let made = try Continuation(of: plan, in: self)
        return continuations.withLock { continuations in
            if let known = continuations[plan.deferred] { return known }
            if continuations.count >= Stage.continuationCountMax { continuations.removeAll() }
            continuations[plan.deferred] = made
            return made
        }
    }
}

/// What all stages of a session share.
struct StageEnvironment: Sendable {
    let operators: OperatorTable
    /// As `EngineOptions.threads`; 0 means the whole pool.
    let threads: Int32
    let precision: EnginePrecision
    let memoryBytesMax: Int
    let iterationsMax: Int

    init(operators: OperatorTable, options: EngineOptions) {
        self.operators = operators
        threads = Int32(clamping: options.threads ?? 0)
        precision = options.precision
        memoryBytesMax = options.memoryBytesMax
        iterationsMax = options.iterationsMax
    }
}

extension Tensor {
    /// The same elements in storage of their own.
    func copied() throws -> Tensor {
        let storage = try TensorStorage(allocating: byteCount)
        if let source = unsafe bytes.baseAddress {
            unsafe storage.base.copyMemory(from: source, byteCount: byteCount)
        }
        return try Tensor(
            elementType: elementType, shape: shape, storage: storage, byteCount: byteCount)
    }
}
