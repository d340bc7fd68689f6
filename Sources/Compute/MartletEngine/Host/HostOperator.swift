// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGraph
internal import MartletTensor

/// An operator that runs on whole values between plans: its outputs' sizes follow from the data,
/// or its values are no tensors, or it runs other graphs.
///
/// It allocates what it makes, and must bound it: `HostCall.reserve(bytes:)`.
typealias HostOperator = @Sendable (HostCall) throws -> Void

/// One node while it runs on whole values.
final class HostCall {
    let inputs: [EngineValue?]
    let attributes: [String: AttributeValue]
    /// "Loop 'decode'": how messages name the node.
    let description: String
    let state: RunState
    private(set) var outputs: [EngineValue?]
    /// What is known of the outputs before the run; nil where one is not wanted.
    let outputTypes: [ValueType?]
    private let bodies: BodyRunner

    init(
        inputs: [EngineValue?], attributes: [String: AttributeValue], description: String,
        state: RunState, outputTypes: [ValueType?], bodies: BodyRunner
    ) {
        self.inputs = inputs
        self.attributes = attributes
        self.description = description
        self.state = state
        self.outputTypes = outputTypes
        self.bodies = bodies
        outputs = Array(repeating: nil, count: outputTypes.count)
    }

    // MARK: Reading

    func value(_ index: Int) throws -> EngineValue {
        guard let value = optional(index) else {
            throw failure("input \(index) is missing", .invalidModel)
        }
        return value
    }

    /// The input at `index`; nil where the node has none.
    func optional(_ index: Int) -> EngineValue? { index < inputs.count ? inputs[index] : nil }

    func tensor(_ index: Int) throws -> Tensor {
        let value = try value(index)
        guard let tensor = value.tensor else {
            throw failure("input \(index) must be a tensor, is \(value.summary)", .invalidInput)
        }
        return tensor
    }

    func optionalTensor(_ index: Int) throws -> Tensor? {
        try optional(index) == nil ? nil : tensor(index)
    }

    func sequence(_ index: Int) throws -> [Tensor] {
        let value = try value(index)
        guard let tensors = value.sequence else {
            throw failure("input \(index) must be a sequence, is \(value.summary)", .invalidInput)
        }
        return tensors
    }

    /// The one whole number of an input.
    func integer(_ index: Int) throws -> Int {
        let tensor = try tensor(index)
        guard tensor.elementCount == 1, let number = HostValue(tensor)?.integers?.first else {
            throw failure("input \(index) must be one whole number", .invalidInput)
        }
        return number
    }

    /// The one truth of an input.
    func flag(_ index: Int) throws -> Bool {
        let tensor = try tensor(index)
        guard tensor.elementType == .bool, tensor.elementCount == 1,
            let flag = HostValue(tensor)?.integers?.first
        else { throw failure("input \(index) must be one boolean", .invalidInput) }
        return flag != 0
    }

    func int(_ name: String, default fallback: Int = 0) -> Int {
        attributes[name]?.int ?? fallback
    }

    func axis(_ axis: Int, rank: Int) throws -> Int {
        guard axis >= -rank, axis < rank else {
            throw failure("axis \(axis) of a tensor with \(rank) dimensions", .invalidInput)
        }
        return axis < 0 ? axis + rank : axis
    }

    func failure(_ message: String, _ code: EngineError.Code = .unsupported) -> EngineError {
        EngineError(code, "\(description): \(message)")
    }

    // MARK: Writing

    func wants(_ index: Int) -> Bool { index < outputTypes.count && outputTypes[index] != nil }

    func set(_ index: Int = 0, _ value: EngineValue) {
        if index < outputs.count { outputs[index] = value }
    }

    func set(_ index: Int = 0, _ tensor: Tensor) { set(index, .tensor(tensor)) }

    /// Uninitialised memory for a tensor that the node makes.
    func make(_ elementType: ElementType, _ shape: Shape) throws -> TensorStorage {
        guard let count = shape.elementCountChecked,
            let bytes = elementType.byteCount(elements: count)
        else { throw failure("a result of shape \(shape) is too large", .limitExceeded) }
        try reserve(bytes: bytes)
        return try TensorStorage(allocating: bytes)
    }

    /// Counts `count` records of `each` bytes.
    func reserve(_ count: Int, each: Int) throws {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: each)
        try reserve(bytes: overflow ? .max : bytes)
    }

    /// Fails where the values that a loop carries take more than the run may hold.
    func checkHeld(_ values: [EngineValue]) throws {
        var total = 0
        for value in values {
            for tensor in value.sequence ?? [] {
                total = total.addingReportingOverflow(tensor.byteCount).partialValue
                total += MemoryLayout<Tensor>.stride
                if total < 0 || total > state.memoryBytesMax { break }
            }
        }
        guard state.canHold(bytes: total) else {
            throw failure(
                "the sequences it carries pass the limit of \(state.memoryBytesMax) bytes",
                .limitExceeded)
        }
    }

    /// Counts bytes that the run comes to hold.
    func reserve(bytes: Int) throws {
        guard state.reserve(bytes: bytes) else {
            throw failure(
                "its results pass the limit of \(state.memoryBytesMax) bytes", .limitExceeded)
        }
    }

    // MARK: Bodies

    var bodyNames: [String] { bodies.names }

    /// Runs a graph of the node's; counts as one iteration.
    func run(body: String, _ inputs: [EngineValue]) throws -> [EngineValue] {
        try state.step(description)
        return try bodies.run(body, inputs, state, description)
    }
}

/// What one run has used up, and whether it is to end.
final class RunState {
    let cancellation: Cancellation?
    let memoryBytesMax: Int
    private let iterationsMax: Int
    private var iterations = 0
    private var bytes = 0

    init(_ environment: StageEnvironment, cancellation: Cancellation?) {
        self.cancellation = cancellation
        memoryBytesMax = environment.memoryBytesMax
        iterationsMax = environment.iterationsMax
    }

    func canHold(bytes added: Int) -> Bool {
        let (sum, overflow) = bytes.addingReportingOverflow(added)
        return !overflow && sum <= memoryBytesMax
    }

    func reserve(bytes added: Int) -> Bool {
        guard canHold(bytes: added) else { return false }
        bytes += added
        return true
    }

    /// Forgets what was reserved inside, once that is over.
    func scoped<Result>(_ work: () throws -> Result) rethrows -> Result {
        let before = bytes
        defer { bytes = before }
        return try work()
    }

    /// Goes through a body once more.
    func step(_ description: String) throws {
        try checkCancellation()
        iterations += 1
        guard iterations <= iterationsMax else {
            throw EngineError(
                .limitExceeded, "\(description): more than \(iterationsMax) iterations in one run")
        }
    }

    func checkCancellation() throws {
        if let cancellation, cancellation.isCancelled {
            throw EngineError(.cancelled, "the run was cancelled")
        }
    }
}
