// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

/// An ONNX `TensorProto`: name, type, shape, and where the contents lie. Weights are not copied.
public struct ONNXTensor: Sendable {
    /// Where a tensor's elements are kept.
    public enum Contents: Sendable {
        /// Fixed-width little-endian elements inside the model file, at any alignment.
        case raw(ByteRegion)
        /// One of the `*_data` fields (its number) of the message in `body`.
        case typed(field: Int, body: ByteRegion)
        /// The `string_data` fields of the message in `body`.
        case strings(body: ByteRegion)
        /// Another file of the model's folder.
        case external(ONNXExternalData)
        /// No element at all.
        case none
    }

    public var name: String
    public var dataType: ONNXDataType
    /// The dimensions, outermost first; none is negative and their product fits `Int`.
    public var dimensions: [Int]
    public var elementCount: Int
    public var contents: Contents

    public init(
        name: String, dataType: ONNXDataType, dimensions: [Int], elementCount: Int,
        contents: Contents
    ) {
        self.name = name
        self.dataType = dataType
        self.dimensions = dimensions
        self.elementCount = elementCount
        self.contents = contents
    }

    /// The elements in place when they are raw bytes of the model file; nil otherwise.
    public var rawBytes: ByteRegion? {
        if case .raw(let region) = contents { return region }
        return nil
    }
}

/// Where a tensor's bytes lie when another file holds them.
public struct ONNXExternalData: Sendable, Hashable {
    /// The file, relative to the model's folder; never absolute, never with "..".
    public var location: String
    public var offset: Int
    /// The number of bytes; nil means up to the file's end.
    public var length: Int?

    public init(location: String, offset: Int, length: Int?) {
        self.location = location
        self.offset = offset
        self.length = length
    }
}

/// An ONNX `SparseTensorProto`: `values` [NNZ] at `indices` ([NNZ] linear or [NNZ, rank]).
public struct ONNXSparseTensor: Sendable {
    public var values: ONNXTensor
    public var indices: ONNXTensor
    /// The dense shape.
    public var dimensions: [Int]

    public init(values: ONNXTensor, indices: ONNXTensor, dimensions: [Int]) {
        self.values = values
        self.indices = indices
        self.dimensions = dimensions
    }
}
