// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// Decodes one `*_data` field, packed or not, into a buffer of the tensor's element layout.
@safe struct ONNXTypedData {
    private let tensor: ONNXTensor
    private let field: Int
    private let buffer: UnsafeMutableRawBufferPointer
    /// Bytes that one entry of the field becomes.
    private let entrySize: Int
    private let capacity: Int
    private var filled = 0

    init(tensor: ONNXTensor, field: Int, buffer: UnsafeMutableRawBufferPointer) {
        self.tensor = tensor
        self.field = field
        unsafe self.buffer = buffer
        capacity = buffer.count
        entrySize =
            switch field {
            // A complex number is two entries; packed small types are a byte of several elements.
            case 4: 4
            case 7, 10: 8
            case 11: tensor.dataType == .uint32 ? 4 : 8
            default: max((tensor.dataType.bitWidth ?? 8) / 8, 1)
            }
    }

    mutating func decode(_ body: ByteRegion) throws(FormatError) {
        if tensor.dataType.bitWidth == 6 {
            throw tensor.failure(.unsupported, "\(tensor.dataType) is not decoded")
        }
        var reader = unsafe ProtobufReader(body.bytes)
        while let number = try reader.next() {
            guard number == field else { continue }
            switch field {
            case 4: try decodeFixed32(&reader)
            case 10: try decodeFixed64(&reader)
            default: try decodeVarints(&reader)
            }
        }
        withExtendedLifetime(body) {}
        guard filled == capacity else {
            throw tensor.failure(
                .malformed,
                "\(tensor.dataType) \(tensor.dimensions) takes \(capacity) bytes, "
                    + "its data field holds \(filled)")
        }
    }

    private mutating func decodeFixed32(_ reader: inout ProtobufReader) throws(FormatError) {
        guard reader.wireType == .lengthDelimited else {
            return try store(try reader.fixed32())
        }
        var inner = try reader.packed()
        while !inner.isAtEnd { try store(try inner.rawFixed32()) }
    }

    private mutating func decodeFixed64(_ reader: inout ProtobufReader) throws(FormatError) {
        guard reader.wireType == .lengthDelimited else {
            return try store(try reader.fixed64())
        }
        var inner = try reader.packed()
        while !inner.isAtEnd { try store(try inner.rawFixed64()) }
    }

    private mutating func decodeVarints(_ reader: inout ProtobufReader) throws(FormatError) {
        guard reader.wireType == .lengthDelimited else {
            return try storeVarint(try reader.uint64())
        }
        var inner = try reader.packed()
        while !inner.isAtEnd { try storeVarint(try inner.rawVarint()) }
    }

    private mutating func storeVarint(_ value: UInt64) throws(FormatError) {
        switch entrySize {
        case 1:
            let byte = UInt8(truncatingIfNeeded: value)
            try store(tensor.dataType == .bool ? (value == 0 ? 0 : 1) : byte)
        case 2: try store(UInt16(truncatingIfNeeded: value))
        case 4: try store(UInt32(truncatingIfNeeded: value))
        default: try store(value)
        }
    }

    private mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(
        _ value: Value
    ) throws(FormatError) {
        guard capacity - filled >= MemoryLayout<Value>.size else {
            throw tensor.failure(
                .malformed,
                "\(tensor.dataType) \(tensor.dimensions) takes \(capacity) bytes, "
                    + "its data field holds more")
        }
        unsafe buffer.storeBytes(of: value.littleEndian, toByteOffset: filled, as: Value.self)
        filled += MemoryLayout<Value>.size
    }
}
