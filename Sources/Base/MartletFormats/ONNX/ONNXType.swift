// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// One dimension of a declared shape.
public enum ONNXDimension: Sendable, Hashable {
    case fixed(Int)
    case symbol(String)
    case unknown
}

/// An ONNX `TypeProto`.
public indirect enum ONNXType: Sendable, Hashable {
    /// A tensor; the shape is nil when not even the rank is declared.
    case tensor(ONNXDataType, shape: [ONNXDimension]?)
    case sparseTensor(ONNXDataType, shape: [ONNXDimension]?)
    case sequence(ONNXType)
    case optional(ONNXType)
    case map(key: ONNXDataType, value: ONNXType)
    case opaque(domain: String, name: String)
}

/// An ONNX `ValueInfoProto`: a value's name and, where declared, its type.
public struct ONNXValueInfo: Sendable, Hashable {
    public var name: String
    public var type: ONNXType?

    public init(name: String, type: ONNXType?) {
        self.name = name
        self.type = type
    }
}
