// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// A small tensor's contents during shape inference: whole numbers that may depend on symbols, or
/// real numbers. Booleans are 0 and 1.
public struct HostValue: Sendable, Hashable {
    public enum Elements: Sendable, Hashable {
        case integers([Dimension])
        case reals([Double])
    }

    public var elementType: ElementType
    public var shape: Shape
    public var elements: Elements

    /// The most elements that are followed; larger tensors are data, not shapes.
    public static let elementsMax = 1024

    public init(elementType: ElementType, shape: Shape, elements: Elements) {
        self.elementType = elementType
        self.shape = shape
        self.elements = elements
    }

    /// Whole numbers of type int64.
    public init(integers: [Dimension], shape: Shape) {
        self.init(elementType: .int64, shape: shape, elements: .integers(integers))
    }

    /// A tensor's contents; nil when it is large or of a type that shapes are not made of.
    public init?(_ tensor: Tensor) {
        guard tensor.elementCount <= HostValue.elementsMax else { return nil }
        elementType = tensor.elementType
        shape = tensor.shape
        switch tensor.elementType {
        case .int64:
            guard let read = try? tensor.elements(as: Int64.self) else { return nil }
            elements = .integers(read.map { Dimension(Int($0)) })
        case .int32:
            guard let read = try? tensor.elements(as: Int32.self) else { return nil }
            elements = .integers(read.map { Dimension(Int($0)) })
        case .bool, .uint8:
            guard let read = try? tensor.elements(as: UInt8.self) else { return nil }
            elements = .integers(read.map { Dimension(Int($0)) })
        case .float32:
            guard let read = try? tensor.elements(as: Float.self) else { return nil }
            elements = .reals(read.map(Double.init))
        case .float64:
            guard let read = try? tensor.elements(as: Double.self) else { return nil }
            elements = .reals(read)
        case .float16:
            elements = .reals(
                tensor.halfPatterns.map { Double(Float16(bitPattern: $0)) })
        case .bfloat16:
            elements = .reals(
                tensor.halfPatterns.map { Double(Float(bitPattern: UInt32($0) << 16)) })
        default: return nil
        }
    }

    public var count: Int {
        switch elements {
        case .integers(let values): values.count
        case .reals(let values): values.count
        }
    }

    /// The whole numbers, symbolic ones included; nil for reals.
    public var dimensions: [Dimension]? {
        if case .integers(let values) = elements { values } else { nil }
    }

    /// The whole numbers, when every one is known.
    public var integers: [Int]? {
        guard case .integers(let values) = elements else { return nil }
        var result: [Int] = []
        result.reserveCapacity(values.count)
        for value in values {
            guard let fixed = value.fixed else { return nil }
            result.append(fixed)
        }
        return result
    }

    /// The numbers as reals, when every one is known.
    public var reals: [Double]? {
        switch elements {
        case .reals(let values): values
        case .integers: integers.map { $0.map(Double.init) }
        }
    }

    /// The tensor with these contents; nil when one depends on a symbol or does not fit its type.
    public func tensor() -> Tensor? {
        switch elementType {
        case .int64:
            return integers.flatMap { try? Tensor($0.map { Int64($0) }, shape: shape) }
        case .int32:
            return exact(Int32.self).flatMap { try? Tensor($0, shape: shape) }
        case .uint8:
            return exact(UInt8.self).flatMap { try? Tensor($0, shape: shape) }
        case .bool:
            return integers.flatMap { try? Tensor(booleans: $0.map { $0 != 0 }, shape: shape) }
        case .float32:
            return reals.flatMap { try? Tensor($0.map { Float($0) }, shape: shape) }
        case .float64:
            return reals.flatMap { try? Tensor($0, shape: shape) }
        default: return nil
        }
    }

    private func exact<Number: FixedWidthInteger>(_ type: Number.Type) -> [Number]? {
        guard let integers else { return nil }
        let converted = integers.compactMap { Number(exactly: $0) }
        return converted.count == integers.count ? converted : nil
    }
}

extension HostValue: CustomStringConvertible {
    public var description: String {
        switch elements {
        case .integers(let values): "[" + values.map(\.description).joined(separator: ", ") + "]"
        case .reals(let values): "\(values)"
        }
    }
}

extension Tensor {
    /// The elements of a 16-bit type as their bits; they need not be aligned.
    package var halfPatterns: [UInt16] {
        (0..<(byteCount / 2)).map {
            unsafe bytes.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self)
        }
    }
}
