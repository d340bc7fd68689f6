// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Logging
internal import MartletBase
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
    }

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
    private var connections: [ObjectIdentifier: HTTPConnection] = [:]
    private var dateSecond: Int64 = -1
    private(set) var date: [UInt8] = []
    private var random: SeededRandom

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

    /// The Date header's value, made once a second.
    func currentDate() -> [UInt8] {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME_COARSE, &now)
        if Int64(now.tv_sec) != dateSecond {
            dateSecond = Int64(now.tv_sec)
            date = HTTPDate.format(secondsSinceEpoch: dateSecond)
        }
        return date
    }

    /// Sixteen hexadecimal digits.
    func makeRequestID() -> String {
        let digits: StaticString = "0123456789abcdef"
        var value = random.next()
        return unsafe String(unsafeUninitializedCapacity: 16) { memory in
            for place in 0..<16 {
                unsafe memory[place] = digits.utf8Start[Int(value & 15)]
                value >>= 4
            }
            return 16
        }
    }
}
