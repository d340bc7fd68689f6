// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

/// One event loop's connections to one upstream.
final class UpstreamConnections {
    /// Idle connections that are kept, and for how long: less than most servers keep theirs.
    private static let idleMax = 512
    private static let idleTimeMax = Duration.seconds(50)
    private static let connectTimeMax = TimeAmount.seconds(5)

    let identity: UpstreamIdentity
    private let eventLoop: any EventLoop
    private let tls: NIOSSLContext?
    private let time = SystemTime()
    /// The one used last is used next: the others grow old and are closed.
    @safe @exclusivity(unchecked) private var idle: [UpstreamConnection] = []

    init(
        _ identity: UpstreamIdentity, eventLoop: any EventLoop, tls: NIOSSLContext?
    ) {
        self.identity = identity
        self.eventLoop = eventLoop
        self.tls = tls
    }

    func now() -> MonotonicInstant { time.now() }

    /// An open connection that nobody uses.
    func takeIdle() -> UpstreamConnection? {
        while let connection = idle.popLast() {
            if connection.isOpen { return connection }
        }
        return nil
    }

    func giveBack(_ connection: UpstreamConnection) {
        guard idle.count < UpstreamConnections.idleMax else { return connection.close() }
        idle.append(connection)
    }

    func forget(_ connection: UpstreamConnection) {
        guard connection.isIdle, let place = idle.firstIndex(where: { $0 === connection })
        else { return }
        idle.remove(at: place)
    }

    /// Closes what has been idle for too long.
    func sweep(at now: MonotonicInstant) {
        let old = idle.filter {
            $0.idleSince.duration(to: now) > UpstreamConnections.idleTimeMax
        }
        for connection in old { connection.close() }
    }

    func closeIdle() {
        for connection in idle { connection.close() }
        idle.removeAll()
    }

    /// Opens another connection. `completion` is called on this loop.
    func connect(
        _ completion: @escaping (Result<UpstreamConnection, UpstreamFailure>) -> Void
    ) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let made = NIOLoopBoundBox<UpstreamConnection?>(nil, eventLoop: eventLoop)
        let (host, tls, isEncrypted) = (identity.host, tls, identity.isEncrypted)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(UpstreamConnections.connectTimeMax)
            .channelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if isEncrypted, let tls {
                        let name = UpstreamConnections.isAddress(host) ? nil : host
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: name))
                    }
                    let connection = UpstreamConnection(bound.value)
                    made.value = connection
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .connect(host: host, port: identity.port)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success:
                    if let connection = made.value, connection.isOpen {
                        completion(.success(connection))
                    } else {
                        completion(.failure(.cannotConnect("closed at once")))
                    }
                case .failure(let error): completion(.failure(.cannotConnect("\(error)")))
                }
            }
    }

    private static func isAddress(_ host: String) -> Bool {
        (try? SocketAddress(ipAddress: host, port: 0)) != nil
    }
}
