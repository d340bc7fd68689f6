// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension Tensor {
    /// The same elements under another shape; copies nothing.
    /// - Throws: `TensorError` when the shape holds another number of elements.
    public func reshaped(to newShape: Shape) throws(TensorError) -> Tensor {
        guard newShape.elementCountChecked == shape.elementCountChecked else {
            throw TensorError(.sizeMismatch, "reshape: \(shape) does not hold \(newShape)")
        }
        return try Tensor(
            elementType: elementType, shape: newShape, storage: storage, byteOffset: byteOffset,
            byteCount: byteCount)
    }

    /// The rows `range` of the outermost dimension; copies nothing.
    /// - Throws: `TensorError` for a scalar, rows outside the tensor, `bytes` tensors (rows vary in
    ///   length) and packed types whose rows do not begin on a byte.
    public func rows(_ range: Range<Int>) throws(TensorError) -> Tensor {
        guard let rowCount = shape.first, range.lowerBound >= 0, range.upperBound <= rowCount else {
            throw TensorError(.outOfBounds, "rows \(range) of a tensor of shape \(shape)")
        }
        var rowShape = shape
        rowShape[0] = 1
        guard let rowElements = rowShape.elementCountChecked, let bits = elementType.bitWidth,
            let rowBytes = elementType.byteCount(elements: rowElements),
            bits >= 8 || rowElements % (8 / bits) == 0
        else {
            throw TensorError(.typeMismatch, "rows of a tensor of \(elementType), shape \(shape)")
        }
        var newShape = shape
        newShape[0] = range.count
        return try Tensor(
            elementType: elementType, shape: newShape, storage: storage,
            byteOffset: byteOffset + range.lowerBound * rowBytes)
    }
}
