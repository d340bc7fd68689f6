// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletGraph
internal import MartletTensor
internal import Synchronization

/// A model loaded by the native engine: its optimised graph, packed weights and plans.
public final class NativeSession: EngineSession {
    /// The most plans kept, and the most bytes they may take (constants they worked out included).
    static let planCountMax = 32
    static let planBytesMax = 256 << 20

    public let signature: ModelSignature
    /// What the engine runs: the imported graph after all passes.
    package let graph: Graph
    let threads: Int32
    private let inference: ShapeInference
    private let operators: OperatorTable
    private let weights: PackedWeights
    private let constantBytes: Int
    private let memoryBytesMax: Int
    private let plans: Mutex<PlanCache>
    private let profile = Mutex<StepProfile?>(nil)
    private let isProfiling = Atomic<Bool>(false)

    init(
        graph: Graph, signature: ModelSignature, operators: OperatorTable, options: EngineOptions
    ) throws {
        self.graph = graph
        self.signature = signature
        self.operators = operators
        inference = ShapeInference(graph)
        threads = Int32(clamping: options.threads ?? 0)
        memoryBytesMax = options.memoryBytesMax
        constantBytes = graph.constants.values.reduce(0) { $0 + $1.byteCount }
        guard constantBytes <= memoryBytesMax else {
            throw EngineError(
                .limitExceeded,
                "model '\(graph.name)': \(constantBytes) bytes of weights, "
                    + "the limit is \(memoryBytesMax)")
        }
        weights = PackedWeights(byteCountMax: memoryBytesMax)
        plans = Mutex(
            PlanCache(
                countMax: NativeSession.planCountMax, byteCountMax: NativeSession.planBytesMax))
    }

    public var memoryBytes: Int {
        constantBytes + weights.byteCount + plans.withLock { $0.arenaByteCountMax }
    }

    /// Bytes of weights in the forms that kernels want.
    package var packedByteCount: Int { weights.byteCount }

    public func makeContext() throws -> any ExecutionContext { NativeContext(session: self) }

    // MARK: Plans

    /// Makes a plan with varying sizes at 1, so that weights are packed before the first request.
    /// Models that cannot be planned at that size are packed when they first run.
    func warmUp() {
        let shapes = signature.inputs.map { spec in
            Shape(spec.dimensions.map { $0 < 0 ? 1 : $0 }) ?? Shape()
        }
        _ = try? plan(forShapes: shapes)
    }

    /// The plan for these tensors' shapes, made now if it is not kept.
    func plan(for inputs: [Tensor]) throws -> Plan {
        if let plan = plans.withLock({ $0.find { $0.fits(inputs) } }) { return plan }
        return try plan(forShapes: inputs.map(\.shape))
    }

    /// - Throws: `EngineError.Code.limitExceeded` when the plan needs more memory than allowed.
    func plan(forShapes shapes: [Shape]) throws -> Plan {
        if let plan = plans.withLock({ $0.find { $0.inputShapes == shapes } }) { return plan }
        let builder = PlanBuilder(
            graph: graph, operators: operators, weights: weights, threads: threads)
        let plan = try builder.build(shapes, inference: inference)
        let outputBytes = plan.outputs.reduce(0) { $0 &+ $1.byteCount }
        let parts = [constantBytes, weights.byteCount, plan.arenaByteCount, outputBytes]
        var total = 0
        for part in parts {
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow, sum <= memoryBytesMax else {
                throw EngineError(
                    .limitExceeded,
                    "model '\(graph.name)' with inputs \(shapes): weights \(constantBytes), packed "
                        + "\(weights.byteCount), arena \(plan.arenaByteCount) and outputs "
                        + "\(outputBytes) bytes pass the limit of \(memoryBytesMax)")
            }
            total = sum
        }
        plans.withLock { $0.insert(plan) }
        return plan
    }

    // MARK: Profiling

    /// Starts to time every step of every run (about 50 ns a step); ends with `stopProfile()`.
    public func startProfile() {
        profile.withLock { $0 = StepProfile() }
        isProfiling.store(true, ordering: .releasing)
    }

    /// What was measured since `startProfile()`.
    public func stopProfile() -> StepProfile? {
        isProfiling.store(false, ordering: .releasing)
        return profile.withLock { profile in
            defer { profile = nil }
            return profile
        }
    }

    var activeProfile: StepProfile? {
        guard isProfiling.load(ordering: .relaxed) else { return nil }
        return profile.withLock { $0 }
    }
}
