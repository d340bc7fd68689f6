// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletGraph
internal import MartletTensor

/// Runs a stage's plans in an arena of its own.
///
/// Once a set of input shapes has been seen, a plan's run allocates nothing.
@safe final class StageContext {
    let stage: Stage
    private let memory: ContextMemory
    private let profiles: any ProfileSource
    private var next: [ObjectIdentifier: StageContext] = [:]
    private var plan: Plan?
    private var arena = Arena()
    private var bases: UnsafeMutableBufferPointer<UnsafeMutableRawPointer?>
    private var pool = OutputPool()
    private var outputStorages: [TensorStorage] = []
    /// Copies of inputs whose elements do not begin at a multiple of their size.
    private var aligned: [TensorStorage?]

    /// What stands where a value is no tensor.
    static let standIn: Tensor = {
        let storage = TensorStorage(byteCount: 0)
        guard let empty = try? Tensor(elementType: .uint8, shape: [0], storage: storage) else {
            preconditionFailure("an empty tensor")
        }
        return empty
    }()

    init(stage: Stage, memory: ContextMemory, profiles: any ProfileSource) {
        self.stage = stage
        self.memory = memory
        self.profiles = profiles
        unsafe bases = .allocate(capacity: 0)
        aligned = Array(repeating: nil, count: stage.graph.inputs.count)
    }

    deinit {
        unsafe bases.deallocate()
        memory.release(arena.byteCount)
    }

    /// The context for a stage that this one leads to, made when it is first asked for.
    func context(of stage: Stage) -> StageContext {
        let key = ObjectIdentifier(stage)
        if let known = next[key] { return known }
        if next.count >= Stage.continuationCountMax { next.removeAll() }
        let made = StageContext(stage: stage, memory: memory, profiles: profiles)
        next[key] = made
        return made
    }

    /// Runs one plan; `outputs` become the values that the plan exports.
    func run(
        _ inputs: [Tensor], outputs: inout [Tensor], cancellation: Cancellation?
    ) throws -> Plan {
        // A plan may have no steps at all.
        if let cancellation, cancellation.isCancelled {
            throw EngineError(.cancelled, "the run was cancelled")
        }
        let plan = try usePlan(for: inputs)
        outputStorages.removeAll(keepingCapacity: true)
        for index in plan.outputs.indices {
            outputStorages.append(try takeStorage(for: plan.outputs[index], inputs))
        }
        defer { outputStorages.removeAll(keepingCapacity: true) }
        try bind(plan, inputs)
        try execute(plan, cancellation)
        try deliver(plan, inputs, into: &outputs)
        return plan
    }

    // MARK: Preparing

    private func usePlan(for inputs: [Tensor]) throws -> Plan {
        if let plan, plan.fits(inputs) { return plan }
        let plan = try stage.plan(for: inputs)
        if plan.arenaByteCount > arena.byteCount {
            let added = plan.arenaByteCount - arena.byteCount
            try memory.reserve(added, for: stage.graph.name)
            do {
                try arena.grow(to: plan.arenaByteCount)
            } catch {
                memory.release(added)
                throw error
            }
        }
        if unsafe bases.count < plan.placements.count {
            unsafe bases.deallocate()
            unsafe bases = .allocate(capacity: plan.placements.count)
        }
        for index in plan.placements.indices {
            switch plan.placements[index] {
            case .fixed(let storage, let offset):
                unsafe bases[index] = storage.base + offset
            case .arena(let offset): unsafe bases[index] = arena.base + offset
            case .input, .output: unsafe bases[index] = nil
            }
        }
        self.plan = plan
        return plan
    }

    private func takeStorage(
        for output: Plan.Output, _ inputs: [Tensor]
    ) throws(TensorError) -> TensorStorage {
        switch output.source {
        case .computed: try pool.take(byteCount: output.byteCount)
        case .copyOfInput(let input): try pool.take(byteCount: inputs[input].byteCount)
        case .constant(let tensor): tensor.storage
        }
    }

    private func bind(_ plan: Plan, _ inputs: [Tensor]) throws(TensorError) {
        for slot in plan.boundSlots {
            switch plan.placements[slot] {
            case .input(let input, let offset):
                unsafe bases[slot] = try address(of: inputs[input], input) + offset
            case .output(let output, let offset):
                unsafe bases[slot] = outputStorages[output].base + offset
            case .fixed, .arena: break
            }
        }
    }

    /// The input's bytes, copied first if its elements are not aligned: requests carry tensors at
    /// any offset, kernels may use aligned loads.
    private func address(
        of tensor: Tensor, _ index: Int
    ) throws(TensorError) -> UnsafeMutableRawPointer {
        let address = unsafe tensor.storage.base + tensor.byteOffset
        let alignment = UInt(max(1, (tensor.elementType.bitWidth ?? 8) / 8))
        if UInt(bitPattern: address) % alignment == 0 { return unsafe address }
        let storage: TensorStorage
        if let kept = aligned[index], kept.byteCount >= tensor.byteCount {
            storage = kept
        } else {
            storage = try TensorStorage(allocating: tensor.byteCount)
            aligned[index] = storage
        }
        unsafe memcpy(storage.base, address, tensor.byteCount)
        return unsafe storage.base
    }

    // MARK: Running

    private func execute(_ plan: Plan, _ cancellation: Cancellation?) throws {
        guard let table = unsafe bases.baseAddress ?? UnsafeMutablePointer(bitPattern: 8) else {
            return
        }
        var frame = unsafe Frame(bases: table, threads: stage.environment.threads)
        let profile = profiles.activeProfile
        try unsafe withUnsafePointer(to: &frame) { frame in
            let frame = unsafe UnsafeRawPointer(frame)
            var start = profile?.now() ?? 0
            for index in plan.steps.indices {
                if let cancellation, cancellation.isCancelled {
                    throw EngineError(.cancelled, "the run was cancelled")
                }
                let step = plan.steps[index]
                let status = unsafe step.kernel(plan.arguments + step.argumentsOffset, frame)
                if let profile, plan.stepNodes[index].isLast {
                    profile.add(plan.stepNodes[index], since: start)
                    start = profile.now()
                }
                if status != StepStatus.done { throw failure(status, plan.stepNodes[index]) }
            }
        }
    }

    private func failure(_ status: Int32, _ node: Plan.StepNode) -> EngineError {
        switch status {
        case StepStatus.indexOutOfRange:
            EngineError(.invalidInput, "\(node.name): an index is out of range")
        case StepStatus.invalidValue:
            EngineError(.invalidInput, "\(node.name): an input holds a value that it cannot take")
        default:
            EngineError(.internal, "\(node.name): the kernel refused its arguments (\(status))")
        }
    }

    private func deliver(
        _ plan: Plan, _ inputs: [Tensor], into outputs: inout [Tensor]
    ) throws {
        outputs.removeAll(keepingCapacity: true)
        for index in plan.outputs.indices {
            let output = plan.outputs[index]
            switch output.source {
            case .computed:
                outputs.append(
                    try Tensor(
                        elementType: output.elementType, shape: output.shape,
                        storage: outputStorages[index], byteCount: output.byteCount))
            case .copyOfInput(let input):
                let source = inputs[input]
                if source.byteCount > 0 {
                    unsafe memcpy(
                        outputStorages[index].base, source.storage.base + source.byteOffset,
                        source.byteCount)
                }
                outputs.append(
                    try Tensor(
                        elementType: output.elementType, shape: output.shape,
                        storage: outputStorages[index], byteCount: source.byteCount))
            case .constant(let tensor):
                outputs.append(try tensor.reshaped(to: output.shape))
            }
        }
    }
}
