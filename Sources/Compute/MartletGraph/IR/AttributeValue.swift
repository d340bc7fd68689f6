// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// An operator's attribute.
public enum AttributeValue: Sendable {
    case int(Int64)
    case float(Float)
    case string(String)
    case tensor(Tensor)
    case ints([Int64])
    case floats([Float])
    case strings([String])
    case graph(Graph)
}

extension AttributeValue {
    /// The number as an index-sized integer; nil for other kinds.
    public var int: Int? {
        if case .int(let value) = self { Int(value) } else { nil }
    }

    public var float: Float? {
        if case .float(let value) = self { value } else { nil }
    }

    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    public var tensor: Tensor? {
        if case .tensor(let value) = self { value } else { nil }
    }

    public var ints: [Int64]? {
        if case .ints(let value) = self { value } else { nil }
    }

    public var floats: [Float]? {
        if case .floats(let value) = self { value } else { nil }
    }

    /// Whether both are of the same kind and equal; tensors by bytes, subgraphs never.
    public func isSame(as other: AttributeValue) -> Bool {
        switch (self, other) {
        case (.int(let left), .int(let right)): left == right
        case (.float(let left), .float(let right)): left.bitPattern == right.bitPattern
        case (.string(let left), .string(let right)): left == right
        case (.ints(let left), .ints(let right)): left == right
        case (.floats(let left), .floats(let right)):
            left.map(\.bitPattern) == right.map(\.bitPattern)
        case (.strings(let left), .strings(let right)): left == right
        case (.tensor(let left), .tensor(let right)): left.isSame(as: right)
        default: false
        }
    }
}

extension Tensor {
    /// Whether both have the same type, shape and bytes.
    package func isSame(as other: Tensor) -> Bool {
        guard elementType == other.elementType, shape == other.shape,
            byteCount == other.byteCount
        else { return false }
        if storage === other.storage && byteOffset == other.byteOffset { return true }
        return unsafe bytes.elementsEqual(other.bytes)
    }
}
