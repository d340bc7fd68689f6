// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletServing
internal import MartletTensor

/// An input's `InferTensorContents`: values in the protobuf field of their type, turned into a
/// tensor's bytes.
struct TypedContents {
    private var reader: ProtobufReader
    private let input: String
    private let elementType: ElementType

    init(_ reader: ProtobufReader, input: String, _ elementType: ElementType) {
        self.reader = reader
        self.input = input
        self.elementType = elementType
    }

    /// The field of `InferTensorContents` that carries a type's values; nil where none does.
    private static func field(of type: ElementType) -> Int? {
        switch type {
        case .bool: 1
        case .int8, .int16, .int32: 2
        case .int64: 3
        case .uint8, .uint16, .uint32: 4
        case .uint64: 5
        case .float32: 6
        case .float64: 7
        case .bytes: 8
        default: nil
        }
    }

    /// - Throws: `ServingError` when there are more or fewer values than the shape has elements,
    ///   values in a field of another type, or a value that the type cannot hold.
    mutating func tensor(shape: Shape) throws -> Tensor {
        guard let field = TypedContents.field(of: elementType) else {
            throw ServingError(
                .invalidArgument,
                "input '\(input)': \(elementType.protocolName ?? "?") has no typed contents, send "
                    + "it in raw_input_contents")
        }
        if elementType == .bytes { return try bytesTensor(field: field, shape: shape) }
        let count = shape.elementCountChecked ?? 0
        guard let byteCount = elementType.byteCount(elements: count), count <= reader.remaining
        else { throw wrongCount("fewer than \(count)", shape) }
        let storage = TensorStorage(byteCount: byteCount)
        switch elementType {
        case .bool: try fill(field, storage, UInt8.self, shape) { $0 == 0 ? 0 : 1 }
        case .int8: try fill(field, storage, Int8.self, shape, TypedContents.narrow)
        case .int16: try fill(field, storage, Int16.self, shape, TypedContents.narrow)
        case .int32: try fill(field, storage, Int32.self, shape) { Int32(truncatingIfNeeded: $0) }
        case .int64: try fill(field, storage, Int64.self, shape) { Int64(bitPattern: $0) }
        case .uint8: try fill(field, storage, UInt8.self, shape) { UInt8(exactly: $0) }
        case .uint16: try fill(field, storage, UInt16.self, shape) { UInt16(exactly: $0) }
        case .uint32:
            try fill(field, storage, UInt32.self, shape) {
                UInt32(truncatingIfNeeded: $0)
            }
        case .uint64: try fill(field, storage, UInt64.self, shape) { $0 }
        case .float32: try fillFixed(field, storage, shape, width: 4)
        default: try fillFixed(field, storage, shape, width: 8)
        }
        return try Tensor(elementType: elementType, shape: shape, storage: storage)
    }

    /// An int32 on the wire as a narrower integer; nil when it does not fit.
    private static func narrow<Value: FixedWidthInteger>(_ bits: UInt64) -> Value? {
        Value(exactly: Int64(bitPattern: bits))
    }

    /// Walks the contents: `take` reads one occurrence of the type's own field.
    private mutating func eachOccurrence(
        of field: Int, _ take: (inout ProtobufReader) throws -> Void
    ) throws {
        while let found = try reader.next() {
            if found == field {
                try take(&reader)
            } else if (1...8).contains(found) {
                throw ServingError(
                    .invalidArgument,
                    "input '\(input)': contents are in field \(found), "
                        + "\(elementType.protocolName ?? "?") takes field \(field)")
            }
        }
    }

    private mutating func fill<Value: FixedWidthInteger & BitwiseCopyable>(
        _ field: Int, _ storage: TensorStorage, _ type: Value.Type, _ shape: Shape,
        _ convert: (UInt64) -> Value?
    ) throws {
        let target = unsafe storage.mutableBytes
        let width = MemoryLayout<Value>.size
        let count = shape.elementCountChecked ?? 0
        var done = 0
        let (name, typeName) = (input, elementType.protocolName ?? "?")
        func store(_ bits: UInt64) throws(ServingError) {
            guard let value = convert(bits) else {
                throw ServingError(
                    .invalidArgument,
                    "input '\(name)': \(Int64(bitPattern: bits)) does not fit \(typeName)")
            }
            if done < count {
                unsafe target.storeBytes(
                    of: value.littleEndian, toByteOffset: done * width, as: Value.self)
            }
            done += 1
        }
        try eachOccurrence(of: field) { reader in
            if reader.wireType == .lengthDelimited {
                var inner = try reader.packed()
                while !inner.isAtEnd { try store(try inner.rawVarint()) }
            } else {
                try store(try reader.uint64())
            }
        }
        guard done == count else { throw wrongCount("\(done)", shape) }
    }

    /// Floats are little-endian on the wire as in tensors: a packed field is copied as it is.
    private mutating func fillFixed(
        _ field: Int, _ storage: TensorStorage, _ shape: Shape, width: Int
    ) throws {
        let target = unsafe storage.mutableBytes
        let byteCount = (shape.elementCountChecked ?? 0) * width
        var done = 0
        let name = input
        let single: ProtobufWireType = width == 4 ? .fixed32 : .fixed64
        try eachOccurrence(of: field) { reader in
            if reader.wireType == single {
                let bits = width == 4 ? UInt64(try reader.fixed32()) : try reader.fixed64()
                if done + width > byteCount {
                    // One value too many: counted, not kept.
                } else if width == 4 {
                    unsafe target.storeBytes(
                        of: UInt32(truncatingIfNeeded: bits).littleEndian, toByteOffset: done,
                        as: UInt32.self)
                } else {
                    unsafe target.storeBytes(
                        of: bits.littleEndian, toByteOffset: done, as: UInt64.self)
                }
                done += width
            } else {
                let bytes = unsafe try reader.bytes()
                guard bytes.count % width == 0 else {
                    throw ServingError(
                        .invalidArgument,
                        "input '\(name)': \(bytes.count) bytes of packed values are no multiple "
                            + "of \(width)")
                }
                if bytes.count <= byteCount - done {
                    unsafe UnsafeMutableRawBufferPointer(rebasing: target[done...])
                        .copyMemory(from: bytes)
                }
                done += bytes.count
            }
        }
        guard done == byteCount else { throw wrongCount("\(done / width)", shape) }
    }

    private mutating func bytesTensor(field: Int, shape: Shape) throws -> Tensor {
        let count = shape.elementCountChecked ?? 0
        var serialised: [UInt8] = []
        var done = 0
        try eachOccurrence(of: field) { reader in
            let bytes = unsafe try reader.bytes()
            unsafe withUnsafeBytes(of: UInt32(clamping: bytes.count).littleEndian) {
                unsafe serialised.append(contentsOf: $0)
            }
            unsafe serialised.append(contentsOf: bytes)
            done += 1
        }
        guard done == count else { throw wrongCount("\(done)", shape) }
        let storage = TensorStorage(byteCount: serialised.count)
        unsafe serialised.withUnsafeBytes { unsafe storage.mutableBytes.copyMemory(from: $0) }
        return try Tensor(
            elementType: .bytes, shape: shape, storage: storage, byteCount: serialised.count)
    }

    private func wrongCount(_ found: String, _ shape: Shape) -> ServingError {
        ServingError(
            .invalidArgument,
            "input '\(input)': unexpected number of elements: expected "
                + "\(shape.elementCountChecked ?? 0) for shape \(shape), got \(found)")
    }
}
