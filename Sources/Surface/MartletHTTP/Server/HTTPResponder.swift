// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletServing
internal import MartletWire
internal import NIOCore
internal import Synchronization

/// What came of a request and has still to be written as an answer: where and when there is time.
protocol DeferredAnswer: Sendable {
    /// - Parameter bytes: empty, perhaps with room: for the body.
    consuming func write(into bytes: consuming [UInt8]) -> HTTPResponse
}

/// Where a handler puts its answer: once, from any thread. Later answers are dropped.
// Sendable: what changes does so before a handler gets it, when nobody else holds it.
public final class HTTPResponder: @unchecked Sendable {
    private let loop: any EventLoop
    private let connection: NIOLoopBound<any AnswerTaker>
    private let workers: WorkerPool
    @safe @exclusivity(unchecked) private var sequence: UInt64 = 0
    @safe @exclusivity(unchecked) private var coding = ContentCoding.identity
    /// The share of the server's budget for the request's body.
    @safe @exclusivity(unchecked) private var heldBytes = 0
    private let bodies: ByteBudget
    private let isDone = Atomic<Bool>(true)

    init(loop: any EventLoop, taker: any AnswerTaker, shared: ServerShared) {
        self.loop = loop
        connection = NIOLoopBound(taker, eventLoop: loop)
        workers = shared.workers
        bodies = shared.bodies
    }

    // A handler that let its request go without an answer.
    deinit { if heldBytes > 0 { bodies.giveBack(heldBytes) } }

    /// Makes it the responder of another request, when its last one is answered and forgotten.
    /// - Parameter byteCount: what is counted of its body, given back with the answer.
    func begin(_ sequence: UInt64, _ coding: ContentCoding, holding byteCount: Int) {
        if heldBytes > 0 { bodies.giveBack(heldBytes) }
        heldBytes = byteCount
        self.sequence = sequence
        self.coding = coding
        isDone.store(false, ordering: .relaxed)
    }

    /// Counts more of the request's body, before its handler has it.
    func hold(_ byteCount: Int) -> Bool {
        guard bodies.take(byteCount) else { return false }
        heldBytes += byteCount
        return true
    }

    /// Whether this is the first answer, which the caller then delivers.
    private func claim() -> Bool {
        guard !isDone.exchange(true, ordering: .acquiringAndReleasing) else { return false }
        if heldBytes > 0 {
            bodies.giveBack(heldBytes)
            heldBytes = 0
        }
        return true
    }

    /// What a handler left here for the connection's next request: there, if that one's head is the
    /// same to the byte. For handlers on the event loop; nil elsewhere.
    var recollection: AnyObject? {
        get { loop.inEventLoop ? connection.value.recollection : nil }
        set { if loop.inEventLoop { connection.value.recollection = newValue } }
    }

    /// Answers the request. Hops to the connection's event loop unless called on it.
    public func complete(_ response: HTTPResponse) {
        guard claim() else { return }
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
        complete(writing: byteCount, Made(make: make))
    }

    private struct Made: DeferredAnswer {
        let make: @Sendable () -> HTTPResponse
        func write(into bytes: consuming [UInt8]) -> HTTPResponse { make() }
    }

    /// As above, without a closure's cost where the caller is on the event loop already.
    func complete(writing byteCount: Int, _ answer: consuming some DeferredAnswer) {
        guard claim() else { return }
        if byteCount <= ServerShared.loopBytesMax, loop.inEventLoop {
            deliver(answer.write(into: connection.value.takeBytes()))
            return
        }
        // Either closure may run.
        let kept = copy answer
        if byteCount > ServerShared.loopBytesMax,
            workers.submit({ self.hop((copy kept).write(into: [])) })
        {
            return
        }
        loop.execute {
            self.deliver((copy kept).write(into: self.connection.value.takeBytes()))
        }
    }

    /// Claims the request's one answer; false when it has one.
    func takeAnswer() -> Bool { !isDone.exchange(true, ordering: .acquiringAndReleasing) }

    func makeStream(pendingBytesMax: Int) -> HTTPStream {
        HTTPStream(
            loop: loop, connection: connection, sequence: sequence,
            pendingBytesMax: pendingBytesMax)
    }

    /// Runs `body` with the connection and the request's number, on the event loop.
    func onLoop(_ body: @escaping @Sendable (any AnswerTaker, UInt64) -> Void) {
        let sequence = sequence
        if loop.inEventLoop {
            body(connection.value, sequence)
        } else {
            loop.execute { body(self.connection.value, sequence) }
        }
    }

    /// On a worker: packs if need be, and hops to the event loop.
    private func hop(_ response: consuming HTTPResponse) {
        response.pack(coding)
        let packed = response
        loop.execute { self.connection.value.respond(packed, to: self.sequence) }
    }

    /// On the event loop: packs, elsewhere if that takes long, and writes.
    private func deliver(_ response: consuming HTTPResponse) {
        if coding != .identity, response.isCompressible {
            if response.byteCount > ServerShared.loopBytesMax {
                let whole = copy response
                if workers.submit({ self.hop(whole) }) { return }
            }
            response.pack(coding)
        }
        connection.value.respond(consume response, to: sequence)
    }
}
