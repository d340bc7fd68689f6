// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import NIOCore
internal import Synchronization

/// Where a handler puts its answer: once, from any thread. Later answers are dropped.
public final class HTTPResponder: Sendable {
    private let loop: any EventLoop
    private let connection: NIOLoopBound<HTTPConnection>
    private let sequence: UInt64
    private let acceptEncoding: String?
    private let workers: WorkerPool
    private let isDone = Atomic<Bool>(false)

    init(
        loop: any EventLoop, connection: HTTPConnection, sequence: UInt64, acceptEncoding: String?
    ) {
        self.loop = loop
        self.connection = NIOLoopBound(connection, eventLoop: loop)
        self.sequence = sequence
        self.acceptEncoding = acceptEncoding
        workers = connection.shared.workers
    }

    /// Answers the request. Hops to the connection's event loop unless called on it.
    public func complete(_ response: HTTPResponse) {
        guard !isDone.exchange(true, ordering: .acquiringAndReleasing) else { return }
        if loop.inEventLoop {
            deliver(response)
        } else {
            loop.execute { self.deliver(response) }
        }
    }

    /// Answers with what `make` returns: for encoding that must not hold up the thread that
    /// finished the work. `make` runs on the connection's event loop, or on a worker of the door
    /// when it has much to write.
    /// - Parameter byteCount: about how many bytes `make` writes; what it only refers to does not
    ///   count.
    public func complete(
        writing byteCount: Int = 0, making make: @escaping @Sendable () -> HTTPResponse
    ) {
        guard !isDone.exchange(true, ordering: .acquiringAndReleasing) else { return }
        if byteCount > ServerShared.loopBytesMax, workers.submit({ self.hop(make()) }) { return }
        if loop.inEventLoop {
            deliver(make())
        } else {
            loop.execute { self.deliver(make()) }
        }
    }

    /// On a worker: packs if need be, and hops to the event loop.
    private func hop(_ response: HTTPResponse) {
        let response = response.packed(acceptEncoding)
        loop.execute { self.connection.value.respond(response, to: self.sequence) }
    }

    /// On the event loop: packs, elsewhere if that takes long, and writes.
    private func deliver(_ response: HTTPResponse) {
        if acceptEncoding != nil, response.isCompressible,
            response.byteCount > ServerShared.loopBytesMax,
            workers.submit({ self.hop(response) })
        {
            return
        }
        connection.value.respond(response.packed(acceptEncoding), to: sequence)
    }
}
