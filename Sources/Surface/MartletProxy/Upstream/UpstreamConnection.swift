// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire

/// Who has sent a request to an upstream and hears of its answer, on the same event loop.
protocol UpstreamUser: AnyObject {
    /// The answer's head. Called once.
    func upstreamAnswered(_ head: HTTPResponseHead, _ connection: UpstreamConnection)
    func upstreamSent(body: UnsafeRawBufferPointer, _ connection: UpstreamConnection)
    /// The answer ended with these header lines; `upstreamFinished` follows.
    func upstreamSent(trailers lines: [UInt8], _ connection: UpstreamConnection)
    /// The answer is complete.
    func upstreamFinished(_ connection: UpstreamConnection)
    /// The answer will not come, or no more of it.
    func upstreamFailed(_ failure: UpstreamFailure, _ connection: UpstreamConnection)
    /// All that has come for now has been told of.
    func upstreamPaused(_ connection: UpstreamConnection)
    /// The upstream has taken everything that was written.
    func upstreamDrained(_ connection: UpstreamConnection)
}

extension UpstreamUser {
    func upstreamSent(trailers lines: [UInt8], _ connection: UpstreamConnection) {}
}

/// How an upstream failed, before or in its answer.
enum UpstreamFailure: Error {
    case cannotConnect(String)
    /// Closed or reset before the answer's head.
    case noAnswer
    /// Ended inside the answer, or sent what is no HTTP.
    case broken(String)

    var message: String {
        switch self {
        case .cannotConnect(let reason): "cannot connect: \(reason)"
        case .noAnswer: "the connection ended before the answer"
        case .broken(let reason): reason
        }
    }
}

/// A way to an upstream for one request at a time: an HTTP/1.1 connection, a stream of an HTTP/2
/// one, or a call inside this process. Whoever uses it does not know which.
///
/// Requests go in as HTTP/1.1 writes them, answers come out as events. Lives on one event loop.
class UpstreamConnection {
    let identity: UpstreamIdentity
    @safe @exclusivity(unchecked) final var user: (any UpstreamUser)?
    /// Requests that its connection has answered.
    @safe @exclusivity(unchecked) final var served = 0

    init(_ identity: UpstreamIdentity) {
        self.identity = identity
    }

    /// Bytes of the request that have not left.
    var waitingBytes: Int { 0 }

    /// Takes it for one request.
    func begin(_ user: any UpstreamUser, method: HTTPMethod) { self.user = user }
    func send(_ bytes: UnsafeRawBufferPointer) {}
    /// Nothing more of the request follows.
    func endRequest() {}
    /// The request is given up: the upstream hears of it at once.
    func cancel() { user = nil }
    /// Takes no more of the answer for now, or again.
    func hold(_ isHeld: Bool) {}
    /// Nobody needs it after all.
    func giveBack() {}

    /// Ends the request with what went wrong.
    final func fail(_ failure: UpstreamFailure) {
        guard let user else { return }
        self.user = nil
        user.upstreamFailed(failure, self)
    }
}
