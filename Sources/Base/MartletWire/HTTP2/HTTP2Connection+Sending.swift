// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension HTTP2Connection {
    package mutating func clearOutput(keepingCapacity: Bool = true) {
        output.removeAll(keepingCapacity: keepingCapacity)
        replyCount = 0
    }

    /// Whether the stream still exists: neither reset nor over on both sides.
    package func isOpen(_ stream: HTTP2StreamRef) -> Bool {
        streams.isOpen(stream) && !streams[stream.slot].isLocalClosed
    }

    /// How many bytes of DATA may be sent on the stream now, in one frame.
    package func capacity(_ stream: HTTP2StreamRef) -> Int {
        guard isOpen(stream) else { return 0 }
        return max(
            0, min(sendWindow, streams[stream.slot].sendWindow, frameBytesMax))
    }

    /// What the shell of a connection asks all the time.
    package struct Load: Sendable {
        package var streams: Int
        package var canOpen: Bool
        package var isDraining: Bool
        package var hasDrained: Bool
    }

    /// Read in place: whoever keeps the connection in a class copies it otherwise.
    package mutating func load() -> Load {
        Load(
            streams: streams.count, canOpen: canOpen, isDraining: drain != .none,
            hasDrained: drain == .final && streams.count == 0)
    }

    /// As `capacity`, read in place; nil where `isOpen` is false.
    package mutating func room(_ stream: HTTP2StreamRef) -> Int? {
        guard streams.isOpen(stream), !streams[stream.slot].isLocalClosed else { return nil }
        return max(0, min(sendWindow, streams[stream.slot].sendWindow, frameBytesMax))
    }

    /// The longest DATA frame that we send, whatever the client allows.
    private var frameBytesMax: Int { min(peer.maxFrameSize, 1 << 16) }

    /// Sends a header block made by `encoder`; nothing happens on a stream that is gone.
    package mutating func sendHeaders(
        _ stream: HTTP2StreamRef, _ block: [UInt8], endStream: Bool
    ) {
        guard isOpen(stream) else { return }
        HTTP2FrameWriter.headers(
            stream: stream.id, block, endStream: endStream, frameBytesMax: peer.maxFrameSize,
            to: &output)
        if endStream { closeLocal(stream.slot) }
    }

    /// Sends a DATA frame.
    /// - Precondition: `bytes.count` is at most `capacity(stream)`.
    package mutating func sendData(
        _ stream: HTTP2StreamRef, _ bytes: UnsafeRawBufferPointer, endStream: Bool = false
    ) {
        sendDataHeader(stream, length: bytes.count, endStream: endStream)
        unsafe output.append(contentsOf: bytes)
    }

    /// Sends the head of a DATA frame whose payload the shell puts behind `output` itself.
    package mutating func sendDataHeader(
        _ stream: HTTP2StreamRef, length: Int, endStream: Bool = false
    ) {
        precondition(length <= capacity(stream), "DATA beyond the window")
        sendWindow -= length
        streams[stream.slot].sendWindow -= length
        HTTP2FrameWriter.header(
            .data, flags: endStream ? HTTP2Flag.endStream : 0, stream: stream.id, length: length,
            to: &output)
        if endStream { closeLocal(stream.slot) }
    }

    private mutating func closeLocal(_ slot: Int) {
        if streams[slot].isRemoteClosed {
            streams.remove(slot)
        } else {
            streams[slot].isLocalClosed = true
        }
    }

    /// Ends a stream at once. After our END_STREAM, `noError` tells the client to stop sending.
    package mutating func reset(_ stream: HTTP2StreamRef, _ code: HTTP2ErrorCode) {
        guard streams.isOpen(stream) else { return }
        HTTP2FrameWriter.reset(stream: stream.id, code, to: &output)
        resetByUs.add(stream.id)
        streams.remove(stream.slot)
    }

    package mutating func ping(_ payload: UInt64) {
        HTTP2FrameWriter.ping(payload, isAck: false, to: &output)
    }

    /// Asks the client to begin no more streams; those that it has begun meanwhile are served
    /// until `finishDrain`, to be called a round trip later.
    package mutating func beginDrain() {
        guard drain == .none else { return }
        drain = .announced
        HTTP2FrameWriter.goAway(
            lastStream: UInt32(HTTP2Settings.windowMax), .noError, "", to: &output)
    }

    /// Says which stream was the last; later ones are ignored.
    package mutating func finishDrain() {
        guard drain != .final else { return }
        drain = .final
        HTTP2FrameWriter.goAway(lastStream: lastStream, .noError, "", to: &output)
    }

    package var isDraining: Bool { drain != .none }
    package var hasDrained: Bool { drain == .final && streams.count == 0 }

    /// Says goodbye after an error.
    package mutating func fail(_ error: HTTP2Error) {
        HTTP2FrameWriter.goAway(lastStream: lastStream, error.code, error.message, to: &output)
    }
}
