// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// How far an answer may be from what is expected: atol + rtol · |expected|.
struct Tolerance {
    var rtol: Double
    var atol: Double

    /// What tells the answer from the expected tensor; nil when they agree. NaN agrees with NaN.
    func difference(_ answer: Tensor, _ expected: Tensor) -> String? {
        guard answer.elementType == expected.elementType else {
            return "elements of type \(answer.elementType), expected \(expected.elementType)"
        }
        guard answer.shape == expected.shape else {
            return "shape \(answer.shape), expected \(expected.shape)"
        }
        guard let found = Tolerance.reals(answer), let wanted = Tolerance.reals(expected) else {
            return Tolerance.bytes(answer) == Tolerance.bytes(expected)
                ? nil : "the \(answer.elementType) elements differ"
        }
        // bfloat16 has eight bits: two units in its last place are allowed.
        let rtol = answer.elementType == .bfloat16 ? max(rtol, 0x1p-6) : rtol
        var wrong = 0
        var first = 0
        for index in wanted.indices where !agrees(found[index], wanted[index], rtol: rtol) {
            if wrong == 0 { first = index }
            wrong += 1
        }
        if wrong == 0 { return nil }
        return "\(wrong) of \(wanted.count) elements differ, the first at \(first): "
            + "\(found[first]), expected \(wanted[first])"
    }

    private func agrees(_ found: Double, _ wanted: Double, rtol: Double) -> Bool {
        if found == wanted || (found.isNaN && wanted.isNaN) { return true }
        return abs(found - wanted) <= atol + rtol * abs(wanted) && found.isFinite
    }

    private static func bytes(_ tensor: Tensor) -> [UInt8] {
        unsafe tensor.bytes.map { $0 }
    }

    /// The elements as numbers; nil for text and for whole numbers that a `Double` may not hold.
    private static func reals(_ tensor: Tensor) -> [Double]? {
        func numbers<Element: TensorElement & BinaryInteger>(_: Element.Type) -> [Double]? {
            (try? tensor.elements(as: Element.self))?.map { Double($0) }
        }
        func halves(_ convert: (UInt16) -> Float) -> [Double] {
            (0..<(tensor.byteCount / 2)).map {
                let bits = unsafe tensor.bytes.loadUnaligned(
                    fromByteOffset: 2 * $0, as: UInt16.self)
                return Double(convert(bits))
            }
        }
        return switch tensor.elementType {
        case .float32: (try? tensor.elements(as: Float.self))?.map { Double($0) }
        case .float64: try? tensor.elements(as: Double.self)
        case .float16: halves { Float(Float16(bitPattern: $0)) }
        case .bfloat16: halves { Float(bitPattern: UInt32($0) << 16) }
        case .int8: numbers(Int8.self)
        case .int16: numbers(Int16.self)
        case .int32: numbers(Int32.self)
        case .uint8, .bool: numbers(UInt8.self)
        case .uint16: numbers(UInt16.self)
        case .uint32: numbers(UInt32.self)
        default: nil
        }
    }
}
