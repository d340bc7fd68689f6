// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
package import MartletTensor

/// A node's input or output while a plan is made: all sizes are numbers.
package struct Operand: Sendable {
    let slot: Slot
    package let elementType: ElementType
    package let shape: Shape
    /// The contents, where they are known before any run.
    package let constant: Tensor?
    /// The value in the session's graph; keys packed weights.
    let value: ValueID?

    /// The number of elements; sizes were checked when the operand was made.
    package var count: Int { shape.elementCountChecked ?? 0 }

    /// Row-major strides, in elements.
    var strides: [Int64] { shape.rowMajorStrides }

    /// The contents as whole numbers, where they are known and of an integer type.
    var integers: [Int]? {
        guard let constant else { return nil }
        return switch constant.elementType {
        case .int64: (try? constant.elements(as: Int64.self))?.map { Int(truncatingIfNeeded: $0) }
        case .int32: (try? constant.elements(as: Int32.self))?.map { Int($0) }
        default: nil
        }
    }

    /// The contents of a floating-point tensor, where they are known.
    var reals: [Double]? {
        guard let constant else { return nil }
        return switch constant.elementType {
        case .float32: (try? constant.elements(as: Float.self))?.map { Double($0) }
        case .float64: try? constant.elements(as: Double.self)
        case .float16: constant.halfPatterns.map { Double(Float16(bitPattern: $0)) }
        case .bfloat16:
            constant.halfPatterns.map { Double(Float(bitPattern: UInt32($0) << 16)) }
        default: nil
        }
    }
}

extension Shape {
    /// Row-major strides, in elements.
    var rowMajorStrides: [Int64] {
        var strides = [Int64](repeating: 1, count: rank)
        var product: Int64 = 1
        for axis in stride(from: rank - 1, through: 0, by: -1) {
            strides[axis] = product
            product &*= Int64(self[axis])
        }
        return strides
    }

    /// The product of these dimensions; sizes were checked when the tensor was typed.
    func product(_ axes: Range<Int>) -> Int {
        axes.reduce(1) { $0 &* self[$1] }
    }
}
