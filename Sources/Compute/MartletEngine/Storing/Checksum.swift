// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// A checksum against damage, not against forgery: as fast as memory, on all threads.
///
/// Each word goes through an invertible step, so that any change of one word is noticed; parts of a
/// mebibyte are independent of each other and joined in order.
package enum Checksum {
    private static let partByteCount = 1 << 20
    private static let factor: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// - Parameter letGo: is told of each range once it has been read, from any thread.
    package static func of(
        _ bytes: UnsafeRawBufferPointer, letGo: (@Sendable (Range<Int>) -> Void)? = nil
    ) -> UInt64 {
        let parts = (bytes.count + partByteCount - 1) / partByteCount
        guard parts > 1 else {
            defer { letGo?(0..<bytes.count) }
            return unsafe part(bytes, seed: UInt64(bytes.count))
        }
        let sums = unsafe PartSums(bytes: bytes, count: parts)
        KernelPool.parallel(parts: parts) { part in
            let range = sums.compute(part)
            letGo?(range)
        }
        return sums.joined(seed: UInt64(bytes.count))
    }

    /// One part, on the calling thread.
    fileprivate static func part(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        // Four chains hide the latency of a multiplication.
        var a = seed ^ 0xA5A5_A5A5_A5A5_A5A5
        var b = seed &+ 0x1234_5678_9ABC_DEF0
        var c = seed ^ 0x0F0F_0F0F_F0F0_F0F0
        var d = seed &+ 0x0FED_CBA9_8765_4321
        var offset = 0
        let whole = bytes.count / 32 * 32
        while offset < whole {
            a = step(a, unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            b = step(b, unsafe bytes.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self))
            c = step(c, unsafe bytes.loadUnaligned(fromByteOffset: offset &+ 16, as: UInt64.self))
            d = step(d, unsafe bytes.loadUnaligned(fromByteOffset: offset &+ 24, as: UInt64.self))
            offset &+= 32
        }
        while offset < bytes.count {
            a = step(a, UInt64(unsafe bytes[offset]))
            offset &+= 1
        }
        return join(join(join(a, b), c), d)
    }

    @inline(__always)
    private static func step(_ sum: UInt64, _ word: UInt64) -> UInt64 {
        let mixed = (sum ^ word) &* factor
        return mixed ^ (mixed &>> 29)
    }

    fileprivate static func join(_ left: UInt64, _ right: UInt64) -> UInt64 {
        step(left &* factor, right)
    }
}

/// Parts' checksums while they are computed.
// Sendable: every part writes its own place, and reading waits for all of them.
@safe private final class PartSums: @unchecked Sendable {
    private let bytes: UnsafeRawBufferPointer
    private let sums: UnsafeMutableBufferPointer<UInt64>

    init(bytes: UnsafeRawBufferPointer, count: Int) {
        unsafe self.bytes = bytes
        unsafe sums = .allocate(capacity: count)
        unsafe sums.initialize(repeating: 0)
    }

    deinit { unsafe sums.deallocate() }

    func compute(_ part: Int) -> Range<Int> {
        let start = part << 20
        let end = min(start + (1 << 20), unsafe bytes.count)
        unsafe sums[part] = Checksum.part(
            UnsafeRawBufferPointer(rebasing: bytes[start..<end]), seed: UInt64(part))
        return start..<end
    }

    func joined(seed: UInt64) -> UInt64 {
        var sum = seed
        for index in unsafe sums.indices { sum = unsafe Checksum.join(sum, sums[index]) }
        return sum
    }
}
