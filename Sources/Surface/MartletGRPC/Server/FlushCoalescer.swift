// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import NIOCore

/// Turns the flushes of one turn of the event loop into one write to the socket.
///
/// Responses come from a model's thread one by one, each with its own flush; without this, each
/// would be a system call of its own and a packet of its own.
final class FlushCoalescer: ChannelOutboundHandler {
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private var isScheduled = false
    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func flush(context: ChannelHandlerContext) {
        guard !isScheduled else { return }
        isScheduled = true
        let coalescer = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { coalescer.value.flushNow() }
    }

    /// What was written before closing still goes out.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        flushNow()
        context.close(mode: mode, promise: promise)
    }

    private func flushNow() {
        guard isScheduled else { return }
        isScheduled = false
        context?.flush()
    }
}
