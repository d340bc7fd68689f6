// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
public import MartletTensor
public import ServiceContextModule

/// A request or tensor parameter, as the Open Inference Protocol types them.
public enum ParameterValue: Sendable, Hashable {
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    case string(String)
}

public typealias Parameters = [String: ParameterValue]

/// A tensor with its name, as requests and responses carry it.
public struct NamedTensor: Sendable {
    public var name: String
    public var tensor: Tensor
    public var parameters: Parameters

    public init(name: String, tensor: Tensor, parameters: Parameters = [:]) {
        self.name = name
        self.tensor = tensor
        self.parameters = parameters
    }
}

/// An output that the client asked for.
public struct RequestedOutput: Sendable {
    public var name: String
    /// Answer the k best elements as "value:index[:label]" strings instead of the tensor.
    public var classification: Int?
    public var parameters: Parameters

    public init(name: String, classification: Int? = nil, parameters: Parameters = [:]) {
        self.name = name
        self.classification = classification
        self.parameters = parameters
    }
}

/// One inference, free of any transport. Tensors may be views over the request's own buffer.
public struct InferenceRequest: Sendable {
    public var model: String
    /// A specific version; nil leaves the choice to the model's version policy.
    public var version: String?
    public var id: String
    public var parameters: Parameters
    public var inputs: [NamedTensor]
    /// Empty means all outputs.
    public var outputs: [RequestedOutput]
    /// 1 is the highest; 0 takes the model's default.
    public var priority: UInt64
    /// How long the request may wait in the queue, if the model's policy lets it say so.
    public var queueTimeout: Duration?
    /// When an answer is of no use any more.
    public var deadline: MonotonicInstant?
    public var context: ServiceContext
    /// Whether the thread that submits may run the model itself, when nothing waits and such a run
    /// is known to take some microseconds: the completion then runs before `submit` returns. For
    /// threads that may not be held up longer but may be held up that long, as event loops; never
    /// for Swift's cooperative pool.
    public var allowsInlineRun = false
    /// As above, however long the run takes: for threads that have nothing else to do.
    package var prefersInlineRun = false

    public init(
        model: String, version: String? = nil, id: String = "", parameters: Parameters = [:],
        inputs: [NamedTensor], outputs: [RequestedOutput] = [], priority: UInt64 = 0,
        queueTimeout: Duration? = nil, deadline: MonotonicInstant? = nil,
        context: ServiceContext = .topLevel
    ) {
        self.model = model
        self.version = version
        self.id = id
        self.parameters = parameters
        self.inputs = inputs
        self.outputs = outputs
        self.priority = priority
        self.queueTimeout = queueTimeout
        self.deadline = deadline
        self.context = context
    }
}

/// What came of it. Outputs are in the order asked for, or in the model's own.
public struct InferenceResponse: Sendable {
    public var model: String
    public var version: String
    public var id: String
    public var parameters: Parameters
    public var outputs: [NamedTensor]

    public init(
        model: String, version: String, id: String, parameters: Parameters = [:],
        outputs: [NamedTensor]
    ) {
        self.model = model
        self.version = version
        self.id = id
        self.parameters = parameters
        self.outputs = outputs
    }
}
