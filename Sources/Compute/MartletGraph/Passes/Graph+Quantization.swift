// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// An 8-bit value with the numbers that give it its meaning.
struct QuantizedValue {
    var value: ValueID
    var scale: ValueID
    var zero: ValueID?
}

// What passes over quantised models ask of a graph.
extension Graph {
    /// Whether the value's elements are 8-bit whole numbers.
    func isByte(_ value: ValueID?) -> Bool {
        guard let value, let type = type(of: value).elementType else { return false }
        return type == .uint8 || type == .int8
    }

    /// The numbers of a constant of 8- or 32-bit whole numbers.
    func wholeNumbers(_ value: ValueID?) -> [Int]? {
        guard let value, let tensor = constant(value) else { return nil }
        return switch tensor.elementType {
        case .int8: (try? tensor.elements(as: Int8.self))?.map { Int($0) }
        case .uint8: (try? tensor.elements(as: UInt8.self))?.map { Int($0) }
        case .int32: (try? tensor.elements(as: Int32.self))?.map { Int($0) }
        default: nil
        }
    }

    /// Whether the value is one number (of any rank).
    func isSingle(_ value: ValueID?) -> Bool {
        guard let value, let dimensions = dimensions(of: value) else { return false }
        return dimensions.allSatisfy { $0.fixed == 1 }
    }

    /// Whether the value is a constant of one number, or of `count` numbers.
    func isConstantVector(_ value: ValueID?, count: Int) -> Bool {
        guard let value, let tensor = constant(value) else { return false }
        return tensor.elementCount == 1 || (tensor.shape.rank == 1 && tensor.elementCount == count)
    }

    /// What a value with one scale and zero point was dequantised from.
    func dequantized(_ value: ValueID?) -> QuantizedValue? {
        guard let node = producer(of: value, is: .dequantizeLinear),
            let source = input(0, of: node), isByte(source), isFloat32(value),
            let scale = input(1, of: node), constant(scale) != nil, isSingle(scale),
            isFloat32(scale)
        else { return nil }
        let zero = input(2, of: node)
        guard zero == nil || isSingle(zero) else { return nil }
        return QuantizedValue(value: source, scale: scale, zero: zero)
    }

    /// The 8-bit constant behind a dequantised one, with a scale for all or one for each place of
    /// `axis`.
    func dequantizedConstant(_ value: ValueID?, axis: Int) -> QuantizedValue? {
        guard let node = producer(of: value, is: .dequantizeLinear),
            let source = input(0, of: node), isByte(source), let tensor = constant(source),
            isFloat32(value), axis < tensor.shape.rank, let scale = input(1, of: node),
            isConstantVector(scale, count: tensor.shape[axis]), isFloat32(scale),
            attributeInt("block_size", of: node, default: 0) == 0
        else { return nil }
        let stated = attributeInt("axis", of: node, default: 1)
        if constant(scale)?.elementCount != 1 {
            guard (stated < 0 ? stated + tensor.shape.rank : stated) == axis else { return nil }
        }
        let zero = input(2, of: node)
        guard zero == nil || isConstantVector(zero, count: tensor.shape[axis]) else { return nil }
        return QuantizedValue(value: source, scale: scale, zero: zero)
    }

    /// The numbers of a constant that is dequantised from 8 or 32 bits, or of floats as they are.
    func dequantizedFloats(_ value: ValueID?) -> [Float]? {
        if let floats = constantFloats(value) { return floats }
        guard let node = producer(of: value, is: .dequantizeLinear),
            let source = input(0, of: node), rank(of: source) == 1,
            let scales = constantFloats(input(1, of: node)),
            let numbers = wholeNumbers(source),
            scales.count == 1 || scales.count == numbers.count
        else { return nil }
        if let zero = input(2, of: node) {
            guard let zeros = wholeNumbers(zero), zeros.allSatisfy({ $0 == 0 }) else {
                return nil
            }
        }
        return numbers.enumerated().map { place, number in
            Float(number) * (scales.count == 1 ? scales[0] : scales[place])
        }
    }
}
