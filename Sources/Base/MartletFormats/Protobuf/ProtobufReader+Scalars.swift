// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// One typed read per scalar type of the protobuf language, for the field that `next` announced.
extension ProtobufReader {
    @inlinable
    public mutating func uint64() throws(FormatError) -> UInt64 {
        try take(.varint)
        return try rawVarint()
    }

    @inlinable
    public mutating func int64() throws(FormatError) -> Int64 {
        Int64(bitPattern: try uint64())
    }

    /// Also for enums. Bits above 32 are dropped, as the format asks.
    @inlinable
    public mutating func int32() throws(FormatError) -> Int32 {
        Int32(truncatingIfNeeded: try uint64())
    }

    @inlinable
    public mutating func uint32() throws(FormatError) -> UInt32 {
        UInt32(truncatingIfNeeded: try uint64())
    }

    @inlinable
    public mutating func bool() throws(FormatError) -> Bool {
        try uint64() != 0
    }

    @inlinable
    public mutating func sint64() throws(FormatError) -> Int64 {
        let bits = try uint64()
        return Int64(bitPattern: bits >> 1) ^ -Int64(bitPattern: bits & 1)
    }

    @inlinable
    public mutating func sint32() throws(FormatError) -> Int32 {
        Int32(truncatingIfNeeded: try sint64())
    }

    @inlinable
    public mutating func fixed32() throws(FormatError) -> UInt32 {
        try take(.fixed32)
        return try rawFixed32()
    }

    @inlinable
    public mutating func fixed64() throws(FormatError) -> UInt64 {
        try take(.fixed64)
        return try rawFixed64()
    }

    @inlinable
    public mutating func float() throws(FormatError) -> Float {
        Float(bitPattern: try fixed32())
    }

    @inlinable
    public mutating func double() throws(FormatError) -> Double {
        Double(bitPattern: try fixed64())
    }

    /// Where a bytes, string or message field's contents lie, from the outermost buffer's start.
    @inlinable
    public mutating func range() throws(FormatError) -> Range<Int> {
        try take(.lengthDelimited)
        return try rawLength()
    }

    /// A bytes field's contents, in place.
    @inlinable
    public mutating func bytes() throws(FormatError) -> UnsafeRawBufferPointer {
        let range = try range()
        return unsafe UnsafeRawBufferPointer(rebasing: buffer[range])
    }

    /// A string field. Throws when it is not UTF-8.
    @inlinable
    public mutating func string() throws(FormatError) -> String {
        let start = offset
        let bytes = unsafe try bytes()
        guard let text = unsafe String(validating: bytes, as: UTF8.self) else {
            throw notText(at: start)
        }
        return text
    }

    /// A string field for people to read: what is not UTF-8 is replaced.
    public mutating func lossyString() throws(FormatError) -> String {
        let bytes = unsafe try bytes()
        return unsafe String(decoding: bytes, as: UTF8.self)
    }

    /// A nested message's reader; this one moves past it.
    @inlinable
    public mutating func message() throws(FormatError) -> ProtobufReader {
        guard depthLeft > 0 else { throw tooDeep(at: offset) }
        let range = try range()
        return unsafe ProtobufReader(
            buffer, from: range.lowerBound, to: range.upperBound, depthLeft: depthLeft - 1)
    }

    /// The inside of a packed field, to be read with `rawVarint`, `rawFixed32` or `rawFixed64`
    /// until `isAtEnd`.
    @inlinable
    public mutating func packed() throws(FormatError) -> ProtobufReader {
        let range = try range()
        return unsafe ProtobufReader(
            buffer, from: range.lowerBound, to: range.upperBound, depthLeft: depthLeft)
    }
}
