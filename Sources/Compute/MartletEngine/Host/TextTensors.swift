// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Tensors of texts, element by element.
extension HostCall {
    /// A tensor's texts, each as its bytes.
    func texts(_ tensor: Tensor) throws -> [[UInt8]] {
        guard tensor.elementType == .bytes else {
            throw failure("texts are needed, got \(tensor.summary)", .invalidInput)
        }
        try reserve(bytes: tensor.byteCount + tensor.elementCount * 32)
        var texts: [[UInt8]] = []
        texts.reserveCapacity(tensor.elementCount)
        let bytes = unsafe tensor.bytes
        var place = 0
        for _ in 0..<tensor.elementCount {
            guard place + 4 <= bytes.count else {
                throw failure("the texts are cut short", .invalidInput)
            }
            let length = Int(
                UInt32(
                    littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self)
                )
            )
            place += 4
            guard length <= bytes.count - place else {
                throw failure("the texts are cut short", .invalidInput)
            }
            unsafe texts.append([UInt8](bytes[place..<(place + length)]))
            place += length
        }
        return texts
    }

    /// A tensor of these texts.
    func make(texts: [[UInt8]], _ shape: Shape) throws -> Tensor {
        let byteCount = texts.reduce(0) { $0 + $1.count + 4 }
        try reserve(bytes: byteCount)
        let storage = try TensorStorage(allocating: byteCount)
        let target = unsafe storage.mutableBytes
        var place = 0
        for text in texts {
            guard let length = UInt32(exactly: text.count) else {
                throw failure("a text of \(text.count) bytes", .limitExceeded)
            }
            unsafe target.storeBytes(
                of: length.littleEndian, toByteOffset: place, as: UInt32.self)
            place += 4
            for byte in text {
                unsafe target[place] = byte
                place += 1
            }
        }
        return try Tensor(
            elementType: .bytes, shape: shape, storage: storage, byteCount: byteCount)
    }

    /// The shape that two broadcast to.
    func broadcast(_ left: Shape, _ right: Shape) throws -> Shape {
        var result = left.rank >= right.rank ? left : right
        let other = left.rank >= right.rank ? right : left
        let lead = result.rank - other.rank
        for axis in other.indices {
            let (first, second) = (result[lead + axis], other[axis])
            if first == second || second == 1 { continue }
            guard first == 1 else {
                throw failure("shapes \(left) and \(right) do not broadcast", .invalidInput)
            }
            result[lead + axis] = second
        }
        guard let count = result.elementCountChecked else {
            throw failure("a result of shape \(result) is too large", .limitExceeded)
        }
        try reserve(bytes: count.multipliedReportingOverflow(by: 48).overflow ? .max : count * 48)
        return result
    }

    /// For each element of `target`, the element of `shape` that broadcasts to it.
    func places(_ shape: Shape, in target: Shape) -> [Int] {
        let lead = target.rank - shape.rank
        let own = shape.rowMajorStrides
        let strides = target.indices.map { axis in
            axis < lead || shape[axis - lead] == 1 ? 0 : Int(own[axis - lead])
        }
        return (0..<(target.elementCountChecked ?? 0)).map { index in
            var rest = index
            var place = 0
            for axis in target.indices.reversed() {
                place += rest % target[axis] * strides[axis]
                rest /= target[axis]
            }
            return place
        }
    }
}
