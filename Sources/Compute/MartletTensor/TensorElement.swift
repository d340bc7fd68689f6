// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A Swift type that stands for an element type, bit for bit.
public protocol TensorElement: BitwiseCopyable, Sendable {
    static var elementType: ElementType { get }
}

extension Float: TensorElement { public static var elementType: ElementType { .float32 } }
extension Double: TensorElement { public static var elementType: ElementType { .float64 } }
extension Int8: TensorElement { public static var elementType: ElementType { .int8 } }
extension Int16: TensorElement { public static var elementType: ElementType { .int16 } }
extension Int32: TensorElement { public static var elementType: ElementType { .int32 } }
extension Int64: TensorElement { public static var elementType: ElementType { .int64 } }
extension UInt8: TensorElement { public static var elementType: ElementType { .uint8 } }
extension UInt16: TensorElement { public static var elementType: ElementType { .uint16 } }
extension UInt32: TensorElement { public static var elementType: ElementType { .uint32 } }
extension UInt64: TensorElement { public static var elementType: ElementType { .uint64 } }

extension Tensor {
    /// A tensor of its own storage with these elements, row by row.
    /// - Throws: `TensorError` when the shape holds another number of elements.
    public init<Element: TensorElement>(
        _ elements: [Element], shape: Shape
    ) throws(TensorError) {
        let storage = TensorStorage(byteCount: elements.count * MemoryLayout<Element>.stride)
        unsafe elements.withUnsafeBytes { source in
            guard source.count > 0 else { return }
            unsafe storage.mutableBytes.copyMemory(from: source)
        }
        try self.init(
            elementType: Element.elementType, shape: shape, storage: storage,
            byteCount: elements.count * MemoryLayout<Element>.stride)
    }

    /// A one-dimensional tensor of its own storage with these elements.
    public init<Element: TensorElement>(_ elements: [Element]) throws(TensorError) {
        try self.init(elements, shape: [elements.count])
    }

    /// A tensor of booleans, row by row.
    /// - Throws: `TensorError` when the shape holds another number of elements.
    public init(booleans: [Bool], shape: Shape) throws(TensorError) {
        let bytes = try Tensor(booleans.map { $0 ? 1 : 0 } as [UInt8], shape: shape)
        try self.init(elementType: .bool, shape: shape, storage: bytes.storage)
    }

    /// The elements, copied, row by row; they need not be aligned.
    /// - Throws: `TensorError` when the tensor holds another type (`UInt8` also reads booleans).
    public func elements<Element: TensorElement>(
        as type: Element.Type = Element.self
    ) throws(TensorError) -> [Element] {
        let matches =
            elementType == Element.elementType
            || (elementType == .bool && Element.elementType == .uint8)
        guard matches else {
            throw TensorError(
                .typeMismatch, "reading \(Element.elementType) from a tensor of \(elementType)")
        }
        let count = byteCount / MemoryLayout<Element>.stride
        return unsafe [Element](unsafeUninitializedCapacity: count) { target, initialized in
            unsafe UnsafeMutableRawBufferPointer(target).copyMemory(from: bytes)
            initialized = count
        }
    }

    /// The number of elements.
    public var elementCount: Int { shape.elementCountChecked ?? 0 }
}
