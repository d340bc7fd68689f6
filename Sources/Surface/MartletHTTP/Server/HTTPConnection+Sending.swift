// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire
internal import NIOCore

/// A plaintext answer goes to the socket at once, past the channel. What the socket has no room for
/// follows piece by piece through the channel, which says when there is room again.
extension HTTPConnection {
    /// Sends an answer, behind what is still on its way.
    func send(_ answer: consuming Outgoing) {
        if var waiting = outgoing {
            outgoing = nil
            waiting.append(answer)
            enter(.writing(byteCount: waiting.byteCount))
            outgoing = waiting
            return
        }
        phase = .writing(byteCount: 0)
        push(consume answer)
        if let outgoing, case .writing = phase {
            enter(.writing(byteCount: outgoing.byteCount))
        }
    }

    /// Sends the answers that were put together while requests were being taken apart.
    func sendGathered() {
        guard !gathered.isEmpty else { return }
        var bytes: [UInt8] = []
        swap(&bytes, &gathered)
        push(Outgoing(joined: bytes))
        if let outgoing, phase.isReading { enter(.writing(byteCount: outgoing.byteCount)) }
    }

    /// Asks a client that waits with its body to go on.
    func sendContinue() {
        let text: StaticString = "HTTP/1.1 100 Continue\r\n\r\n"
        guard let context, context.channel.isActive else { return }
        guard let socket, outgoing == nil, gathered.isEmpty else {
            var buffer = context.channel.allocator.buffer(capacity: text.utf8CodeUnitCount)
            buffer.writeStaticString(text)
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
            return
        }
        let bytes = unsafe UnsafeRawBufferPointer(
            start: text.utf8Start, count: text.utf8CodeUnitCount)
        let sent = unsafe socket.send(bytes, UnsafeRawBufferPointer(start: nil, count: 0))
        // An empty socket has room for a line; one that has none is broken.
        if sent < bytes.count { abort() }
    }

    private func push(_ answer: consuming Outgoing) {
        guard let context else { return }
        if let socket, context.channel.isActive { answer.push(through: socket) }
        if answer.isSent {
            let (isLast, lingers) = (answer.isLast, answer.lingers)
            loopState.giveBack(answer.takeJoined())
            hasLeft(isLast: isLast, lingers: lingers)
            return
        }
        let buffer = answer.takeBuffer(all: socket == nil, context.channel.allocator)
        outgoing = answer
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        written.futureResult.whenComplete { bound.value.hasWritten($0) }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: written)
    }

    private func hasWritten(_ result: Result<Void, any Error>) {
        guard case .success = result, let answer = outgoing else { return abort() }
        outgoing = nil
        push(answer)
    }

    /// Goes on with the next request, or closes. Lingering ends our side only and throws away what
    /// still comes, so that the client can read the answer before its system hears that nobody
    /// listens.
    private func hasLeft(isLast: Bool, lingers: Bool) {
        guard isLast else {
            if streaming != nil { return pumpStream() }
            if case .writing = phase { resumeReading() }
            return
        }
        guard lingers, let context else { return abort() }
        enter(.lingering)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.close(mode: .output).whenFailure { _ in bound.value.abort() }
    }
}
