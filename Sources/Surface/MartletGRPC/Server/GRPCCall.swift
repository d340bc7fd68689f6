// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import Logging
package import MartletBase
package import MartletWire
package import NIOCore
package import ServiceContextModule

/// One call in progress: what its method may know of it, and how it answers. Safe to use from any
/// thread; what it does to the stream happens on the stream's event loop.
package final class GRPCCall: Sendable {
    package let head: GRPCRequestHead
    package let received: MonotonicInstant
    /// When the client gives up, from `grpc-timeout`.
    package let deadline: MonotonicInstant?
    package let context: ServiceContext
    /// Set when the client cancels, its connection is lost, or the deadline passes.
    package let cancellation = Cancellation()
    package let logger: Logger
    package let eventLoop: any EventLoop
    private let inbox: CompletionInbox
    private let stream: NIOLoopBound<GRPCStream>

    init(
        head: GRPCRequestHead, received: MonotonicInstant, context: ServiceContext,
        logger: Logger, stream: GRPCStream, inbox: CompletionInbox, eventLoop: any EventLoop
    ) {
        self.head = head
        self.received = received
        deadline = head.timeout.map { received.advanced(by: $0) }
        self.context = context
        self.logger = logger
        self.eventLoop = eventLoop
        self.inbox = inbox
        self.stream = NIOLoopBound(stream, eventLoop: eventLoop)
    }

    /// The five bytes before a message: flag and length, filled in by `send`.
    package static let messagePrefix: [UInt8] = [0, 0, 0, 0, 0]

    /// Runs `body` on the stream's event loop: at once when that is where we are.
    package func onLoop(_ body: @escaping @Sendable () -> Void) {
        if eventLoop.inEventLoop {
            body()
        } else {
            inbox.submit(body)
        }
    }

    // MARK: On the event loop only

    /// Sends one message, which begins with `messagePrefix`. Nothing happens once the call is over.
    package func send(_ message: ByteBuffer) {
        stream.value.send(message)
    }

    package func finish(_ status: GRPCStatus) {
        stream.value.finish(status)
    }

    /// Answers a unary call: one message and OK.
    package func reply(_ message: ByteBuffer) {
        stream.value.send(message)
        stream.value.finish(.ok)
    }

    /// Holds the client's further messages back, or lets them come again.
    package func setReading(_ isReading: Bool) {
        stream.value.setReading(isReading)
    }

    package var isWritable: Bool { stream.value.isWritable }
    package var isFinished: Bool { stream.value.isFinished }
}
