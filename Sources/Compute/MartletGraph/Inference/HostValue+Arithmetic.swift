// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// How an elementwise operator computes on host values; nil results become fresh dimensions.
struct HostFunction: Sendable {
    var onIntegers: @Sendable (Dimension, Dimension) -> Dimension?
    var onReals: (@Sendable (Double, Double) -> Double)?
    var onRealsToBool: (@Sendable (Double, Double) -> Bool)?

    init(
        onIntegers: @escaping @Sendable (Dimension, Dimension) -> Dimension?,
        onReals: (@Sendable (Double, Double) -> Double)? = nil,
        onRealsToBool: (@Sendable (Double, Double) -> Bool)? = nil
    ) {
        self.onIntegers = onIntegers
        self.onReals = onReals
        self.onRealsToBool = onRealsToBool
    }

    /// A function of known whole numbers only.
    static func known(
        _ integers: @escaping @Sendable (Int, Int) -> Int?,
        reals: (@Sendable (Double, Double) -> Double)? = nil
    ) -> HostFunction {
        HostFunction(
            onIntegers: { left, right in
                guard let left = left.fixed, let right = right.fixed else { return nil }
                return integers(left, right).map { Dimension($0) }
            }, onReals: reals)
    }

    static func comparison(
        _ integers: @escaping @Sendable (Int, Int) -> Bool,
        reals: @escaping @Sendable (Double, Double) -> Bool
    ) -> HostFunction {
        HostFunction(
            onIntegers: { left, right in
                guard let left = left.fixed, let right = right.fixed else { return nil }
                return Dimension(integers(left, right) ? 1 : 0)
            }, onRealsToBool: reals)
    }
}

extension HostValue {
    /// For each element of a shape, in order, the element of this value that broadcasts to it; nil
    /// when the shapes do not fit or the result is large.
    func broadcastIndices(to target: Shape) -> [Int]? {
        guard let count = target.elementCountChecked, count <= HostValue.elementsMax,
            shape.rank <= target.rank
        else { return nil }
        var strides = Shape(repeating: 0, rank: target.rank)
        var stride = 1
        for axis in shape.indices.reversed() {
            let place = target.rank - shape.rank + axis
            if shape[axis] != 1 {
                guard shape[axis] == target[place] else { return nil }
                strides[place] = stride
            }
            stride *= shape[axis]
        }
        var indices: [Int] = []
        indices.reserveCapacity(count)
        var position = Shape(repeating: 0, rank: target.rank)
        var current = 0
        for _ in 0..<count {
            indices.append(current)
            for axis in target.indices.reversed() {
                position[axis] += 1
                current += strides[axis]
                if position[axis] < target[axis] { break }
                current -= strides[axis] * target[axis]
                position[axis] = 0
            }
        }
        return indices
    }

    /// The elements at these places, under another shape.
    func gathered(_ indices: [Int], shape: Shape) -> HostValue {
        let picked: Elements =
            switch elements {
            case .integers(let values): .integers(indices.map { values[$0] })
            case .reals(let values): .reals(indices.map { values[$0] })
            }
        return HostValue(elementType: elementType, shape: shape, elements: picked)
    }

    /// The same elements as another type; nil where that is not a type of host values.
    func cast(to type: ElementType, fresh: () -> Dimension) -> HostValue? {
        let converted: Elements
        switch (type, elements) {
        case (.int64, .integers), (.int32, .integers): converted = elements
        case (.int64, .reals(let values)), (.int32, .reals(let values)):
            converted = .integers(
                values.map { value in
                    Int(exactly: value.rounded(.towardZero)).map { Dimension($0) } ?? fresh()
                })
        case (.bool, .integers(let values)):
            converted = .integers(
                values.map { value in value.fixed.map { $0 == 0 ? 0 : 1 } ?? fresh() })
        case (.bool, .reals(let values)):
            converted = .integers(values.map { $0 == 0 ? 0 : 1 })
        case (.float32, _):
            guard let reals else { return nil }
            converted = .reals(reals.map { Double(Float($0)) })
        case (.float64, _):
            guard let reals else { return nil }
            converted = .reals(reals)
        default: return nil
        }
        return HostValue(elementType: type, shape: shape, elements: converted)
    }

    /// Rounds reals as the element type stores them.
    func rounded(_ value: Double) -> Double {
        switch elementType {
        case .float32: return Double(Float(value))
        case .float16: return Double(Float16(value))
        case .bfloat16:
            let bits = Float(value).bitPattern
            guard bits & 0x7F80_0000 != 0x7F80_0000 else { return Double(Float(value)) }
            // To the nearest, halves to even.
            let nearest = (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000
            return Double(Float(bitPattern: nearest))
        default: return value
        }
    }
}

extension ShapeContext {
    /// Computes a binary operator on known contents; nil where they are not known.
    func fold(
        _ function: HostFunction, _ left: HostValue, _ right: HostValue, elementType: ElementType,
        shape: Shape
    ) -> HostValue? {
        guard let first = left.broadcastIndices(to: shape),
            let second = right.broadcastIndices(to: shape)
        else { return nil }
        let elements: HostValue.Elements
        switch (left.elements, right.elements) {
        case (.integers(let lefts), .integers(let rights)):
            elements = .integers(
                zip(first, second).map {
                    function.onIntegers(lefts[$0], rights[$1]) ?? freshDimension()
                })
        case (.reals(let lefts), .reals(let rights)):
            if let compute = function.onReals {
                elements = .reals(
                    zip(first, second).map { left.rounded(compute(lefts[$0], rights[$1])) })
            } else if let compute = function.onRealsToBool {
                elements = .integers(
                    zip(first, second).map { compute(lefts[$0], rights[$1]) ? 1 : 0 })
            } else {
                return nil
            }
        default: return nil
        }
        return HostValue(elementType: elementType, shape: shape, elements: elements)
    }
}
