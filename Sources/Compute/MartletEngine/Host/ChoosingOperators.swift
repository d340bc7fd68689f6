// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

// Operators that keep some elements: which ones, and how many, the data says.
extension NativeOperator {
    static let nonZero = NativeOperator(.nonZero) { call in
        let tensor = try call.tensor(0)
        let places = try call.placesOfNonZero(tensor)
        let rank = tensor.shape.rank
        let shape: Shape = [rank, places.count]
        let storage = try call.make(.int64, shape)
        let target = unsafe storage.mutableBytes.bindMemory(to: Int64.self)
        var stride = 1
        for axis in (0..<rank).reversed() {
            let size = tensor.shape[axis]
            for (column, place) in places.enumerated() {
                unsafe target[axis * places.count + column] = Int64(place / stride % size)
            }
            stride *= size
        }
        call.set(0, try Tensor(elementType: .int64, shape: shape, storage: storage))
    }

    /// Slices, or elements of the flattened tensor, where the condition holds; what it is too short
    /// for is dropped.
    static let compress = NativeOperator(.compress) { call in
        var tensor = try call.tensor(0)
        let condition = try call.tensor(1)
        guard condition.shape.rank == 1, condition.elementType == .bool else {
            throw call.failure("the condition must be a row of booleans", .invalidInput)
        }
        var axis = 0
        if let stated = call.attributes["axis"]?.int {
            axis = try call.axis(stated, rank: tensor.shape.rank)
        } else {
            tensor = try tensor.reshaped(to: [tensor.elementCount])
        }
        let size = tensor.shape[axis]
        let kept = try condition.elements(as: UInt8.self).enumerated()
            .filter { $0.element != 0 }.map(\.offset)
        if let last = kept.last, last >= size {
            throw call.failure("element \(last) of \(size)", .invalidInput)
        }
        call.set(0, try call.slices(tensor, axis: axis, kept))
    }
}

extension HostCall {
    /// Flat places of elements that are not zero, in order.
    fileprivate func placesOfNonZero(_ tensor: Tensor) throws -> [Int] {
        let width = try elementBytes(tensor)
        let isReal: Bool =
            switch tensor.elementType {
            case .float16, .bfloat16, .float32, .float64: true
            default: false
            }
        let bytes = unsafe tensor.bytes
        var places: [Int] = []
        for place in 0..<tensor.elementCount {
            var bits: UInt8 = 0
            let start = place * width
            for index in start..<(start + width - 1) { bits |= unsafe bytes[index] }
            // Minus zero is zero.
            let last = unsafe bytes[start + width - 1]
            bits |= isReal ? last & 0x7f : last
            if bits != 0 { places.append(place) }
        }
        try reserve(bytes: places.count * MemoryLayout<Int>.stride)
        return places
    }
}
