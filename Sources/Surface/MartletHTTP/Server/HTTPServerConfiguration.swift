// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletWire

/// How the HTTP door behaves. Every wait and every size has a bound.
public struct HTTPServerConfiguration: Sendable {
    /// A certificate chain and its key, both in PEM files.
    public struct TLS: Sendable {
        public var certificateFile: String
        public var keyFile: String

        public init(certificateFile: String, keyFile: String) {
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }
    }

    /// What logs call it.
    public var door = "HTTP"
    public var host: String
    /// 0 takes a free one; `HTTPServer.start` says which.
    public var port: Int
    /// Event loops; each runs on a thread of its own.
    public var threadCount: Int
    /// Threads for reading and writing large JSON and for compression, which would hold up other
    /// connections of an event loop.
    public var workerCount: Int
    public var limits: HTTPLimits
    /// Bytes of all request bodies that are arriving or not answered yet, those of at most 4 KiB
    /// left out; a body that would pass it is answered with 503. At least one body fits.
    public var bodiesBytesMax = 1 << 30
    /// Connections beyond this are answered with 503 and closed.
    public var connectionCountMax: Int
    /// Between requests on a connection.
    public var idleTimeout: Duration
    /// From a request's first byte to the end of its head.
    public var headerTimeout: Duration
    /// For a body, plus the time its length takes at `bytesPerSecondMin`.
    public var bodyTimeout: Duration
    /// For a client to take an answer, plus the time its length takes at `bytesPerSecondMin`.
    public var writeTimeout: Duration
    public var bytesPerSecondMin: Int
    /// Bytes of further requests kept while one is being answered.
    public var pipelineBytesMax: Int
    /// Answer a client that has closed its sending side. Off, that is taken as "gone", and the
    /// request is cancelled.
    public var answersHalfClosed: Bool
    /// For requests in flight when the server is told to stop.
    public var drainTimeout: Duration
    public var tls: TLS?
    /// One line per request at level info.
    public var logsAccess: Bool

    public init(
        host: String = "0.0.0.0", port: Int = 8000, threadCount: Int = 1,
        workerCount: Int = 2, limits: HTTPLimits = HTTPLimits(), connectionCountMax: Int = 4096,
        idleTimeout: Duration = .seconds(75), headerTimeout: Duration = .seconds(10),
        bodyTimeout: Duration = .seconds(30), writeTimeout: Duration = .seconds(30),
        bytesPerSecondMin: Int = 16 << 10, pipelineBytesMax: Int = 64 << 10,
        answersHalfClosed: Bool = false, drainTimeout: Duration = .seconds(30), tls: TLS? = nil,
        logsAccess: Bool = true
    ) {
        self.host = host
        self.port = port
        self.threadCount = threadCount
        self.workerCount = workerCount
        self.limits = limits
        self.connectionCountMax = connectionCountMax
        self.idleTimeout = idleTimeout
        self.headerTimeout = headerTimeout
        self.bodyTimeout = bodyTimeout
        self.writeTimeout = writeTimeout
        self.bytesPerSecondMin = bytesPerSecondMin
        self.pipelineBytesMax = pipelineBytesMax
        self.answersHalfClosed = answersHalfClosed
        self.drainTimeout = drainTimeout
        self.tls = tls
        self.logsAccess = logsAccess
    }
}
