// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGraph
internal import MartletTensor

/// Runs a session's model.
///
/// A model whose structure is fixed is one plan, and a run of it allocates nothing once its input
/// shapes have been seen.
final class NativeContext: ExecutionContext {
    private let session: NativeSession
    private let root: StageContext

    init(session: NativeSession) {
        self.session = session
        root = StageContext(
            stage: session.root, memory: ContextMemory(session.root.environment.memoryBytesMax),
            profiles: session)
    }

    func run(_ inputs: [Tensor], outputs: inout [Tensor], cancellation: Cancellation?) throws {
        guard session.hasTensorsOnly else { throw notTensors() }
        try session.signature.check(inputs)
        let plan = try root.run(inputs, outputs: &outputs, cancellation: cancellation)
        if plan.deferred.isEmpty { return }
        let state = RunState(root.stage.environment, cancellation: cancellation)
        let values = try root.finish(plan, inputs.map { .tensor($0) }, outputs, state)
        outputs.removeAll(keepingCapacity: true)
        for value in values {
            guard let tensor = value.tensor else { throw notTensors() }
            outputs.append(tensor)
        }
    }

    func run(
        values: [EngineValue], outputs: inout [EngineValue], cancellation: Cancellation?
    ) throws {
        try session.signature.check(values: values)
        let state = RunState(root.stage.environment, cancellation: cancellation)
        outputs = try root.run(values, state)
    }

    private func notTensors() -> EngineError {
        let signature = session.signature
        let spec = (signature.inputs + signature.outputs).first { $0.container != .tensor }
        return EngineError(
            .unsupported,
            "'\(spec?.name ?? session.graph.name)' is \(spec?.summary ?? "no tensor"): such models "
                + "run through run(values:), not over the wire")
    }
}

/// Counts a context's arenas, those of all its stages together.
final class ContextMemory {
    private let byteCountMax: Int
    private var byteCount = 0

    init(_ byteCountMax: Int) {
        self.byteCountMax = byteCountMax
    }

    func reserve(_ added: Int, for name: String) throws {
        let (sum, overflow) = byteCount.addingReportingOverflow(added)
        guard !overflow, sum <= byteCountMax else {
            throw EngineError(
                .limitExceeded,
                "graph '\(name)': its arenas pass the limit of \(byteCountMax) bytes")
        }
        byteCount = sum
    }

    func release(_ bytes: Int) { byteCount -= bytes }
}

/// Where steps' times go while somebody asks for them.
protocol ProfileSource: AnyObject {
    var activeProfile: StepProfile? { get }
}
