// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletWire
internal import NIOCore

/// One member's metrics, read once, so that balancing knows how many requests wait there, other
/// gateways' included.
final class LoadProbe: UpstreamUser {
    private static let textBytesMax = 4 << 20

    private let pool: PoolRuntime
    private let member: Int
    private let policy: LoadPolicy
    private var connection: UpstreamConnection?
    private var timer: Scheduled<Void>?
    private var text: [UInt8] = []
    private var isOver = false
    private let time: any TimeSource

    init(
        _ pool: PoolRuntime, _ member: Int, _ policy: LoadPolicy, time: any TimeSource
    ) {
        self.time = time
        self.pool = pool
        self.member = member
        self.policy = policy
    }

    func ask(_ loop: ProxyLoop) {
        let identity = pool.members[member]
        timer = loop.eventLoop.assumeIsolated().scheduleTask(
            in: .nanoseconds(policy.timeout.nanosecondsSaturating)
        ) { [self] in end() }
        let connections = loop.connections(to: identity)
        if let idle = connections.takeIdle() { return send(idle, identity) }
        connections.connect { [self] result in
            switch result {
            case .success(let connection): send(connection, identity)
            case .failure: end()
            }
        }
    }

    private func send(_ connection: UpstreamConnection, _ identity: UpstreamIdentity) {
        guard !isOver else { return connection.giveBack() }
        self.connection = connection
        connection.begin(self, method: .get)
        var bytes = Array("GET ".utf8) + identity.pathPrefix + Array(policy.path.utf8)
        bytes += Array(" HTTP/1.1\r\n".utf8) + identity.hostLine
        bytes += identity.credentialLine ?? []
        bytes += Array("\r\n".utf8)
        unsafe bytes.withUnsafeBytes { unsafe connection.send($0) }
        connection.endRequest()
    }

    private func end() {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        timer = nil
        if let connection, connection.user === self { connection.cancel() }
        connection = nil
    }

    func upstreamAnswered(_ head: HTTPResponseHead, _ connection: UpstreamConnection) {
        if head.status != 200 { end() }
    }

    func upstreamSent(body: UnsafeRawBufferPointer, _ connection: UpstreamConnection) {
        guard text.count + body.count <= LoadProbe.textBytesMax else { return end() }
        unsafe text.append(contentsOf: body)
    }

    func upstreamFinished(_ connection: UpstreamConnection) {
        if !isOver, let report = LoadReport(metrics: text) {
            pool.report(member, report, at: time.now())
        }
        end()
    }

    func upstreamFailed(_ failure: UpstreamFailure, _ connection: UpstreamConnection) { end() }
    func upstreamPaused(_ connection: UpstreamConnection) {}
    func upstreamDrained(_ connection: UpstreamConnection) {}
}
