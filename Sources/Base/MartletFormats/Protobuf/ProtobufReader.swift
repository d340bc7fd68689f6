// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How a protobuf field's value is laid out; raw values are the wire's own.
public enum ProtobufWireType: UInt8, Sendable, Hashable {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case startGroup = 3
    case endGroup = 4
    case fixed32 = 5
}

/// Walks one protobuf message in place, field by field, without copying or allocating.
///
///     var reader = unsafe ProtobufReader(bytes)
///     while let field = try reader.next() {
///         switch field {
///         case 1: name = try reader.string()
///         case 2: try child(reader.message())
///         default: break  // next() skips what was not read
///         }
///     }
///
/// Every malformed input throws a `FormatError` with the byte's offset in the outermost buffer.
/// A field whose wire type is not the one asked for is an error. Groups are skipped. Nested
/// messages are bounded by `depthLimit`. The bytes must outlive the reader and all its children.
///
/// Source: https://protobuf.dev/programming-guides/encoding/
@safe public struct ProtobufReader {
    @usableFromInline let buffer: UnsafeRawBufferPointer
    @usableFromInline var position: Int
    /// Where this message ends, from the start of the outermost buffer.
    public let end: Int
    /// How many levels of messages or groups may still open.
    public let depthLeft: Int
    @usableFromInline var currentType: ProtobufWireType = .varint
    @usableFromInline var currentField: Int = 0
    @usableFromInline var isPending = false

    /// A reader over a whole message.
    @inlinable
    public init(_ buffer: UnsafeRawBufferPointer, depthLimit: Int = 64) {
        unsafe self.init(buffer, from: 0, to: buffer.count, depthLeft: depthLimit)
    }

    @inlinable
    init(_ buffer: UnsafeRawBufferPointer, from offset: Int, to end: Int, depthLeft: Int) {
        unsafe self.buffer = buffer
        position = offset
        self.end = end
        self.depthLeft = depthLeft
    }

    /// Offset of the next byte to read, from the start of the outermost buffer.
    @inlinable public var offset: Int { position }
    /// The wire type of the field that `next` announced.
    @inlinable public var wireType: ProtobufWireType { currentType }
    /// The number of the field that `next` announced.
    @inlinable public var field: Int { currentField }
    @inlinable public var isAtEnd: Bool { offset == end }
    @inlinable public var remaining: Int { end - offset }

    /// Announces the next field by its number; nil at the message's end. Skips the last field when
    /// its value was not read.
    @inlinable
    public mutating func next() throws(FormatError) -> Int? {
        if isPending { try skip() }
        guard offset < end else { return nil }
        let start = offset
        let tag = try rawVarint()
        guard tag <= UInt64(UInt32.max), tag >= 8,
            let type = ProtobufWireType(rawValue: UInt8(truncatingIfNeeded: tag & 7))
        else { throw badTag(tag, at: start) }
        guard type != .endGroup else { throw strayEndGroup(at: start) }
        currentType = type
        currentField = Int(tag >> 3)
        isPending = true
        return currentField
    }

    /// Passes over the announced field's value.
    @inlinable
    public mutating func skip() throws(FormatError) {
        isPending = false
        switch wireType {
        case .varint: _ = try rawVarint()
        case .fixed64: try advance(8)
        case .fixed32: try advance(4)
        case .lengthDelimited: _ = try rawLength()
        case .startGroup: try skipGroup(field, depthLeft: depthLeft)
        case .endGroup: throw strayEndGroup(at: offset)
        }
    }

    // MARK: Raw reads, without a tag

    /// Reads one varint at the cursor: for the inside of packed fields.
    @inlinable
    public mutating func rawVarint() throws(FormatError) -> UInt64 {
        let start = offset
        guard start < end else { throw truncated("a varint", at: start) }
        let first = unsafe buffer[start]
        if first < 0x80 {
            position = start + 1
            return UInt64(first)
        }
        return try longVarint(first, at: start)
    }

    @inlinable
    mutating func longVarint(_ first: UInt8, at start: Int) throws(FormatError) -> UInt64 {
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        var cursor = start + 1
        while cursor < end {
            let byte = unsafe buffer[cursor]
            cursor += 1
            // The tenth byte carries one bit.
            if shift == 63, byte > 1 { throw overlongVarint(at: start) }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 {
                position = cursor
                return value
            }
            shift += 7
        }
        throw truncated("a varint", at: start)
    }

    /// Reads a little-endian 4-byte word at the cursor.
    @inlinable
    public mutating func rawFixed32() throws(FormatError) -> UInt32 {
        guard end - offset >= 4 else { throw truncated("a 4-byte value", at: offset) }
        let value = unsafe buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        position += 4
        return UInt32(littleEndian: value)
    }

    /// Reads a little-endian 8-byte word at the cursor.
    @inlinable
    public mutating func rawFixed64() throws(FormatError) -> UInt64 {
        guard end - offset >= 8 else { throw truncated("an 8-byte value", at: offset) }
        let value = unsafe buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        position += 8
        return UInt64(littleEndian: value)
    }

    /// Reads a length and passes over that many bytes; answers where they lie.
    @inlinable
    mutating func rawLength() throws(FormatError) -> Range<Int> {
        let start = offset
        let length = try rawVarint()
        guard length <= UInt64(end - offset) else {
            throw lyingLength(length, at: start)
        }
        let from = offset
        position = from + Int(truncatingIfNeeded: length)
        return from..<position
    }

    @inlinable
    mutating func advance(_ count: Int) throws(FormatError) {
        guard end - offset >= count else { throw truncated("a \(count)-byte value", at: offset) }
        position += count
    }

    @inlinable
    mutating func take(_ type: ProtobufWireType) throws(FormatError) {
        guard wireType == type else { throw mismatch(type) }
        isPending = false
    }
}
