// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A contiguous, row-major view of typed elements in shared storage. Copying one copies no data.
public struct Tensor: Sendable {
    public let elementType: ElementType
    public let shape: Shape
    public let storage: TensorStorage
    /// Where the elements begin in `storage`, in bytes.
    public let byteOffset: Int
    /// How many bytes the elements take; for `bytes` tensors the length of the serialised form.
    public let byteCount: Int

    /// A view of existing storage.
    /// - Throws: `TensorError` when the shape is negative or overflows, when the element count and
    ///   `byteCount` disagree, or when the view reaches outside the storage.
    public init(
        elementType: ElementType, shape: Shape, storage: TensorStorage, byteOffset: Int = 0,
        byteCount: Int? = nil
    ) throws(TensorError) {
        guard let elements = shape.elementCountChecked else {
            throw TensorError(.invalidShape, "shape \(shape) is negative or overflows")
        }
        let needed: Int
        if let fixed = elementType.byteCount(elements: elements) {
            if let byteCount, byteCount != fixed {
                throw TensorError(
                    .sizeMismatch,
                    "shape \(shape) of \(elementType) takes \(fixed) bytes, got \(byteCount)")
            }
            needed = fixed
        } else if elementType == .bytes, let byteCount {
            needed = byteCount
        } else {
            throw TensorError(.invalidShape, "shape \(shape) of \(elementType) overflows")
        }
        let (end, overflow) = byteOffset.addingReportingOverflow(needed)
        guard byteOffset >= 0, needed >= 0, !overflow, end <= storage.byteCount else {
            throw TensorError(
                .outOfBounds,
                "\(needed) bytes at \(byteOffset) reach outside \(storage.byteCount) bytes")
        }
        self.elementType = elementType
        self.shape = shape
        self.storage = storage
        self.byteOffset = byteOffset
        self.byteCount = needed
    }

    /// The elements' bytes; valid while the tensor's storage lives.
    public var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(
            start: UnsafeRawPointer(storage.base) + byteOffset, count: byteCount)
    }
}

/// Why a tensor could not be made or read.
public struct TensorError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value { case invalidShape, sizeMismatch, outOfBounds, typeMismatch, noMemory }
        private let value: Value
        public static let invalidShape = Code(value: .invalidShape)
        public static let sizeMismatch = Code(value: .sizeMismatch)
        public static let outOfBounds = Code(value: .outOfBounds)
        public static let typeMismatch = Code(value: .typeMismatch)
        public static let noMemory = Code(value: .noMemory)
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
