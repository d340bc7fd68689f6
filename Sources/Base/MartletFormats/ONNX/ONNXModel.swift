// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A version of an operator set that a model or function relies on.
public struct ONNXOperatorSet: Sendable, Hashable {
    /// "" means ONNX's own operators ("ai.onnx" is read as "").
    public var domain: String
    public var version: Int64

    public init(domain: String, version: Int64) {
        self.domain = domain
        self.version = version
    }
}

/// A named text that a model carries.
public struct ONNXMetadata: Sendable, Hashable {
    public var key: String
    public var value: String

    public init(key: String, value: String) {
        self.key = key
        self.value = value
    }
}

/// An ONNX `FunctionProto`: an operator that the model itself defines.
public struct ONNXFunction: Sendable {
    public var name = ""
    public var domain = ""
    public var overload = ""
    public var inputs: [String] = []
    public var outputs: [String] = []
    /// Attributes without a default.
    public var attributeNames: [String] = []
    /// Attributes with their defaults.
    public var attributes: [ONNXAttribute] = []
    public var nodes: [ONNXNode] = []
    public var operatorSets: [ONNXOperatorSet] = []
    public var valueInfo: [ONNXValueInfo] = []

    public init() {}
}

/// An ONNX `ModelProto`, read wholly and checked; tensor contents stay where they are in the file.
public struct ONNXModel: Sendable {
    public var irVersion: Int64 = 0
    public var operatorSets: [ONNXOperatorSet] = []
    public var producerName = ""
    public var producerVersion = ""
    public var domain = ""
    public var modelVersion: Int64 = 0
    public var documentation = ""
    public var metadata: [ONNXMetadata] = []
    public var graph = ONNXGraph()
    public var functions: [ONNXFunction] = []
    /// Whether the model also carries a training graph, which is not read.
    public var hasTrainingInfo = false

    public init() {}

    /// The newest IR version that is read.
    public static let irVersionMax: Int64 = 14
    /// The newest version of ONNX's own operator set that is read.
    public static let operatorSetVersionMax: Int64 = 28

    /// The imported version of a domain's operators; "" is ONNX's own.
    public func operatorSetVersion(of domain: String = "") -> Int64? {
        operatorSets.first { $0.domain == domain }?.version
    }
}
