// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import NIOCore
internal import Synchronization

/// Where a handler puts its answer: once, from any thread. Later answers are dropped.
public final class HTTPResponder: Sendable {
    private let loop: any EventLoop
    private let connection: NIOLoopBound<HTTPConnection>
    private let sequence: UInt64
    private let isDone = Atomic<Bool>(false)

    init(loop: any EventLoop, connection: HTTPConnection, sequence: UInt64) {
        self.loop = loop
        self.connection = NIOLoopBound(connection, eventLoop: loop)
        self.sequence = sequence
    }

    /// Answers the request. Hops to the connection's event loop unless called on it.
    public func complete(_ response: HTTPResponse) {
        complete(making: { response })
    }

    /// Answers with what `make` returns, which runs on the connection's event loop: for encoding
    /// that must not hold up the thread that finished the work.
    public func complete(making make: @escaping @Sendable () -> HTTPResponse) {
        guard !isDone.exchange(true, ordering: .acquiringAndReleasing) else { return }
        if loop.inEventLoop {
            connection.value.respond(make(), to: sequence)
        } else {
            loop.execute { [connection, sequence] in
                connection.value.respond(make(), to: sequence)
            }
        }
    }
}
