// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
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
    private let tls: UpstreamTLSContexts
    private let local: (any LocalService)?
    private let time = SystemTime()
    /// The one used last is used next: the others grow old and are closed.
    @safe @exclusivity(unchecked) private var idle: [PlainUpstreamConnection] = []
    /// The HTTP/2 connections, and who waits for one that is being made.
    @safe @exclusivity(unchecked) private var links: [HTTP2UpstreamLink] = []
    private var waiters: [(Result<UpstreamConnection, UpstreamFailure>) -> Void] = []
    private var isLinking = false

    init(
        _ identity: UpstreamIdentity, eventLoop: any EventLoop, tls: UpstreamTLSContexts,
        local: (any LocalService)? = nil
    ) {
        self.local = local
        self.identity = identity
        self.eventLoop = eventLoop
        self.tls = tls
    }

    func now() -> MonotonicInstant { time.now() }

    /// A way to the upstream that is open and free.
    func takeIdle() -> UpstreamConnection? {
        if identity.localModel != nil, let local {
            return LocalUpstreamConnection(identity, local, eventLoop)
        }
        if identity.speaksHTTP2 {
            for link in links where link.canOpen { return link.makeStream() }
            return nil
        }
        while let connection = idle.popLast() {
            if connection.isOpen { return connection }
        }
        return nil
    }

    func giveBack(_ connection: PlainUpstreamConnection) {
        guard idle.count < UpstreamConnections.idleMax else { return connection.close() }
        idle.append(connection)
    }

    func forget(_ connection: PlainUpstreamConnection) {
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
        let unused = links.filter {
            $0.isIdle && $0.idleSince.duration(to: now) > UpstreamConnections.idleTimeMax
        }
        for link in unused { link.close() }
    }

    func forget(_ link: HTTP2UpstreamLink) { links.removeAll { $0 === link } }

    func closeIdle() {
        for connection in idle { connection.close() }
        idle.removeAll()
        for link in links where link.isIdle { link.close() }
    }

    /// Opens another way to the upstream. `completion` is called on this loop.
    func connect(
        _ completion: @escaping (Result<UpstreamConnection, UpstreamFailure>) -> Void
    ) {
        if identity.localModel != nil {
            return completion(
                takeIdle().map { .success($0) }
                    ?? .failure(.cannotConnect("this process serves no models")))
        }
        guard identity.speaksHTTP2 else {
            return open(PlainUpstreamConnection(self)) { connection, failure in
                if let failure { return completion(.failure(failure)) }
                completion(
                    connection.isOpen
                        ? .success(connection) : .failure(.cannotConnect("closed at once")))
            }
        }
        // Everybody who needs one takes a stream of the same.
        waiters.append(completion)
        guard !isLinking else { return }
        isLinking = true
        open(HTTP2UpstreamLink(self, identity)) { [self] link, failure in
            isLinking = false
            let waiting = waiters
            waiters = []
            if failure == nil, !link.isClosed { links.append(link) }
            for waiter in waiting {
                if let failure {
                    waiter(.failure(failure))
                } else if link.canOpen {
                    waiter(.success(link.makeStream()))
                } else if link.isClosed {
                    waiter(.failure(.cannotConnect("closed at once")))
                } else {
                    // More wait than one connection takes.
                    connect(waiter)
                }
            }
        }
    }

    /// Connects and puts `handler` behind the socket, or behind TLS: where TLS is wanted and there
    /// is none to be had, nothing is sent.
    private func open<Handler: ChannelHandler>(
        _ handler: Handler, _ completion: @escaping (Handler, UpstreamFailure?) -> Void
    ) {
        let bound = NIOLoopBound(handler, eventLoop: eventLoop)
        let (host, policy) = (identity.host, identity.tls)
        var context: NIOSSLContext?
        if identity.isEncrypted {
            context = tls.context(policy, isHTTP2: identity.speaksHTTP2)
            if context == nil {
                return completion(handler, .cannotConnect("there is no TLS for '\(host)'"))
            }
        }
        let name = policy.serverName ?? (UpstreamConnections.isAddress(host) ? nil : host)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(UpstreamConnections.connectTimeMax)
            .channelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [context] channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: name))
                    }
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(host: host, port: identity.port)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success: completion(handler, nil)
                case .failure(let error): completion(handler, .cannotConnect("\(error)"))
                }
            }
    }

    private static func isAddress(_ host: String) -> Bool {
        (try? SocketAddress(ipAddress: host, port: 0)) != nil
    }
}
