// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import NIOCore
internal import Synchronization

/// An answer whose body is sent as it is made: chunked, or up to the connection's end for old
/// clients.
///
/// Written from any thread, never blocking. What the client has not taken yet is kept, up to a
/// bound; a client that stays behind it is cut off, and its request cancelled.
public final class HTTPStream: Sendable {
    private struct State {
        var pending: [UInt8] = []
        var isEnded = false
        /// Nothing is taken any more.
        var isClosed = false
        /// The event loop has been told.
        var isAwaited = false
    }

    private let loop: any EventLoop
    private let connection: NIOLoopBound<any AnswerTaker>
    private let sequence: UInt64
    private let pendingBytesMax: Int
    private let state = Mutex(State())

    init(
        loop: any EventLoop, connection: NIOLoopBound<any AnswerTaker>, sequence: UInt64,
        pendingBytesMax: Int
    ) {
        self.loop = loop
        self.connection = connection
        self.sequence = sequence
        self.pendingBytesMax = pendingBytesMax
    }

    /// Sends these bytes behind what was written before.
    /// - Returns: false when the client is gone or too far behind; then nothing more is sent.
    @discardableResult
    public func write(_ bytes: [UInt8]) -> Bool {
        enum Outcome { case ignored, kept, tellLoop, overflown }
        let outcome = state.withLock { state -> Outcome in
            guard !state.isClosed, !state.isEnded else { return .ignored }
            guard state.pending.count + bytes.count <= pendingBytesMax else {
                state.isClosed = true
                state.pending = []
                return .overflown
            }
            state.pending += bytes
            defer { state.isAwaited = true }
            return state.isAwaited ? .kept : .tellLoop
        }
        switch outcome {
        case .ignored: return false
        case .kept: return true
        case .tellLoop:
            loop.execute { self.connection.value.pumpStream(self.sequence) }
            return true
        case .overflown:
            loop.execute { self.connection.value.cutStream(self.sequence) }
            return false
        }
    }

    /// Ends the answer once everything written has left.
    public func end() {
        let tellsLoop = state.withLock { state -> Bool in
            guard !state.isClosed, !state.isEnded else { return false }
            state.isEnded = true
            defer { state.isAwaited = true }
            return !state.isAwaited
        }
        if tellsLoop { loop.execute { self.connection.value.pumpStream(self.sequence) } }
    }

    /// Ends the connection in the middle of the answer: what came so far is not the whole.
    public func abort() {
        close()
        loop.execute { self.connection.value.cutStream(self.sequence) }
    }

    /// On the event loop: what is to be sent next, and whether it is the last.
    func take() -> (bytes: [UInt8], isEnded: Bool) {
        state.withLock { state in
            var bytes: [UInt8] = []
            swap(&bytes, &state.pending)
            state.isAwaited = false
            return (bytes, state.isEnded)
        }
    }

    /// The client is gone.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.pending = []
        }
    }
}
