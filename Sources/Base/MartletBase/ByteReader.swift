// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A bounded cursor over bytes: little-endian reads that answer nil instead of leaving the buffer.
///
/// A read that fails moves nothing. The bytes must outlive the reader.
@safe public struct ByteReader {
    @usableFromInline let bytes: UnsafeRawBufferPointer
    /// Bytes read so far.
    @usableFromInline var position: Int

    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer) {
        unsafe self.bytes = bytes
        position = 0
    }

    @inlinable public var offset: Int { position }
    @inlinable public var remaining: Int { unsafe bytes.count - position }
    @inlinable public var isAtEnd: Bool { remaining == 0 }

    /// Moves to an absolute offset; false, and no move, when it lies outside.
    @inlinable
    public mutating func seek(to offset: Int) -> Bool {
        guard offset >= 0, unsafe offset <= bytes.count else { return false }
        position = offset
        return true
    }

    /// Moves `count` bytes on; false, and no move, when there are fewer.
    @inlinable
    public mutating func skip(_ count: Int) -> Bool {
        guard count >= 0, count <= remaining else { return false }
        position += count
        return true
    }

    /// Reads a little-endian integer.
    @inlinable
    public mutating func read<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self
    ) -> Value? {
        let size = MemoryLayout<Value>.size
        guard size <= remaining else { return nil }
        let value = unsafe bytes.loadUnaligned(fromByteOffset: position, as: Value.self)
        position += size
        return Value(littleEndian: value)
    }

    @inlinable public mutating func readUInt8() -> UInt8? { read() }
    @inlinable public mutating func readUInt16() -> UInt16? { read() }
    @inlinable public mutating func readUInt32() -> UInt32? { read() }
    @inlinable public mutating func readUInt64() -> UInt64? { read() }
    @inlinable public mutating func readInt32() -> Int32? { read() }
    @inlinable public mutating func readInt64() -> Int64? { read() }

    @inlinable
    public mutating func readFloat() -> Float? {
        guard let bits = readUInt32() else { return nil }
        return Float(bitPattern: bits)
    }

    @inlinable
    public mutating func readDouble() -> Double? {
        guard let bits = readUInt64() else { return nil }
        return Double(bitPattern: bits)
    }

    /// Reads an unsigned 64-bit number that must be a size: nil when it passes `Int` or the limit.
    @inlinable
    public mutating func readSize(limit: Int = .max) -> Int? {
        let start = position
        guard let value = readUInt64() else { return nil }
        guard let size = Int(exactly: value), size <= limit else {
            position = start
            return nil
        }
        return size
    }

    /// The next `count` bytes, in place.
    @inlinable
    public mutating func readBytes(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, count <= remaining else { return nil }
        let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
        position += count
        return unsafe part
    }

    /// The next byte, without moving.
    @inlinable
    public func peek() -> UInt8? {
        isAtEnd ? nil : unsafe bytes[position]
    }
}
