// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import Logging
internal import MartletBase
package import MartletGateway
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
public import ServiceLifecycle
internal import Synchronization

/// The gateway: listens, admits, routes, relays, and drains when told to stop.
public final class GatewayServer: Service {
    private struct State {
        var group: MultiThreadedEventLoopGroup?
        var listeners: [any Channel] = []
        var loops: [NIOLoopBoundBox<ProxyLoop>] = []
    }

    let shared: ProxyShared
    private let file: ConfigurationFile?
    private let state = Mutex(State())

    /// - Parameters:
    ///   - snapshot: the rules, to begin with.
    ///   - file: where they were read from, to be watched; nil: they change by the admin API only.
    ///   - local: the process's own models, for upstreams with `local`.
    ///   - version: the program's, for clients that ask.
    ///   - secrets: looks an environment variable up.
    package init(
        _ snapshot: RoutingSnapshot, file: String? = nil,
        logger: Logger = Logger(label: "martlet.gateway"), local: (any LocalService)? = nil,
        version: String = "", secrets: @escaping @Sendable (String) -> String? = { _ in nil }
    ) throws(ProxyError) {
        let store = try RuntimeStore(
            snapshot, time: SystemTime(), hasModels: local != nil, secrets: secrets)
        let tls = store.tls.context(UpstreamTLSPolicy(), isHTTP2: false)
        shared = ProxyShared(
            store: store, logger: logger, local: local,
            budgets: try BudgetLedger(path: snapshot.tables.budgetFile),
            replicas: snapshot.tables.state.map {
                ReplicaState($0, tls: tls, secrets: secrets)
            }, version: version)
        self.file = file.map { ConfigurationFile(path: $0, store: store, logger: logger) }
    }

    /// Serves until told to stop gracefully, or cancelled.
    public func run() async throws {
        _ = try await start()
        let watching = file.map { file in Task { await file.watch() } }
        try? await gracefulShutdown()
        watching?.cancel()
        await stop()
    }

    /// Listens and returns the port.
    /// - Throws: `ProxyError` when the address cannot be had or the certificate is no good.
    public func start() async throws -> Int {
        let listen = shared.listen
        let tls = try GatewayServer.makeServerTLS(listen)
        shared.comparing.start()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: listen.threads)
        let shared = shared
        var loops: [ObjectIdentifier: NIOLoopBoundBox<ProxyLoop>] = [:]
        for loop in group.makeIterator() {
            let seed = UInt64.random(in: .min ... .max)
            loops[ObjectIdentifier(loop)] = try await loop.submit {
                NIOLoopBoundBox(
                    ProxyLoop(shared: shared, eventLoop: loop, seed: seed), eventLoop: loop)
            }.get()
        }
        let states = loops
        let boxes = Array(states.values)
        shared.set(loops: boxes)
        startKeeping(boxes)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.backlog, value: 4096)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                ChannelOptions.recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 2 << 10, initial: 4 << 10, maximum: 64 << 10)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let state = states[ObjectIdentifier(channel.eventLoop)] else { return }
                    guard shared.admit() else {
                        try channel.pipeline.syncOperations.addHandler(
                            OneTooMany(isEncrypted: tls != nil))
                        return
                    }
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLServerHandler(context: tls))
                    }
                    try channel.pipeline.syncOperations.addHandler(
                        ClientConnection(shared: shared, loop: state.value))
                }
            }
        do {
            var listeners: [any Channel] = []
            if let admin = listen.admin {
                let listener = try await bind(bootstrap, admin.host, admin.port, "admin API")
                shared.adminPort = listener.localAddress?.port ?? admin.port
                listeners.append(listener)
            }
            let listener = try await bind(bootstrap, listen.host, listen.port, "gateway")
            listeners.append(listener)
            state.withLock { [listeners] in
                $0 = State(group: group, listeners: listeners, loops: Array(states.values))
            }
            return listener.localAddress?.port ?? listen.port
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// The admin API's port, when it has one of its own.
    package var adminPort: Int { shared.adminPort }

    private func bind(
        _ bootstrap: ServerBootstrap, _ host: String, _ port: Int, _ what: String
    ) async throws -> any Channel {
        do {
            let listener = try await bootstrap.bind(host: host, port: port).get()
            shared.logger.info(
                "\(what) listening",
                metadata: [
                    "host": "\(host)", "port": "\(listener.localAddress?.port ?? port)",
                ])
            return listener
        } catch {
            throw ProxyError(
                .cannotListen,
                "\(what) cannot listen on \(host):\(port): "
                    + ListenFailure.reason((error as? IOError)?.errnoCode))
        }
    }

    /// Starts what the loops do of themselves: checks, polls, keys, budgets, deliveries.
    private func startKeeping(_ boxes: [NIOLoopBoundBox<ProxyLoop>]) {
        if let replicas = shared.replicas {
            for (number, box) in boxes.enumerated() {
                box.eventLoop.execute { box.value.join(replicas, number: number) }
            }
        }
        if let first = boxes.first {
            first.eventLoop.execute {
                let loop = first.value
                PoolRounds(loop, policy: \.policy.health, interval: \.interval) {
                    HealthProbe($0, $1, $2).ask(loop)
                }.start()
                PoolRounds(loop, policy: \.policy.load, interval: \.interval) {
                    // gRPC members have no page of metrics.
                    guard $0.members[$1].dialect != .grpc else { return }
                    LoadProbe($0, $1, $2, time: loop.shared.time).ask(loop)
                }.start()
                TokenKeyKeeper(first.value).start()
                BudgetKeeper(first.value).start()
            }
            shared.variants.start(on: first.eventLoop)
            shared.comparisons.start(on: first.eventLoop, shared.logger)
            // What start-up has used, and then what only first requests have.
            for seconds in [1, 10] as [Int64] {
                first.eventLoop.scheduleTask(in: .seconds(seconds)) { ProgramPages.releaseCode() }
            }
        }
    }

    /// Accepts nothing more, lets what is in flight finish within the drain time, closes the rest.
    public func stop() async {
        let state = state.withLock { state -> State in
            let old = state
            state = State()
            return old
        }
        guard let group = state.group else { return }
        shared.beginDraining()
        for listener in state.listeners { try? await listener.close() }
        for loop in state.loops { loop.eventLoop.execute { loop.value.drainAll() } }
        let end = shared.time.now().advanced(by: shared.listen.drain)
        while shared.connections > 0, shared.time.now() < end {
            try? await Task.sleep(for: .milliseconds(10))
            if Task.isCancelled { break }
        }
        if shared.connections > 0 {
            shared.logger.warning(
                "connections cut off after the drain time",
                metadata: ["count": "\(shared.connections)"])
        }
        for loop in state.loops { loop.eventLoop.execute { loop.value.closeAll() } }
        try? await shared.comparing.shutdownGracefully()
        try? await group.shutdownGracefully()
        shared.variants.save()
        shared.budgets.save(shared.logger)
        shared.comparisons.save(shared.logger)
    }

    // MARK: TLS

    private static func makeServerTLS(
        _ listen: ListenConfiguration
    ) throws(ProxyError) -> NIOSSLContext? {
        guard let certificate = listen.certificate, let key = listen.key else { return nil }
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(certificate)
                .map { NIOSSLCertificateSource.certificate($0) }
            let secret = try NIOSSLPrivateKey(file: key, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain, privateKey: .privateKey(secret))
            configuration.applicationProtocols = ["h2", "http/1.1"]
            if let authorities = listen.clientAuthorities {
                // Whoever has no certificate of these does not get past the handshake.
                configuration.trustRoots = .certificates(
                    try NIOSSLCertificate.fromPEMFile(authorities))
                configuration.certificateVerification = .noHostnameVerification
            }
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw ProxyError(
                .badCertificate, "certificate '\(certificate)', key '\(key)': \(error)")
        }
    }
}

/// Why the gateway cannot run.
public struct ProxyError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value {
            case cannotListen, badCertificate, badAddress, noAnswer, badState, badSecret
        }
        private let value: Value
        public static let cannotListen = Code(value: .cannotListen)
        public static let badCertificate = Code(value: .badCertificate)
        public static let badAddress = Code(value: .badAddress)
        public static let noAnswer = Code(value: .noAnswer)
        public static let badState = Code(value: .badState)
        public static let badSecret = Code(value: .badSecret)
    }

    public let code: Code
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}

/// Answers a connection that is one too many: 503, then closed. Behind TLS it only closes, which
/// spares the handshake.
final class OneTooMany: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let isEncrypted: Bool

    init(isEncrypted: Bool) { self.isEncrypted = isEncrypted }

    func channelActive(context: ChannelHandlerContext) {
        if !isEncrypted {
            let answer = ByteBuffer(
                string: "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                    + "Content-Length: 0\r\nConnection: close\r\n\r\n")
            context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        }
        context.close(promise: nil)
    }
}
