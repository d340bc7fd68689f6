// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Borrowed bytes, read without bounds checks in release builds: the scanner compares positions
/// with `count` itself, once per token instead of once per byte.
@safe struct ByteSource {
    private let base: UnsafeRawPointer
    let count: Int

    init(_ bytes: UnsafeRawBufferPointer) {
        // An empty buffer may have no address; nothing is read through this one.
        unsafe base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
        count = bytes.count
    }

    @inline(__always)
    subscript(position: Int) -> UInt8 {
        assert(position >= 0 && position < count)
        return unsafe base.load(fromByteOffset: position, as: UInt8.self)
    }

    /// Eight bytes, the first one lowest. The caller knows that they are there.
    @inline(__always)
    func word(at position: Int) -> UInt64 {
        assert(position >= 0 && position + 8 <= count)
        return unsafe UInt64(
            littleEndian: base.loadUnaligned(fromByteOffset: position, as: UInt64.self))
    }

    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        assert(range.lowerBound >= 0 && range.upperBound <= count)
        return unsafe UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
    }
}
