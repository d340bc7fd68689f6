// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import Logging
public import MartletBase
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
public import ServiceLifecycle
internal import Synchronization

/// The HTTP door: listens, serves, and drains when told to stop.
public final class HTTPServer: Service {
    private struct State {
        var group: MultiThreadedEventLoopGroup?
        var listener: (any Channel)?
        var loops: [NIOLoopBoundBox<LoopState>] = []
    }

    private let shared: ServerShared
    private let state = Mutex(State())

    public init(
        configuration: HTTPServerConfiguration, router: Router,
        logger: Logger = Logger(label: "martlet.http"), time: any TimeSource = SystemTime()
    ) {
        shared = ServerShared(
            configuration: configuration, router: router, logger: logger, time: time)
    }

    /// The same routes for whoever asks from inside the process.
    package var local: LocalDoor { LocalDoor(shared) }

    /// Bytes of bodies that are arriving or not answered yet.
    package var heldBodyBytes: Int { shared.bodies.byteCount }

    /// Serves until told to stop gracefully, or cancelled.
    public func run() async throws {
        _ = try await start()
        try? await gracefulShutdown()
        await stop()
    }

    /// Listens and returns the port.
    /// - Throws: `HTTPError` when the address cannot be had or the certificate is no good.
    public func start() async throws -> Int {
        let configuration = shared.configuration
        let tls = try HTTPServer.makeTLS(configuration.tls)
        let group = MultiThreadedEventLoopGroup(
            numberOfThreads: max(configuration.threadCount, 1))
        var loops: [ObjectIdentifier: NIOLoopBoundBox<LoopState>] = [:]
        for loop in group.makeIterator() {
            let seed = UInt64.random(in: .min ... .max)
            loops[ObjectIdentifier(loop)] = try await loop.submit {
                NIOLoopBoundBox(LoopState(seed: seed), eventLoop: loop)
            }.get()
        }
        let states = loops
        let shared = shared
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.backlog, value: 1024)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                ChannelOptions.allowRemoteHalfClosure, value: configuration.answersHalfClosed
            )
            .childChannelOption(
                ChannelOptions.recvAllocator, value: HTTPServer.receiveAllocator(configuration)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let state = states[ObjectIdentifier(channel.eventLoop)] else { return }
                    try HTTPServer.prepare(channel, shared, state.value, tls)
                }
            }
        do {
            let listener = try await bootstrap.bind(
                host: configuration.host, port: configuration.port
            ).get()
            state.withLock {
                $0 = State(group: group, listener: listener, loops: Array(states.values))
            }
            let port = listener.localAddress?.port ?? configuration.port
            shared.logger.info(
                "\(configuration.door) listening",
                metadata: ["host": "\(configuration.host)", "port": "\(port)"])
            return port
        } catch {
            try? await group.shutdownGracefully()
            let reason = ListenFailure.reason((error as? IOError)?.errnoCode)
            throw HTTPError(
                .cannotListen,
                "\(configuration.door) cannot listen on \(configuration.host):"
                    + "\(configuration.port): \(reason)",
                cause: error)
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
        try? await state.listener?.close()
        for loop in state.loops { loop.eventLoop.execute { loop.value.drainAll() } }
        let end = shared.time.now().advanced(by: shared.configuration.drainTimeout)
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
        try? await group.shutdownGracefully()
    }

    /// Plaintext connections receive a head and what follows it through the channel; the rest of a
    /// body goes past it.
    private static func receiveAllocator(
        _ configuration: HTTPServerConfiguration
    ) -> any RecvByteBufferAllocator {
        configuration.tls == nil
            ? FixedSizeRecvByteBufferAllocator(capacity: 4 << 10)
            : AdaptiveRecvByteBufferAllocator()
    }

    private static func prepare(
        _ channel: any Channel, _ shared: ServerShared, _ state: LoopState,
        _ tls: NIOSSLContext?
    ) throws {
        guard shared.admit() else {
            try channel.pipeline.syncOperations.addHandler(
                RefusingHandler(isEncrypted: tls != nil))
            return
        }
        if let tls {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
        }
        try channel.pipeline.syncOperations.addHandler(
            HTTPConnection(shared: shared, loopState: state))
    }

    private static func makeTLS(
        _ tls: HTTPServerConfiguration.TLS?
    ) throws(HTTPError) -> NIOSSLContext? {
        guard let tls else { return nil }
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(tls.certificateFile)
                .map { NIOSSLCertificateSource.certificate($0) }
            let key = try NIOSSLPrivateKey(file: tls.keyFile, format: .pem)
            return try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: chain, privateKey: .privateKey(key)))
        } catch {
            throw HTTPError(
                .badCertificate,
                "certificate '\(tls.certificateFile)' with key '\(tls.keyFile)': \(error)",
                cause: error)
        }
    }
}
