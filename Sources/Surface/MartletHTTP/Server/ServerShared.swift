// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Logging
internal import MartletBase
internal import MartletServing
internal import MartletWire
internal import NIOCore
internal import Synchronization

/// What all connections of a server share.
final class ServerShared: Sendable {
    let configuration: HTTPServerConfiguration
    let router: Router
    let logger: Logger
    let metrics = ServerMetrics()
    let tracing = RequestTracing()
    let time: any TimeSource
    /// For what would hold up an event loop.
    let workers: WorkerPool
    /// For all bodies that are held.
    let bodies: ByteBudget
    private let connectionCount = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)

    init(
        configuration: HTTPServerConfiguration, router: Router, logger: Logger,
        time: any TimeSource
    ) {
        self.configuration = configuration
        self.router = router
        self.logger = logger
        self.time = time
        bodies = ByteBudget(
            byteCountMax: max(configuration.bodiesBytesMax, configuration.limits.bodyBytesMax))
        // A connection has at most one request with the workers at a time.
        workers = WorkerPool(
            name: "martlet-http", threads: configuration.workerCount,
            waitingMax: configuration.connectionCountMax)
    }

    /// Text of more bytes than this is not read, written or packed on an event loop.
    static let loopBytesMax = 64 << 10
    /// Nor are compressed bodies above this unpacked there: they may grow a thousandfold.
    static let loopPackedBytesMax = 1 << 10

    /// Bodies of at most so many bytes are not counted: a connection's own buffers take as much.
    static let uncountedBodyBytesMax = 4 << 10

    static let bodiesAreFull = WireError(
        .limitExceeded, status: 503,
        "the server holds too many bytes of requests that are not answered yet; try again later")

    var isDraining: Bool { draining.load(ordering: .relaxed) }
    var connections: Int { connectionCount.load(ordering: .relaxed) }

    func beginDraining() { draining.store(true, ordering: .relaxed) }

    /// Counts a new connection; false when there are too many already.
    func admit() -> Bool {
        let count = connectionCount.add(1, ordering: .relaxed).newValue
        guard count <= configuration.connectionCountMax else {
            connectionCount.subtract(1, ordering: .relaxed)
            return false
        }
        metrics.set(connections: count)
        return true
    }

    func release() {
        metrics.set(connections: connectionCount.subtract(1, ordering: .relaxed).newValue)
    }
}

/// What the connections of one event loop share; touched on that loop only.
final class LoopState {
    /// Memory of past request bodies.
    @safe @exclusivity(unchecked) var bodies = BodyMemory()
    private var connections: [ObjectIdentifier: HTTPConnection] = [:]
    private var dateSecond: Int64 = -1
    @safe @exclusivity(unchecked) private var dateLine: [UInt8] = []
    @safe @exclusivity(unchecked) private var spareBytes: [[UInt8]] = []
    @safe @exclusivity(unchecked) private var random: SeededRandom

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
    }

    func add(_ connection: HTTPConnection) {
        connections[ObjectIdentifier(connection)] = connection
    }

    func remove(_ connection: HTTPConnection) {
        connections[ObjectIdentifier(connection)] = nil
    }

    func drainAll() {
        for connection in Array(connections.values) { connection.drain() }
    }

    func closeAll() {
        for connection in Array(connections.values) { connection.abort() }
    }

    /// The Date header, made once a second.
    func currentDateLine() -> [UInt8] {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME_COARSE, &now)
        if Int64(now.tv_sec) != dateSecond {
            dateSecond = Int64(now.tv_sec)
            dateLine = Array("Date: ".utf8) + HTTPDate.format(secondsSinceEpoch: dateSecond)
            dateLine += Array("\r\n".utf8)
        }
        return dateLine
    }

    func makeRequestID() -> UInt64 { random.next() }

    // MARK: Bytes to write answers into

    private static let spareBytesMax = 128 << 10
    /// A body and the head before it, at most.
    private static let spareCountMax = 2

    /// An empty array that may have room.
    func takeBytes() -> [UInt8] { spareBytes.popLast() ?? [] }

    func giveBack(_ bytes: consuming [UInt8]) {
        guard bytes.capacity > 0, bytes.capacity <= LoopState.spareBytesMax,
            spareBytes.count < LoopState.spareCountMax
        else { return }
        bytes.removeAll(keepingCapacity: true)
        spareBytes.append(bytes)
    }
}

/// What a request is called in logs and in its answer.
enum RequestID: Sendable, CustomStringConvertible {
    /// Made here; written as sixteen hexadecimal digits.
    case made(UInt64)
    /// The client's.
    case given(String)

    var description: String {
        switch self {
        case .made(let number):
            let digits = String(number, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        case .given(let text): return text
        }
    }
}
