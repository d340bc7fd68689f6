// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Copying whole slices of tensors, for operators that run on whole values.
extension HostCall {
    /// The slices of a tensor along an axis, in the order and as often as `indices` says.
    /// - Parameter indices: within the axis; the caller has checked them.
    func slices(_ tensor: Tensor, axis: Int, _ indices: [Int]) throws -> Tensor {
        let width = try elementBytes(tensor)
        var shape = tensor.shape
        let size = shape[axis]
        shape[axis] = indices.count
        let storage = try make(tensor.elementType, shape)
        let inner = shape.dropFirst(axis + 1).reduce(width, &*)
        let outer = shape.prefix(axis).reduce(1, &*)
        if inner > 0, let source = unsafe tensor.bytes.baseAddress {
            var target = unsafe storage.base
            for block in 0..<outer {
                for index in indices {
                    unsafe target.copyMemory(
                        from: source + (block * size + index) * inner, byteCount: inner)
                    unsafe target += inner
                }
            }
        }
        return try Tensor(elementType: tensor.elementType, shape: shape, storage: storage)
    }

    /// Bytes of one element.
    func elementBytes(_ tensor: Tensor) throws -> Int {
        guard let bits = tensor.elementType.bitWidth, bits >= 8 else {
            throw failure("elements of type \(tensor.elementType.displayName)")
        }
        return bits / 8
    }

    /// The tensors joined along an axis that they all have.
    func joined(_ tensors: [Tensor], axis: Int) throws -> Tensor {
        guard let first = tensors.first else { throw failure("nothing to join", .invalidInput) }
        let width = try elementBytes(first)
        var shape = first.shape
        var size = 0
        for tensor in tensors {
            var other = tensor.shape
            guard other.rank == shape.rank, tensor.elementType == first.elementType else {
                throw failure("\(first.summary) and \(tensor.summary) do not join", .invalidInput)
            }
            let (sum, overflow) = size.addingReportingOverflow(other[axis])
            if overflow { throw failure("the joined axis is too long", .limitExceeded) }
            size = sum
            other[axis] = shape[axis]
            guard other == shape else {
                throw failure(
                    "\(first.summary) and \(tensor.summary) do not join along axis \(axis)",
                    .invalidInput)
            }
        }
        shape[axis] = size
        let storage = try make(first.elementType, shape)
        let outer = shape.prefix(axis).reduce(1, &*)
        let tail = shape.dropFirst(axis + 1).reduce(width, &*)
        var target = unsafe storage.base
        for block in 0..<outer {
            for tensor in tensors {
                let count = tensor.shape[axis] * tail
                guard count > 0, let source = unsafe tensor.bytes.baseAddress else { continue }
                unsafe target.copyMemory(from: source + block * count, byteCount: count)
                unsafe target += count
            }
        }
        return try Tensor(elementType: first.elementType, shape: shape, storage: storage)
    }

    /// The tensors as slices of a new axis.
    func stacked(_ tensors: [Tensor], axis: Int) throws -> Tensor {
        try joined(
            tensors.map { tensor in
                var sizes = Array(tensor.shape)
                sizes.insert(1, at: axis)
                guard let shape = Shape(sizes) else {
                    throw failure("more than \(Shape.rankMax) dimensions", .limitExceeded)
                }
                return try tensor.reshaped(to: shape)
            }, axis: axis)
    }
}
