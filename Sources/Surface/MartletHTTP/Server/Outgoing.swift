// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor
internal import NIOCore

/// Answers on their way to the socket: bytes that were put together, and large parts of the last
/// answer's body that are sent from where they lie.
struct Outgoing {
    /// Small answers are put together up to this size, large bodies are not copied.
    static let joinedBytesMax = 32 << 10
    /// What is copied at a time for the channel to send when the socket has no room.
    private static let pieceBytesMax = 64 << 10

    var joined: [UInt8] = []
    var parts: ArraySlice<HTTPResponse.BodyPart> = []
    /// Nothing more is read from the client once this has left.
    var isLast = false
    /// The client may still be sending.
    var lingers = false
    /// Bytes of `joined`, then of the first of `parts`, that have left.
    private var sent = 0
    private var isJoinedSent = false

    init(joined: consuming [UInt8]) {
        self.joined = joined
    }

    var isSent: Bool { isJoinedSent && parts.isEmpty }

    /// Bytes that have not left.
    var byteCount: Int {
        parts.reduce(isJoinedSent ? 0 : joined.count) { $0 + $1.byteCount } - sent
    }

    /// Whether it can wait for other small answers.
    var canGather: Bool { parts.isEmpty && joined.count <= Outgoing.joinedBytesMax }

    /// Adds a response's body: what is small to the joined bytes, the first large part and all
    /// behind it as they lie.
    /// - Returns: bytes that are not needed any more.
    mutating func add(_ response: consuming HTTPResponse) -> [UInt8] {
        var bytes: [UInt8] = []
        swap(&bytes, &response.bytes)
        if bytes.count > Outgoing.joinedBytesMax {
            parts = [.bytes(bytes)] + response.parts
            return []
        }
        joined.append(contentsOf: bytes)
        for (index, part) in response.parts.enumerated() {
            guard part.byteCount <= Outgoing.joinedBytesMax else {
                parts = response.parts[index...]
                break
            }
            unsafe part.withBytes { unsafe joined.append(contentsOf: $0) }
        }
        return bytes
    }

    /// Takes the joined bytes out, to be written on or used again.
    mutating func takeJoined() -> [UInt8] {
        var bytes: [UInt8] = []
        swap(&bytes, &joined)
        return bytes
    }

    /// Adds an answer that must not leave before this one.
    mutating func append(_ later: consuming Outgoing) {
        parts.append(.bytes(later.joined))
        parts.append(contentsOf: later.parts)
        isLast = later.isLast
        lingers = later.lingers
    }

    /// Sends as much as the socket takes.
    mutating func push(through socket: PlainSocket) {
        while !isSent {
            let taken: Int
            if isJoinedSent, let part = parts.first {
                taken = unsafe part.withBytes { bytes in
                    unsafe socket.send(
                        UnsafeRawBufferPointer(rebasing: bytes[sent...]),
                        UnsafeRawBufferPointer(start: nil, count: 0))
                }
            } else {
                taken = unsafe joined.withUnsafeBytes { bytes in
                    let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[sent...])
                    guard let part = parts.first else {
                        return unsafe socket.send(
                            rest, UnsafeRawBufferPointer(start: nil, count: 0))
                    }
                    return unsafe part.withBytes { unsafe socket.send(rest, $0) }
                }
            }
            guard taken > 0 else { return }
            advance(taken)
        }
    }

    /// The next bytes as a channel sends them: a piece of them, or all.
    mutating func takeBuffer(all: Bool, _ allocator: ByteBufferAllocator) -> ByteBuffer {
        let limit = all ? Int.max : Outgoing.pieceBytesMax
        var buffer = allocator.buffer(capacity: min(byteCount, limit))
        while !isSent, buffer.readableBytes < limit {
            let room = limit - buffer.readableBytes
            let taken: Int
            if isJoinedSent, let part = parts.first {
                taken = unsafe part.withBytes { unsafe buffer.writeBytes($0[sent...].prefix(room)) }
            } else {
                taken = buffer.writeBytes(joined[sent...].prefix(room))
            }
            advance(taken)
        }
        return buffer
    }

    private mutating func advance(_ count: Int) {
        sent += count
        if !isJoinedSent {
            guard sent >= joined.count else { return }
            sent -= joined.count
            isJoinedSent = true
        }
        while let part = parts.first, sent >= part.byteCount {
            sent -= part.byteCount
            parts.removeFirst()
        }
    }
}

extension HTTPResponse.BodyPart {
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        switch self {
        case .bytes(let bytes): unsafe bytes.withUnsafeBytes { unsafe body($0) }
        case .tensor(let tensor): unsafe body(tensor.bytes)
        }
    }
}
