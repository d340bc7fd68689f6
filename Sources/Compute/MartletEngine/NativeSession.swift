// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletGraph
internal import MartletStorage
internal import MartletTensor
internal import Synchronization

/// A model loaded by the native engine: its optimised graph, packed weights and plans.
public final class NativeSession: ProfilingSession, ProfileSource {
    public let signature: ModelSignature
    /// What the engine runs: the imported graph after all passes.
    package var graph: Graph { root.graph }
    let root: Stage
    /// Whether every input and output is a tensor.
    let hasTensorsOnly: Bool
    /// What an automatic choice of precisions came to; nil where none was asked for.
    public let precisions: PrecisionReport?
    private let constantBytes: Int
    private let profile = Mutex<StepProfile?>(nil)
    private let isProfiling = Atomic<Bool>(false)

    init(
        graph: Graph, signature: ModelSignature, operators: OperatorTable, options: EngineOptions,
        weights: [PackedWeights.Form] = [], precisions: PrecisionReport? = nil
    ) throws {
        self.precisions = precisions
        self.signature = signature
        hasTensorsOnly = signature.hasTensorsOnly
        constantBytes = graph.constants.values.reduce(0) { $0 + $1.byteCount }
        guard constantBytes <= options.memoryBytesMax else {
            throw EngineError(
                .limitExceeded,
                "model '\(graph.name)': \(constantBytes) bytes of weights, "
                    + "the limit is \(options.memoryBytesMax)")
        }
        root = Stage(
            graph: graph, environment: StageEnvironment(operators: operators, options: options),
            weights: weights)
    }

    public var memoryBytes: Int {
        constantBytes + root.weights.byteCount + root.arenaByteCountMax
    }

    /// Bytes of packed weights that lie in a stored plan, which other processes may share.
    package var storedByteCount: Int {
        root.weights.forms.filter { $0.storage.lender is MappedFile }
            .reduce(0) { $0 + $1.storage.byteCount }
    }

    /// Bytes of weights in the forms that kernels want.
    package var packedByteCount: Int { root.weights.byteCount }

    public func makeContext() throws -> any ExecutionContext { NativeContext(session: self) }

    // MARK: Plans

    /// Makes a plan with varying sizes at 1, so that weights are packed before the first request.
    /// Models that cannot be planned at that size, and those whose shapes depend on what inputs
    /// hold, are packed when they first run.
    /// - Throws: `EngineError` naming what no kernel can do.
    func warmUp() throws {
        guard root.contentInputs.isEmpty else { return }
        let shapes = signature.inputs.map { spec in
            Shape(spec.dimensions.map { $0 < 0 ? 1 : $0 }) ?? Shape()
        }
        do {
            _ = try root.plan(forShapes: shapes)
        } catch let error as EngineError {
            if error.code == .unsupported { throw error }
        }
    }

    // MARK: Profiling

    /// Starts to time every step of every run (about 50 ns a step); ends with `stopProfile()`.
    public func startProfile() {
        profile.withLock { $0 = StepProfile() }
        isProfiling.store(true, ordering: .releasing)
    }

    /// What was measured since `startProfile()`.
    public func stopProfile() -> EngineProfile? {
        isProfiling.store(false, ordering: .releasing)
        return profile.withLock { profile in
            defer { profile = nil }
            return profile?.report
        }
    }

    var activeProfile: StepProfile? {
        guard isProfiling.load(ordering: .relaxed) else { return nil }
        return profile.withLock { $0 }
    }
}
