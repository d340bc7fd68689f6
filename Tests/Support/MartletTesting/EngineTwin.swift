// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
public import MartletEngine
public import MartletTensor
internal import Synchronization

/// An engine whose models answer their own inputs, or what a test computes, with scripted delays
/// and failures. Every session of one engine shares one `EngineScript`.
public struct TestEngine: Engine {
    public typealias Compute = @Sendable ([Tensor]) throws -> [Tensor]

    public let name: String
    public let script: EngineScript
    private let signature: ModelSignature
    private let compute: Compute

    /// - Parameter compute: what a run answers; nil answers copies of the inputs, in order.
    public init(
        name: String = "test", signature: ModelSignature, script: EngineScript = EngineScript(),
        compute: Compute? = nil
    ) {
        self.name = name
        self.signature = signature
        self.script = script
        let outputCount = signature.outputs.count
        self.compute =
            compute ?? { inputs in try inputs.prefix(outputCount).map { try $0.copied() } }
    }

    /// One input of any batch size that comes back as it is.
    public static func echo(
        _ type: ElementType = .float32, dimensions: [Int] = [-1, 4],
        script: EngineScript = EngineScript()
    ) -> TestEngine {
        TestEngine(
            name: "echo",
            signature: ModelSignature(
                inputs: [TensorSpec(name: "INPUT", elementType: type, dimensions: dimensions)],
                outputs: [TensorSpec(name: "OUTPUT", elementType: type, dimensions: dimensions)]),
            script: script)
    }

    public func load(_ source: ModelSource, options: EngineOptions) throws -> any EngineSession {
        try script.enterLoad()
        return TestSession(signature: signature, script: script, compute: compute)
    }
}

/// What a test engine should do next, and what it has done. Shared by all its sessions.
public final class EngineScript: Sendable {
    /// What was seen so far.
    public struct Record: Sendable {
        public var loads = 0
        public var contexts = 0
        public var runs = 0
        /// The outermost dimension of each run's first input, in order.
        public var batchSizes: [Int] = []
        public var sessionsAlive = 0
        public var runsAtOnce = 0
        public var runsAtOnceMax = 0
    }

    private struct State {
        var record = Record()
        var loadDelay = Duration.zero
        var runDelay = Duration.zero
        var loadFailures: [EngineError?] = []
        var runFailures: [EngineError?] = []
        var isHeld = false
    }

    private let state = Mutex(State())

    public init() {}

    public var record: Record { state.withLock { $0.record } }

    /// Real time that each load and each run takes from now on.
    public func delay(load: Duration = .zero, run: Duration = .zero) {
        state.withLock {
            $0.loadDelay = load
            $0.runDelay = run
        }
    }

    /// The next loads fail with these errors, in order; nil lets one pass.
    public func failLoads(_ errors: [EngineError?]) {
        state.withLock { $0.loadFailures += errors }
    }

    /// The next runs fail with these errors, in order; nil lets one pass.
    public func failRuns(_ errors: [EngineError?]) {
        state.withLock { $0.runFailures += errors }
    }

    /// Runs that start while held wait until `release()`, or until they are cancelled.
    public func hold() { state.withLock { $0.isHeld = true } }

    public func release() { state.withLock { $0.isHeld = false } }

    // MARK: The sessions' side

    func enterLoad() throws {
        let (delay, failure) = state.withLock { state -> (Duration, EngineError?) in
            state.record.loads += 1
            let failure = state.loadFailures.isEmpty ? nil : state.loadFailures.removeFirst()
            return (state.loadDelay, failure)
        }
        pause(delay, cancellation: nil)
        if let failure { throw failure }
    }

    func enterRun(batch: Int, cancellation: Cancellation?) throws {
        let (delay, failure) = state.withLock { state -> (Duration, EngineError?) in
            state.record.runs += 1
            state.record.batchSizes.append(batch)
            state.record.runsAtOnce += 1
            state.record.runsAtOnceMax = max(state.record.runsAtOnceMax, state.record.runsAtOnce)
            let failure = state.runFailures.isEmpty ? nil : state.runFailures.removeFirst()
            return (state.runDelay, failure)
        }
        pause(delay, cancellation: cancellation)
        while state.withLock({ $0.isHeld }), cancellation?.isCancelled != true { usleep(200) }
        if let failure { throw failure }
    }

    func leaveRun() { state.withLock { $0.record.runsAtOnce -= 1 } }
    func countContext() { state.withLock { $0.record.contexts += 1 } }
    func countSession(_ change: Int) { state.withLock { $0.record.sessionsAlive += change } }

    private func pause(_ duration: Duration, cancellation: Cancellation?) {
        var left = duration.nanosecondsSaturating / 1000
        while left > 0, cancellation?.isCancelled != true {
            let part = min(left, 1000)
            usleep(UInt32(part))
            left -= part
        }
    }
}

private final class TestSession: EngineSession {
    let signature: ModelSignature
    let memoryBytes = 1024
    let script: EngineScript
    let compute: TestEngine.Compute

    init(signature: ModelSignature, script: EngineScript, compute: @escaping TestEngine.Compute) {
        self.signature = signature
        self.script = script
        self.compute = compute
        script.countSession(1)
    }

    deinit { script.countSession(-1) }

    func makeContext() throws -> any ExecutionContext {
        script.countContext()
        return TestContext(session: self)
    }
}

private final class TestContext: ExecutionContext {
    let session: TestSession

    init(session: TestSession) {
        self.session = session
    }

    func run(_ inputs: [Tensor], outputs: inout [Tensor], cancellation: Cancellation?) throws {
        try session.signature.check(inputs)
        defer { session.script.leaveRun() }
        try session.script.enterRun(
            batch: inputs.first?.shape.first ?? 1, cancellation: cancellation)
        if cancellation?.isCancelled == true {
            throw EngineError(.cancelled, "the run was cancelled")
        }
        outputs = try session.compute(inputs)
    }
}

extension Tensor {
    /// The same elements in storage of their own.
    public func copied() throws -> Tensor {
        let storage = TensorStorage(byteCount: byteCount)
        unsafe storage.mutableBytes.copyMemory(from: bytes)
        return try Tensor(
            elementType: elementType, shape: shape, storage: storage, byteCount: byteCount)
    }
}
