// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletWire
internal import NIOCore

/// One question to one member: is it well?
final class HealthProbe: UpstreamUser {
    private let pool: PoolRuntime
    private let member: Int
    private let policy: HealthCheckPolicy
    private var connection: UpstreamConnection?
    private var timer: Scheduled<Void>?
    private var isWell = false
    private var saysYes = false
    private var isOver = false

    init(_ pool: PoolRuntime, _ member: Int, _ policy: HealthCheckPolicy) {
        self.pool = pool
        self.member = member
        self.policy = policy
    }

    func ask(_ loop: ProxyLoop) {
        let identity = pool.members[member]
        timer = loop.eventLoop.assumeIsolated().scheduleTask(
            in: .nanoseconds(policy.timeout.nanosecondsSaturating)
        ) { [self] in end(isWell: false) }
        let connections = loop.connections(to: identity)
        // Connections of HTTP/2 stay: as long as all is well, one that is there will do.
        if identity.speaksHTTP2, pool.isWell(member), let known = connections.takeIdle() {
            return send(known, identity)
        }
        connections.connect { [self] result in
            switch result {
            case .success(let connection): send(connection, identity)
            case .failure: end(isWell: false)
            }
        }
    }

    private func send(_ connection: UpstreamConnection, _ identity: UpstreamIdentity) {
        guard !isOver else { return connection.giveBack() }
        self.connection = connection
        if identity.dialect == .grpc { return call(connection, identity) }
        connection.begin(self, method: .get)
        var bytes = Array("GET ".utf8) + identity.pathPrefix + Array(policy.path.utf8)
        bytes += Array(" HTTP/1.1\r\n".utf8) + identity.hostLine
        bytes += identity.credentialLine ?? []
        bytes += Array("Connection: close\r\n\r\n".utf8)
        unsafe bytes.withUnsafeBytes { unsafe connection.send($0) }
        connection.endRequest()
    }

    /// Asks by gRPC: the inference protocol's own question, unless the file names another method.
    private func call(_ connection: UpstreamConnection, _ identity: UpstreamIdentity) {
        let isOwn = policy.path.hasPrefix("/v2/")
        let path = isOwn ? "/inference.GRPCInferenceService/ServerReady" : policy.path
        connection.begin(self, method: .post)
        var bytes = Array("POST \(path) HTTP/1.1\r\n".utf8) + identity.hostLine
        bytes += identity.credentialLine ?? []
        bytes += Array("Content-Type: application/grpc\r\nContent-Length: 5\r\n\r\n".utf8)
        bytes += [0, 0, 0, 0, 0]
        unsafe bytes.withUnsafeBytes { unsafe connection.send($0) }
        connection.endRequest()
    }

    private func end(isWell: Bool) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        timer = nil
        pool.report(member, isWell: isWell, policy: policy)
        if let connection, connection.user === self { connection.cancel() }
        connection = nil
    }

    func upstreamAnswered(_ head: HTTPResponseHead, _ connection: UpstreamConnection) {
        // A gRPC error without a message has its status here.
        isWell = (200..<300).contains(head.status) && head.fields.range(of: "grpc-status") == nil
    }

    func upstreamSent(body: UnsafeRawBufferPointer, _ connection: UpstreamConnection) {
        guard pool.members[member].dialect == .grpc, let last = unsafe body.last else { return }
        // Of gRPC's answers, the number in the last byte: true, or SERVING.
        saysYes = last == 1
    }

    func upstreamSent(trailers lines: [UInt8], _ connection: UpstreamConnection) {
        isWell = isWell && saysYes && lines.starts(with: Array("grpc-status: 0".utf8))
    }

    func upstreamFinished(_ connection: UpstreamConnection) { end(isWell: isWell) }
    func upstreamFailed(_ failure: UpstreamFailure, _ connection: UpstreamConnection) {
        end(isWell: false)
    }
    func upstreamPaused(_ connection: UpstreamConnection) {}
    func upstreamDrained(_ connection: UpstreamConnection) {}
}
