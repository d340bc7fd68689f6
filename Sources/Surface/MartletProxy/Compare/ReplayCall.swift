// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletWire
internal import NIOCore

/// One request to one endpoint, and its whole answer. Lives on one event loop.
final class ReplayCall: UpstreamUser {
    private let request: [UInt8]
    private let method: HTTPMethod
    private let completion: (Result<ComparedAnswer, ProxyError>) -> Void
    private var collector = AnswerCollector()
    private var connection: UpstreamConnection?
    private var timer: Scheduled<Void>?
    private var began = MonotonicInstant(nanoseconds: 0)
    private var isOver = false
    private var tries = 0
    private let connections: UpstreamConnections
    private let time = SystemTime()

    init(
        _ request: ReplayRequest, to connections: UpstreamConnections, secret: String?,
        _ completion: @escaping (Result<ComparedAnswer, ProxyError>) -> Void
    ) {
        self.connections = connections
        self.completion = completion
        method = HTTPMethod(rawValue: request.method) ?? .other
        var bytes = Array("\(request.method) ".utf8)
        bytes += connections.identity.pathPrefix + Array("\(request.path) HTTP/1.1\r\n".utf8)
        bytes += connections.identity.hostLine
        if let secret { bytes += Array("Authorization: Bearer \(secret)\r\n".utf8) }
        if !request.body.isEmpty || method == .post {
            bytes += Array("Content-Type: application/json\r\n".utf8)
            bytes += Array("Content-Length: \(request.body.count)\r\n".utf8)
        }
        self.request = bytes + Array("\r\n".utf8) + request.body
    }

    func begin(on eventLoop: any EventLoop, timeout: Duration) {
        began = time.now()
        timer = eventLoop.assumeIsolated().scheduleTask(
            in: .nanoseconds(timeout.nanosecondsSaturating)
        ) { [self] in
            end(.failure(ProxyError(.noAnswer, "no answer within \(DurationLabel.of(timeout))")))
        }
        ask()
    }

    private func ask() {
        tries += 1
        if let idle = connections.takeIdle() { return send(idle) }
        connections.connect { [self] result in
            switch result {
            case .success(let connection):
                if isOver { connection.giveBack() } else { send(connection) }
            case .failure(let failure): end(.failure(ProxyError(.noAnswer, failure.message)))
            }
        }
    }

    private func send(_ connection: UpstreamConnection) {
        self.connection = connection
        connection.begin(self, method: method)
        unsafe request.withUnsafeBytes { unsafe connection.send($0) }
        connection.endRequest()
    }

    private func end(_ result: Result<ComparedAnswer, ProxyError>) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        timer = nil
        if let connection, connection.user === self { connection.cancel() }
        connection = nil
        completion(result)
    }

    func upstreamAnswered(_ head: HTTPResponseHead, _ connection: UpstreamConnection) {
        collector.begin(head)
    }

    func upstreamSent(body: UnsafeRawBufferPointer, _ connection: UpstreamConnection) {
        unsafe collector.add(body, at: time.now())
    }

    func upstreamFinished(_ connection: UpstreamConnection) {
        guard let answer = collector.answer(from: began, to: time.now()) else {
            return end(
                .failure(
                    ProxyError(
                        .noAnswer, "the answer has more than \(AnswerCollector.bytesMax) bytes")))
        }
        end(.success(answer))
    }

    func upstreamFailed(_ failure: UpstreamFailure, _ connection: UpstreamConnection) {
        self.connection = nil
        // A kept connection may have been closed while it was idle.
        if case .noAnswer = failure, connection.served > 0, tries < 3, !isOver { return ask() }
        end(.failure(ProxyError(.noAnswer, failure.message)))
    }

    func upstreamPaused(_ connection: UpstreamConnection) {}
    func upstreamDrained(_ connection: UpstreamConnection) {}
}
