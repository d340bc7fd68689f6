// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletWire
package import NIOCore

/// The process's own models, as the gateway asks them: without a network between.
package protocol LocalService: Sendable {
    /// Answers a request whose body is whole. Called on `loop`, and `hear` too.
    func ask(
        _ head: HTTPRequestHead, _ body: [UInt8], on loop: any EventLoop,
        _ hear: @escaping (LocalServicePart) -> Void
    ) -> any LocalServiceCall
}

/// What comes of a request to a `LocalService`: bytes as HTTP/1.1 writes them, and an end.
package enum LocalServicePart {
    case bytes([UInt8])
    case end
    case cut
}

/// A request under way.
package protocol LocalServiceCall: AnyObject {
    func cancel()
    func hold(_ isHeld: Bool)
}

/// One request to a model of this process.
final class LocalUpstreamConnection: UpstreamConnection {
    private let service: any LocalService
    private let eventLoop: any EventLoop
    private var requests: HTTPRequestParser
    private var answers: HTTPResponseParser
    private var body: [UInt8] = []
    private var call: (any LocalServiceCall)?
    private var isOver = false
    private var isHeld = false
    private var waiting: [LocalServicePart] = []
    private var isSending = false

    init(
        _ identity: UpstreamIdentity, _ service: any LocalService, _ eventLoop: any EventLoop
    ) {
        self.service = service
        self.eventLoop = eventLoop
        var limits = HTTPLimits()
        limits.headerBytesMax = 128 << 10
        limits.requestLineBytesMax = 64 << 10
        limits.headerCountMax = 200
        limits.bodyBytesMax = Int.max
        requests = HTTPRequestParser(limits: limits)
        answers = HTTPResponseParser(limits: limits)
        super.init(identity)
    }

    override func begin(_ user: any UpstreamUser, method: HTTPMethod) {
        super.begin(user, method: method)
        answers.begin(answering: method)
    }

    override func send(_ bytes: UnsafeRawBufferPointer) {
        var rest = unsafe bytes
        // What comes at once is told of when whoever sends is done with it.
        isSending = true
        defer { isSending = false }
        while !isOver, call == nil {
            do throws(WireError) {
                let step = try unsafe requests.step(rest)
                switch step.event {
                case .needMore: return
                case .head: body.reserveCapacity(min(requests.head.contentLength ?? 0, 1 << 20))
                case .body(let range):
                    unsafe body.append(
                        contentsOf: UnsafeRawBufferPointer(rebasing: rest[range]))
                case .end:
                    ask()
                    return
                }
                unsafe rest = UnsafeRawBufferPointer(rebasing: rest[step.consumed...])
            } catch {
                waiting.append(.cut)
                return deliverSoon()
            }
        }
    }

    private func ask() {
        var whole: [UInt8] = []
        swap(&whole, &body)
        call = service.ask(requests.head, whole, on: eventLoop) { [weak self] part in
            self?.hear(part)
        }
    }

    private func hear(_ part: LocalServicePart) {
        guard !isOver else { return }
        let isFirst = waiting.isEmpty
        guard isSending || isHeld || !isFirst else { return take(part) }
        waiting.append(part)
        if isFirst, isSending { deliverSoon() }
    }

    private func deliverSoon() {
        eventLoop.assumeIsolated().execute { [self] in deliver() }
    }

    private func deliver() {
        while !isOver, !isHeld, !waiting.isEmpty { take(waiting.removeFirst()) }
    }

    override func cancel() {
        super.cancel()
        isOver = true
        call?.cancel()
        call = nil
    }

    override func hold(_ isHeld: Bool) {
        self.isHeld = isHeld
        if !isHeld { deliver() }
        call?.hold(isHeld)
    }

    // MARK: The answer

    private func take(_ part: LocalServicePart) {
        switch part {
        case .bytes(let bytes):
            unsafe bytes.withUnsafeBytes { unsafe read($0) }
            user?.upstreamPaused(self)
        case .end: break
        case .cut:
            isOver = true
            fail(.broken("the model's answer broke off"))
        }
    }

    private func read(_ bytes: UnsafeRawBufferPointer) {
        var rest = unsafe bytes
        while !isOver {
            do throws(WireError) {
                let step = try unsafe answers.step(rest)
                switch step.event {
                case .needMore: return
                case .interim: break
                case .head: user?.upstreamAnswered(answers.head, self)
                case .body(let range):
                    unsafe user?.upstreamSent(
                        body: UnsafeRawBufferPointer(rebasing: rest[range]), self)
                case .end:
                    isOver = true
                    let user = user
                    self.user = nil
                    user?.upstreamFinished(self)
                    return
                }
                unsafe rest = UnsafeRawBufferPointer(rebasing: rest[step.consumed...])
            } catch {
                isOver = true
                return fail(.broken(error.message))
            }
        }
    }
}
