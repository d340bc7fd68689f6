// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletWire
internal import NIOCore

extension GRPCConnection {
    /// Payloads up to this size are copied behind their frame header; longer ones are written as
    /// they are.
    static let copiedBytesMax = 8 << 10
    /// Output that is not left to gather further.
    private static let burstBytesMax = 64 << 10
    /// A burst's memory that is kept for the next.
    private static let keptBytesMax = 16 << 10
    /// Answers to the client's own control frames that may wait for it to read.
    private static let stuckRepliesMax = 1_000

    /// Something was added to the output: it leaves at the end of the burst, or soon.
    func outputAdded() {
        if http.output.count >= GRPCConnection.burstBytesMax, !isFlushing { return flush() }
        guard !isInBurst, !isFlushScheduled, let context else { return }
        isFlushScheduled = true
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute {
            connection.value.isFlushScheduled = false
            connection.value.flush()
        }
    }

    /// Sends all that may be sent.
    func flush() {
        guard !isFlushing, let context else { return }
        isFlushing = true
        defer { isFlushing = false }
        repeat {
            sendQueued()
            writeOutput(context)
            if hasUnflushed {
                hasUnflushed = false
                context.flush()
            }
            wakeUnblocked()
        } while !isClosing && (!http.output.isEmpty || isChannelWritable && !sendQueue.isEmpty)
        closeIfDrained()
    }

    /// Moves the gathered frames to the channel.
    private func writeOutput(_ context: ChannelHandlerContext) {
        guard !http.output.isEmpty else { return }
        stuckReplies = isChannelWritable ? 0 : stuckReplies + http.replyCount
        let isLarge = http.output.count > GRPCConnection.keptBytesMax
        outbound.clear()
        outbound.writeBytes(http.output)
        http.clearOutput(keepingCapacity: !isLarge)
        context.write(wrapOutboundOut(outbound), promise: nil)
        if isLarge { outbound = ByteBuffer() }
        hasUnflushed = true
        if stuckReplies > GRPCConnection.stuckRepliesMax {
            environment.logger.debug("gRPC client reads no answers to its control frames")
            close()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isChannelWritable = context.channel.isWritable
        if isChannelWritable {
            for stream in streams {
                if let stream, stream.sink != nil { unblocked.append(stream) }
            }
            if !isFlushing { flush() }
        }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Messages that had to wait

    /// Lines a stream up to send what it holds.
    func enqueue(_ stream: GRPCStream) {
        guard !stream.isQueued else { return }
        stream.isQueued = true
        sendQueue.append(stream)
    }

    func windowOpened(_ ref: HTTP2StreamRef?) {
        if let ref {
            if ref.slot < streams.count, let stream = streams[ref.slot], stream.hasPending {
                enqueue(stream)
            }
        } else {
            for stream in streams {
                if let stream, stream.hasPending { enqueue(stream) }
            }
        }
    }

    /// Gives each stream in the queue a frame in turn, as far as the windows and the socket allow.
    private func sendQueued() {
        guard let context, !sendQueue.isEmpty else { return }
        var place = 0
        while place < sendQueue.count, isChannelWritable {
            let stream = sendQueue[place]
            place += 1
            stream.isQueued = false
            sendSome(of: stream, context)
            if stream.hasPending, http.capacity(stream.ref) > 0 { enqueue(stream) }
            if http.output.count >= GRPCConnection.burstBytesMax { writeOutput(context) }
        }
        sendQueue.removeFirst(place)
    }

    private func sendSome(of stream: GRPCStream, _ context: ChannelHandlerContext) {
        let capacity = http.capacity(stream.ref)
        if let bytes = stream.takePending(upTo: capacity) {
            if bytes.readableBytes <= GRPCConnection.copiedBytesMax {
                unsafe bytes.withUnsafeReadableBytes { unsafe http.sendData(stream.ref, $0) }
            } else {
                http.sendDataHeader(stream.ref, length: bytes.readableBytes)
                writeOutput(context)
                context.write(wrapOutboundOut(bytes), promise: nil)
            }
            hasUnflushed = true
            if stream.isBlocked, stream.pendingBytes <= GRPCStream.lowWaterBytes {
                stream.isBlocked = false
                unblocked.append(stream)
            }
        }
        stream.sendTrailersIfDue()
    }

    private func wakeUnblocked() {
        while let stream = unblocked.popLast() { stream.sink?.becameWritable() }
    }
}
