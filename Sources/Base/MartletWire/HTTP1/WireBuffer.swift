// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Bytes that are put together to be sent: grows, keeps its memory, and is nobody else's, so that
/// appending costs no more than the copy.
@safe
@frozen
public struct WireBuffer: ~Copyable {
    @usableFromInline var base: UnsafeMutableRawPointer
    public private(set) var capacity: Int
    @usableFromInline var used = 0

    /// What is left of the capacity.
    @usableFromInline var room = 0

    /// Takes no memory before something is appended.
    public init() {
        // Nothing is read or written through this one.
        unsafe base = UnsafeMutableRawPointer(bitPattern: 16).unsafelyUnwrapped
        capacity = 0
    }

    deinit {
        if capacity > 0 { unsafe base.deallocate() }
    }

    @inlinable public var count: Int { used }
    @inlinable public var isEmpty: Bool { used == 0 }

    /// The bytes; they stay where they are until something is appended.
    @inlinable public var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base, count: used)
    }

    /// Forgets the bytes, and memory beyond `limit`.
    public mutating func removeAll(keeping limit: Int = 256 << 10) {
        used = 0
        room = capacity
        guard capacity > limit else { return }
        unsafe base.deallocate()
        unsafe base = UnsafeMutableRawPointer(bitPattern: 16).unsafelyUnwrapped
        capacity = 0
        room = 0
    }

    @usableFromInline @inline(never)
    mutating func grow(for extra: Int) {
        let (needed, overflow) = used.addingReportingOverflow(extra)
        precondition(!overflow, "more bytes than there are addresses")
        let larger = max(capacity * 2, needed, 1 << 10)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        unsafe memory.copyMemory(from: base, byteCount: used)
        if capacity > 0 { unsafe base.deallocate() }
        unsafe base = memory
        capacity = larger
        room = larger - used
    }

    /// Where `count` more bytes go; all of them must be written.
    @inlinable @inline(__always)
    mutating func place(for count: Int) -> UnsafeMutableRawPointer {
        if room < count { grow(for: count) }
        let place = unsafe base + used
        used += count
        room -= count
        return unsafe place
    }

    @inlinable @inline(__always)
    public mutating func append(_ byte: UInt8) {
        unsafe place(for: 1).storeBytes(of: byte, as: UInt8.self)
    }

    @inlinable @inline(__always)
    public mutating func append(_ text: StaticString) {
        let count = text.utf8CodeUnitCount
        unsafe place(for: count).copyMemory(from: text.utf8Start, byteCount: count)
    }

    @inlinable
    public mutating func append(contentsOf bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        unsafe place(for: bytes.count).copyMemory(from: start, byteCount: bytes.count)
    }

    @inlinable
    public mutating func append(contentsOf bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }

    /// Appends a part of an array.
    @inlinable
    public mutating func append(_ range: Range<Int>, of bytes: [UInt8]) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= bytes.count, "range out of bounds")
        unsafe bytes.withUnsafeBytes {
            unsafe append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[range]))
        }
    }

    public mutating func append(text: String) {
        var text = text
        text.withUTF8 { unsafe append(contentsOf: UnsafeRawBufferPointer($0)) }
    }

    /// Sixteen digits, lower case.
    public mutating func append(hexadecimal value: UInt64) {
        let place = unsafe place(for: 16)
        unsafe place.storeBytes(
            of: WireBuffer.digits(UInt32(truncatingIfNeeded: value >> 32)), as: UInt64.self)
        unsafe place.storeBytes(
            of: WireBuffer.digits(UInt32(truncatingIfNeeded: value)), toByteOffset: 8,
            as: UInt64.self)
    }

    /// Eight hexadecimal digits as they stand in memory: four bits are spread to each byte, then
    /// all are turned into text at once.
    private static func digits(_ value: UInt32) -> UInt64 {
        var spread = UInt64(value)
        spread = (spread & 0xFFFF) | (spread & 0xFFFF_0000) << 16
        spread = (spread & 0x0000_00FF_0000_00FF) | (spread & 0x0000_FF00_0000_FF00) << 8
        spread = (spread & 0x000F_000F_000F_000F) | (spread & 0x00F0_00F0_00F0_00F0) << 4
        let letters = ((spread &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        return (spread &+ 0x3030_3030_3030_3030 &+ letters &* 0x27).bigEndian
    }

    /// A number that is not below zero, in decimal.
    public mutating func append(decimal value: Int) {
        precondition(value >= 0, "a length below zero")
        var left = UInt64(value)
        if left < 100_000_000 {
            // Put together in a register: the first digit ends where memory begins.
            var digits: UInt64 = 0
            var count = 0
            repeat {
                let tens = left / 10
                digits = digits << 8 | (0x30 + left &- tens &* 10)
                left = tens
                count += 1
            } while left > 0
            if room < 8 { grow(for: 8) }
            unsafe (base + used).storeBytes(of: digits.littleEndian, as: UInt64.self)
            used += count
            room -= count
            return
        }
        var count = 1
        while left >= 10 {
            count += 1
            left /= 10
        }
        let place = unsafe place(for: count)
        left = UInt64(value)
        for offset in stride(from: count - 1, through: 0, by: -1) {
            let digit = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: left % 10)
            unsafe place.storeBytes(of: digit, toByteOffset: offset, as: UInt8.self)
            left /= 10
        }
    }
}
