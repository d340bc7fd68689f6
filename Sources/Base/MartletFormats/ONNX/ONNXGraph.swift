// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What an attribute holds. Strings are bytes in the format; see `ONNXAttribute.text`.
public enum ONNXAttributeValue: Sendable {
    case int(Int64)
    case float(Float)
    case string([UInt8])
    case tensor(ONNXTensor)
    case graph(ONNXGraph)
    case sparseTensor(ONNXSparseTensor)
    case type(ONNXType)
    case ints([Int64])
    case floats([Float])
    case strings([[UInt8]])
    case tensors([ONNXTensor])
    case graphs([ONNXGraph])
    case sparseTensors([ONNXSparseTensor])
    case types([ONNXType])
}

/// An ONNX `AttributeProto`.
public struct ONNXAttribute: Sendable {
    public var name: String
    /// Nil when the attribute stands for one of the surrounding function's (`reference`).
    public var value: ONNXAttributeValue?
    /// The name of the function's attribute that this one takes its value from.
    public var reference: String?

    public init(name: String, value: ONNXAttributeValue?, reference: String? = nil) {
        self.name = name
        self.value = value
        self.reference = reference
    }

    /// A string attribute's text, what is not UTF-8 replaced; nil for other kinds.
    public var text: String? {
        if case .string(let bytes) = value { return String(decoding: bytes, as: UTF8.self) }
        return nil
    }
}

/// An ONNX `NodeProto`: one operator applied to named values.
public struct ONNXNode: Sendable {
    public var name: String
    public var operatorType: String
    /// "" means ONNX's own operators ("ai.onnx" is read as "").
    public var domain: String
    public var overload: String
    /// Names of the values read; "" where an optional input is absent.
    public var inputs: [String]
    /// Names of the values made; "" where an optional output is not wanted.
    public var outputs: [String]
    public var attributes: [ONNXAttribute]

    public init(
        name: String = "", operatorType: String, domain: String = "", overload: String = "",
        inputs: [String] = [], outputs: [String] = [], attributes: [ONNXAttribute] = []
    ) {
        self.name = name
        self.operatorType = operatorType
        self.domain = domain
        self.overload = overload
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes
    }

    public func attribute(_ name: String) -> ONNXAttribute? {
        attributes.first { $0.name == name }
    }
}

/// An ONNX `GraphProto`.
public struct ONNXGraph: Sendable {
    public var name = ""
    public var nodes: [ONNXNode] = []
    public var initializers: [ONNXTensor] = []
    public var sparseInitializers: [ONNXSparseTensor] = []
    public var inputs: [ONNXValueInfo] = []
    public var outputs: [ONNXValueInfo] = []
    /// Declared types of inner values.
    public var valueInfo: [ONNXValueInfo] = []
    public var metadata: [ONNXMetadata] = []

    public init() {}
}
