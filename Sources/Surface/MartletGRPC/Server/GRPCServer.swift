// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import Logging
public import MartletBase
public import MartletServing
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
public import ServiceLifecycle
internal import Tracing

/// Serves a `ModelHost` over gRPC: the Open Inference Protocol with Triton's extensions, and
/// `grpc.health.v1`. HTTP/2 with prior knowledge, or over TLS.
///
/// One handler per connection drives pure state machines; unary calls use callbacks throughout. On
/// graceful shutdown it stops listening, sends GOAWAY, lets calls finish within
/// `Limits.drainTime`, and returns.
public final class GRPCServer: Service {
    private let configuration: Configuration
    private let environment: ServerEnvironment
    private let connections: ConnectionRegistry
    private let onBound: @Sendable (_ port: Int) -> Void

    /// - Parameters:
    ///   - onBound: called once with the port that the server listens on.
    public convenience init(
        _ host: any ModelHost, settings: ProtocolSettings, configuration: Configuration,
        logger: Logger = Logger(label: "martlet.grpc"), time: any TimeSource = SystemTime(),
        onBound: @escaping @Sendable (_ port: Int) -> Void = { _ in }
    ) {
        self.init(
            service: KServeService(host, settings: settings, limits: configuration.limits),
            configuration: configuration, logger: logger, time: time, onBound: onBound)
    }

    package init(
        service: any GRPCService, configuration: Configuration, logger: Logger,
        time: any TimeSource = SystemTime(),
        onBound: @escaping @Sendable (_ port: Int) -> Void = { _ in }
    ) {
        self.configuration = configuration
        environment = ServerEnvironment(
            service: service, limits: configuration.limits, time: time, logger: logger,
            budget: ByteBudget(byteCountMax: configuration.limits.unfinishedBytes),
            tracing: StreamTracing())
        connections = ConnectionRegistry(countMax: configuration.limits.connections)
        self.onBound = onBound
    }

    /// Listens and serves until graceful shutdown or cancellation.
    /// - Throws: `GRPCServerError` when the port is taken or the certificate cannot be used.
    public func run() async throws {
        let channel = try await listen()
        onBound(channel.localAddress?.port ?? configuration.port)
        let connections = connections
        try await withTaskCancellationHandler {
            try await withTaskCancellationOrGracefulShutdownHandler {
                try await channel.closeFuture.get()
            } onCancelOrGracefulShutdown: {
                channel.close(promise: nil)
            }
            let limit = TimeAmount.nanoseconds(
                configuration.limits.drainTime.nanosecondsSaturating)
            try await connections.drain(on: channel.eventLoop, limit: limit).get()
        } onCancel: {
            connections.closeAll()
        }
    }

    private func listen() async throws -> any Channel {
        let tls = try configuration.tls.map { files throws in try files.makeContext() }
        let registry = connections
        let pipeline = ConnectionPipeline(environment: environment, tls: tls)
        let bootstrap = ServerBootstrap(group: configuration.eventLoopGroup)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: ConnectionPipeline.waterMark)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard registry.add(channel) else {
                        throw GRPCServerError(.tooManyConnections, "too many connections")
                    }
                    channel.closeFuture.whenComplete { _ in registry.remove(channel) }
                    try pipeline.configure(channel)
                }
            }
        do {
            return try await bootstrap.bind(host: configuration.host, port: configuration.port)
                .get()
        } catch {
            let reason = ListenFailure.reason((error as? IOError)?.errnoCode)
            throw GRPCServerError(
                .cannotListen,
                "gRPC cannot listen on \(configuration.host):\(configuration.port): \(reason)",
                cause: error)
        }
    }
}

/// Why the server could not start.
public struct GRPCServerError: Error, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        private enum Value { case cannotListen, invalidCertificate, tooManyConnections }
        private let value: Value
        public static let cannotListen = Code(value: .cannotListen)
        public static let invalidCertificate = Code(value: .invalidCertificate)
        public static let tooManyConnections = Code(value: .tooManyConnections)
    }

    public let code: Code
    public let message: String
    public let cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { message }
}
