// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletTensor

extension ONNXGraphBuild {
    /// The most bytes that one sparse tensor may become.
    static let denseBytesMax = 1 << 30

    /// A sparse tensor with all its zeros; nil, with the problem noted, where that cannot be.
    ///
    /// Indices are [count] places in the flattened tensor, or [count, rank] coordinates.
    mutating func dense(_ sparse: ONNXSparseTensor) -> Tensor? {
        let owner = "sparse initializer '\(sparse.values.name)'"
        guard let values = tensor(sparse.values, of: owner),
            let places = tensor(sparse.indices, of: owner + ", indices")
        else { return nil }
        guard let shape = Shape(sparse.dimensions), let count = shape.elementCountChecked,
            let bits = values.elementType.bitWidth, bits >= 8, values.shape.rank == 1,
            let byteCount = values.elementType.byteCount(elements: count),
            byteCount <= ONNXGraphBuild.denseBytesMax,
            let numbers = try? places.elements(as: Int64.self)
        else {
            problems.add(.unsupported, "\(owner) of shape \(sparse.dimensions)")
            return nil
        }
        let stored = values.elementCount
        let hasCoordinates = places.shape.rank == 2
        guard numbers.count == (hasCoordinates ? stored * shape.rank : stored) else {
            problems.add(.invalidModel, "\(owner): \(numbers.count) indices, \(stored) values")
            return nil
        }
        guard let storage = try? TensorStorage(allocating: byteCount) else {
            problems.add(.limitExceeded, "\(owner): no memory for its \(byteCount) bytes")
            return nil
        }
        let size = bits / 8
        let target = unsafe storage.mutableBytes
        unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
        for index in 0..<stored {
            var place = 0
            if hasCoordinates {
                for axis in shape.indices {
                    let at = numbers[index * shape.rank + axis]
                    guard at >= 0, at < Int64(shape[axis]) else { place = -1; break }
                    place = place * shape[axis] + Int(at)
                }
            } else {
                place = Int(exactly: numbers[index]) ?? -1
            }
            guard place >= 0, place < count else {
                problems.add(.invalidModel, "\(owner): index \(index) lies outside")
                return nil
            }
            for byte in 0..<size {
                unsafe target[place * size + byte] = values.bytes[index * size + byte]
            }
        }
        return try? Tensor(
            elementType: values.elementType, shape: shape, storage: storage, byteCount: byteCount)
    }
}
