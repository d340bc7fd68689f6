// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletWire
internal import NIOCore

extension ClientConnection {
    /// Sends what has been put together in the loop's scratch.
    func flushScratch() {
        guard !loop.scratch.isEmpty || stream?.hasUnsentHead ?? false else { return }
        // Whoever hears of it may put more together before this one is done.
        var bytes = WireBuffer()
        swap(&bytes, &loop.scratch)
        unsafe send(bytes.bytes)
        bytes.removeAll()
        if loop.scratch.isEmpty { swap(&bytes, &loop.scratch) }
    }

    private func send(_ bytes: UnsafeRawBufferPointer) {
        if let stream {
            unsafe stream.send(bytes)
            return holdUpstream(behind: stream.waitingBytes)
        }
        guard let context, !isClosed else { return }
        let mustWrite = unsafe outlet?.send(bytes, isActive: isActive) ?? false
        if mustWrite { writePiece(context) }
        holdUpstream(behind: outlet?.waitingBytes ?? 0)
    }

    /// Lets the upstream wait while the client has too much to take.
    private func holdUpstream(behind waiting: Int) {
        guard waiting > ClientConnection.waitingBytesMax, !holdsUpstream,
            let connection = exchange.connection
        else { return }
        holdsUpstream = true
        connection.hold(true)
        wait(.write, shared.waits.write)
    }

    private func writePiece(_ context: ChannelHandlerContext) {
        guard let piece = outlet?.nextPiece() else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [self] in pieceHasLeft($0) }
        context.writeAndFlush(wrapOutboundOut(piece), promise: written)
    }

    private func pieceHasLeft(_ result: Result<Void, any Error>) {
        guard case .success = result, let context, outlet != nil else { return abort() }
        outlet?.pieceHasLeft()
        let waiting = outlet?.waitingBytes ?? 0
        if waiting > 0 { writePiece(context) }
        if holdsUpstream, waiting <= ClientConnection.waitingBytesMax / 4 {
            holdsUpstream = false
            waitForAnswer()
            exchange.connection?.hold(false)
        } else if holdsUpstream || (!isInRequest && waiting > 0) {
            // It takes some: the clock begins anew.
            wait(.write, shared.waits.write)
        }
        if waiting == 0, isClosing { closeNow() }
    }

    /// Closes once everything has left. Lingering ends our side only and throws away what still
    /// comes, so that the client can read the answer before its system hears that nobody listens.
    func closeAfterSending(lingering: Bool) {
        isClosing = true
        lingers = lingering
        unread = 0
        if outlet?.waitingBytes ?? 0 == 0 {
            closeNow()
        } else {
            wait(.write, shared.waits.write)
        }
    }

    private func closeNow() {
        guard lingers, let context else { return abort() }
        wait(.linger, 2_000_000_000)
        context.close(mode: .output).assumeIsolated().whenFailure { [self] _ in abort() }
    }

    /// Asks a client that waits with its body to go on.
    func sendContinue() {
        if let stream { return stream.sendContinue() }
        loop.scratch.append("HTTP/1.1 100 Continue\r\n\r\n")
        flushScratch()
    }
}
