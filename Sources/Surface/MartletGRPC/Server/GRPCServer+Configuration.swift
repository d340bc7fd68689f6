// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import NIOCore
public import NIOPosix
internal import NIOSSL

extension GRPCServer {
    /// Where and how the server listens.
    public struct Configuration: Sendable {
        public var host: String
        /// 0 takes any free port.
        public var port: Int
        public var tls: TLS?
        public var limits: Limits
        public var eventLoopGroup: any EventLoopGroup

        public init(
            host: String = "127.0.0.1", port: Int = 8001, tls: TLS? = nil,
            limits: Limits = Limits(),
            eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
        ) {
            self.host = host
            self.port = port
            self.tls = tls
            self.limits = limits
            self.eventLoopGroup = eventLoopGroup
        }
    }

    /// The bounds of everything that a client can make the server hold or wait for.
    public struct Limits: Sendable {
        /// One request message, before and after decompression; more is RESOURCE_EXHAUSTED.
        public var messageBytes = 64 << 20
        /// Unfinished messages of all connections together.
        public var unfinishedBytes = 1 << 30
        public var connections = 4_096
        public var streamsPerConnection = 256
        /// A request's header block.
        public var headerBytes = 16 << 10
        /// Requests of one ModelStreamInfer call that may be under way; more wait unread.
        public var requestsPerStream = 64
        /// How long a unary request's message may take to arrive.
        public var bodyTime = Duration.seconds(60)
        /// How long a connection may take to begin.
        public var prefaceTime = Duration.seconds(20)
        /// How long a connection without calls stays open.
        public var idleTime = Duration.seconds(1_800)
        /// After this long without a byte the client is asked whether it is still there.
        public var keepAliveInterval = Duration.seconds(300)
        public var keepAliveTimeout = Duration.seconds(20)
        /// How long calls may go on after the server was told to stop.
        public var drainTime = Duration.seconds(30)

        public init() {}
    }

    /// A certificate chain and its key, as PEM files.
    public struct TLS: Sendable {
        public var certificatePath: String
        public var privateKeyPath: String

        public init(certificatePath: String, privateKeyPath: String) {
            self.certificatePath = certificatePath
            self.privateKeyPath = privateKeyPath
        }

        func makeContext() throws(GRPCServerError) -> NIOSSLContext {
            do {
                let chain = try NIOSSLCertificate.fromPEMFile(certificatePath)
                let key = try NIOSSLPrivateKey(file: privateKeyPath, format: .pem)
                var configuration = TLSConfiguration.makeServerConfiguration(
                    certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
                configuration.minimumTLSVersion = .tlsv12
                configuration.applicationProtocols = ["h2"]
                return try NIOSSLContext(configuration: configuration)
            } catch {
                throw GRPCServerError(
                    .invalidCertificate,
                    "cannot use certificate '\(certificatePath)' with key '\(privateKeyPath)': "
                        + "\(error)",
                    cause: error)
            }
        }
    }
}
