// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletZlib

/// Compresses a body piece by piece.
@safe public struct Deflater: ~Copyable {
    /// On the heap: zlib remembers the stream's address and refuses to work at another.
    private let stream: UnsafeMutablePointer<z_stream>

    /// - Parameter level: 1 (fast) to 9 (small).
    /// - Throws: `.unsupported` for identity, which needs no encoder.
    public init(_ coding: ContentCoding, level: Int = 1) throws(WireError) {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        guard coding != .identity else {
            throw WireError(.unsupported, "identity is not compressed")
        }
        let result = unsafe deflateInit2_(
            stream, Int32(min(max(level, 1), 9)), Z_DEFLATED, coding == .gzip ? 15 + 16 : 15, 8,
            Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard result == Z_OK else {
            throw WireError(.unsupported, status: 500, "zlib could not be started")
        }
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Appends what the next piece becomes; with `isLast` the end of the body too.
    public mutating func deflate(
        _ input: UnsafeRawBufferPointer, isLast: Bool, appendingTo output: inout [UInt8]
    ) throws(WireError) {
        guard input.count <= Int(UInt32.max) else {
            throw WireError(.limitExceeded, status: 413, "a piece of \(input.count) bytes")
        }
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.pointee.avail_in = UInt32(input.count)
        defer { unsafe stream.pointee.next_in = nil }
        let room = 64 << 10
        while true {
            let start = output.count
            output.append(contentsOf: repeatElement(0, count: room))
            let result = unsafe output.withUnsafeMutableBytes { memory in
                unsafe stream.pointee.next_out = memory.baseAddress.map {
                    unsafe $0.assumingMemoryBound(to: UInt8.self) + start
                }
                unsafe stream.pointee.avail_out = UInt32(room)
                return unsafe CMartletZlib.deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
            }
            let left = unsafe Int(stream.pointee.avail_out)
            output.removeLast(left)
            if result == Z_STREAM_END { return }
            guard result == Z_OK || result == Z_BUF_ERROR else {
                throw WireError(.corruptCompression, status: 500, "zlib refused a body")
            }
            if left > 0 && !isLast { return }
        }
    }
}
