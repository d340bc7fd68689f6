// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Appends one protobuf message to a byte array.
///
/// Scalars are written whatever their value: a caller that wants proto3's implicit presence leaves
/// out zeros and empty strings itself. Nested messages are written in place and their lengths
/// filled in afterwards: nothing is built twice.
public struct ProtobufWriter: Sendable {
    public var bytes: [UInt8]

    @inlinable
    public init(reservingCapacity capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    // MARK: Raw writes, without a tag

    @inlinable
    public mutating func rawVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    @inlinable
    public mutating func rawFixed<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        unsafe withUnsafeBytes(of: value.littleEndian) { raw in
            unsafe bytes.append(contentsOf: raw)
        }
    }

    @inlinable
    public mutating func tag(_ field: Int, _ type: ProtobufWireType) {
        rawVarint(UInt64(truncatingIfNeeded: field) << 3 | UInt64(type.rawValue))
    }

    // MARK: Scalars

    @inlinable
    public mutating func uint64(_ field: Int, _ value: UInt64) {
        tag(field, .varint)
        rawVarint(value)
    }

    /// Also for int32 and enums: negative numbers take ten bytes, as the format asks.
    @inlinable
    public mutating func int64(_ field: Int, _ value: Int64) {
        uint64(field, UInt64(bitPattern: value))
    }

    @inlinable
    public mutating func sint64(_ field: Int, _ value: Int64) {
        uint64(field, UInt64(bitPattern: value << 1 ^ value >> 63))
    }

    @inlinable
    public mutating func bool(_ field: Int, _ value: Bool) {
        uint64(field, value ? 1 : 0)
    }

    @inlinable
    public mutating func fixed32(_ field: Int, _ value: UInt32) {
        tag(field, .fixed32)
        rawFixed(value)
    }

    @inlinable
    public mutating func fixed64(_ field: Int, _ value: UInt64) {
        tag(field, .fixed64)
        rawFixed(value)
    }

    @inlinable
    public mutating func float(_ field: Int, _ value: Float) {
        fixed32(field, value.bitPattern)
    }

    @inlinable
    public mutating func double(_ field: Int, _ value: Double) {
        fixed64(field, value.bitPattern)
    }

    // MARK: Length-delimited

    @inlinable
    public mutating func bytes(_ field: Int, _ value: UnsafeRawBufferPointer) {
        tag(field, .lengthDelimited)
        rawVarint(UInt64(truncatingIfNeeded: value.count))
        unsafe bytes.append(contentsOf: value)
    }

    @inlinable
    public mutating func bytes(_ field: Int, _ value: some Collection<UInt8>) {
        tag(field, .lengthDelimited)
        rawVarint(UInt64(truncatingIfNeeded: value.count))
        bytes.append(contentsOf: value)
    }

    @inlinable
    public mutating func string(_ field: Int, _ value: String) {
        bytes(field, value.utf8)
    }

    /// Writes a nested message: whatever `body` appends.
    @inlinable
    public mutating func message<Failure: Error>(
        _ field: Int, _ body: (inout ProtobufWriter) throws(Failure) -> Void
    ) throws(Failure) {
        let mark = beginMessage(field)
        try body(&self)
        endMessage(mark)
    }

    /// Opens a nested message; close it with `endMessage` and the mark that this returns.
    @inlinable
    public mutating func beginMessage(_ field: Int) -> Int {
        tag(field, .lengthDelimited)
        bytes.append(0)
        return bytes.count
    }

    /// Fills in the length of the message that `beginMessage` opened.
    ///
    /// One byte is kept for the length; a message of 128 bytes or more is moved up by the rest.
    @inlinable
    public mutating func endMessage(_ mark: Int) {
        let length = bytes.count - mark
        if length < 0x80 {
            bytes[mark - 1] = UInt8(truncatingIfNeeded: length)
        } else {
            insertLength(length, at: mark)
        }
    }

    @usableFromInline
    mutating func insertLength(_ length: Int, at mark: Int) {
        var prefix = ProtobufWriter()
        prefix.rawVarint(UInt64(truncatingIfNeeded: length))
        bytes.replaceSubrange(mark - 1..<mark, with: prefix.bytes)
    }
}
