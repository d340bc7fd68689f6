// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletZlib

/// Decompresses a body piece by piece, never beyond a bound: a small body that would become a huge
/// one is refused as soon as it does.
@safe public struct Inflater: ~Copyable {
    /// On the heap: zlib remembers the stream's address and refuses to work at another.
    private let stream: UnsafeMutablePointer<z_stream>
    private let coding: ContentCoding
    private let outputBytesMax: Int
    private var outputBytes = 0
    private var hasEnded = false
    private var isFirst = true

    /// - Throws: `.unsupported` for identity, which needs no decoder.
    public init(_ coding: ContentCoding, outputBytesMax: Int) throws(WireError) {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        self.coding = coding
        self.outputBytesMax = outputBytesMax
        guard coding != .identity else {
            throw WireError(.unsupported, "identity is not compressed")
        }
        try start(windowBits: coding == .gzip ? 15 + 16 : 15)
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Appends what the next piece becomes.
    public mutating func inflate(
        _ input: UnsafeRawBufferPointer, appendingTo output: inout [UInt8]
    ) throws(WireError) {
        guard input.count > 0 else { return }
        if isFirst {
            isFirst = false
            // The zlib header is a multiple of 31 and names method 8; bare deflate begins
            // otherwise.
            let looksZlib = unsafe input[0] & 0x0F == 8 && input[0] >> 4 <= 7
            if coding == .deflate, !looksZlib {
                unsafe inflateEnd(stream)
                try start(windowBits: -15)
            }
        }
        guard !hasEnded else {
            throw WireError(.corruptCompression, "bytes after the end of a compressed body")
        }
        guard input.count <= Int(UInt32.max) else {
            throw WireError(.limitExceeded, status: 413, "a piece of \(input.count) bytes")
        }
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.pointee.avail_in = UInt32(input.count)
        defer { unsafe stream.pointee.next_in = nil }
        repeat { try inflateBlock(&output) } while !hasEnded && isHungry
    }

    /// Checks that the body ended where its own format says.
    public func finish() throws(WireError) {
        guard hasEnded else {
            throw WireError(.corruptCompression, "a compressed body ends too early")
        }
    }

    private var isHungry: Bool {
        unsafe stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0
    }

    private mutating func inflateBlock(_ output: inout [UInt8]) throws(WireError) {
        let room = min(64 << 10, outputBytesMax - outputBytes + 1)
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: room))
        let result = unsafe output.withUnsafeMutableBytes { memory in
            unsafe stream.pointee.next_out = memory.baseAddress.map {
                unsafe $0.assumingMemoryBound(to: UInt8.self) + start
            }
            unsafe stream.pointee.avail_out = UInt32(room)
            return unsafe CMartletZlib.inflate(stream, Z_NO_FLUSH)
        }
        let written = unsafe room - Int(stream.pointee.avail_out)
        output.removeLast(room - written)
        outputBytes += written
        guard outputBytes <= outputBytesMax else {
            throw WireError(
                .limitExceeded, status: 413,
                "a compressed body of more than \(outputBytesMax) bytes unpacked")
        }
        switch result {
        case Z_STREAM_END:
            hasEnded = true
            guard unsafe stream.pointee.avail_in == 0 else {
                throw WireError(.corruptCompression, "bytes after the end of a compressed body")
            }
        case Z_OK: break
        case Z_BUF_ERROR where written == 0 && !(unsafe stream.pointee.avail_in > 0): break
        default: throw WireError(.corruptCompression, "a compressed body is corrupt")
        }
    }

    private mutating func start(windowBits: Int32) throws(WireError) {
        unsafe stream.pointee = z_stream()
        let result = unsafe inflateInit2_(
            stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard result == Z_OK else {
            throw WireError(.unsupported, status: 500, "zlib could not be started")
        }
    }
}
