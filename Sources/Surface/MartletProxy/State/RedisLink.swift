// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import NIOCore

/// Keeps one event loop's connection to Redis: makes it, logs in, loads the scripts, notices when
/// it is slow or gone, and makes it again after a wait that grows.
///
/// `isReady` is false while a reply is late. Then a probe is sent from time to time, and whoever
/// asks is served again once a probe has been answered in time.
final class RedisLink {
    enum Script: Int, CaseIterable { case admit, settle, heartbeat, charge, spent }

    private enum Phase { case away, connecting, preparing, ready, late, stopped }

    private static let tick = TimeAmount.milliseconds(50)
    private static let heartbeatEvery = Duration.seconds(1)

    let configuration: SharedStateConfiguration
    private let address: SharedStateAddress
    private let password: String?
    private let loop: ProxyLoop
    /// Names this process among the replicas.
    let process: String
    /// Called whenever commands can be sent again.
    @safe @exclusivity(unchecked) var cameBack: () -> Void = {}
    /// Replicas that live, as Redis last said.
    @safe @exclusivity(unchecked) private(set) var replicaCount = 1
    @safe @exclusivity(unchecked) private(set) var reconnects = 0
    @safe @exclusivity(unchecked) private var phase = Phase.away
    @safe @exclusivity(unchecked) private var connection: RedisConnection?
    @safe @exclusivity(unchecked) private var digests: [[UInt8]] = []
    @safe @exclusivity(unchecked) private var failures = 0
    @safe @exclusivity(unchecked) private var nextTry = MonotonicInstant(nanoseconds: .min)
    @safe @exclusivity(unchecked) private var nextHeartbeat = MonotonicInstant(nanoseconds: .min)
    @safe @exclusivity(unchecked) private var isProbing = false

    init(
        _ configuration: SharedStateConfiguration, address: SharedStateAddress, password: String?,
        process: String, loop: ProxyLoop
    ) {
        self.configuration = configuration
        self.address = address
        self.password = password
        self.process = process
        self.loop = loop
    }

    var isReady: Bool { phase == .ready }
    var replicasKey: [UInt8] { Array("\(configuration.prefix):{state}:replicas".utf8) }

    func start() {
        keepUp()
        loop.eventLoop.assumeIsolated().scheduleTask(in: RedisLink.tick) { [self] in
            if phase != .stopped { start() }
        }
    }

    func stop() {
        phase = .stopped
        connection?.close("the gateway stops")
    }

    /// A reply was not there in time: nobody else waits for one until a probe comes back.
    func isLate() {
        guard phase == .ready else { return }
        phase = .late
        failures = 1
        nextTry = loop.shared.time.now().advanced(by: .milliseconds(50))
        isProbing = false
    }

    // MARK: Commands

    /// Asks; nil is the reply of a connection that ended. False when nothing can be asked now.
    func command(
        _ parts: [[UInt8]], _ completion: @escaping RedisConnection.Completion
    ) -> Bool {
        guard phase == .ready, let connection else { return false }
        return connection.send(parts, completion)
    }

    func script(
        _ script: Script, keys: [[UInt8]], _ arguments: [[UInt8]],
        _ completion: @escaping (RESPValue?) -> Void
    ) -> Bool {
        guard digests.count == Script.allCases.count else { return false }
        let parts =
            [Array("EVALSHA".utf8), digests[script.rawValue], Array("\(keys.count)".utf8)]
            + keys + arguments
        return command(parts) { [weak self] reply in
            if case .error(let message)? = reply {
                self?.hasRefused(message)
                return completion(nil)
            }
            completion(reply)
        }
    }

    /// Redis answered an error: it was emptied, is loading, is full, or forbids something.
    private func hasRefused(_ message: String) {
        guard phase == .ready || phase == .late else { return }
        connection?.close("it refused: \(message.prefix(200))")
    }

    // MARK: Keeping up

    private func keepUp() {
        let now = loop.shared.time.now()
        if let oldest = connection?.oldest, oldest.duration(to: now) > configuration.timeout {
            connection?.close("it has owed an answer for \(configuration.timeout)")
        }
        switch phase {
        case .away where now >= nextTry: connect()
        case .late where now >= nextTry && !isProbing: probe(at: now)
        case .ready where now >= nextHeartbeat:
            nextHeartbeat = now.advanced(by: RedisLink.heartbeatEvery)
            beat()
        default: break
        }
    }

    private func connect() {
        phase = .connecting
        RedisConnection.connect(
            address, on: loop.eventLoop, time: loop.shared.time,
            ended: { [weak self] in self?.hasEnded($0) }
        ) { [weak self] result in
            guard let self, phase == .connecting else {
                if case .success(let connection) = result { connection.close("not wanted") }
                return
            }
            switch result {
            case .success(let connection):
                self.connection = connection
                phase = .preparing
                prepare(connection)
            case .failure(let error): hasEnded("cannot connect: \(error)")
            }
        }
    }

    private func hasEnded(_ reason: String) {
        guard phase != .stopped else { return }
        connection = nil
        let wasReady = phase == .ready || phase == .late
        phase = .away
        failures += 1
        let ceiling = min(Int64(100) << Int64(min(failures, 6)), 5_000)
        let wait = Int64.random(in: 50...ceiling, using: &loop.random)
        nextTry = loop.shared.time.now().advanced(by: .milliseconds(wait))
        if wasReady || failures == 1 {
            loop.shared.logger.warning(
                "the shared state is away; limits go by this replica's share",
                metadata: ["redis": "\(address.host):\(address.port)", "reason": "\(reason)"])
        }
    }

    /// Logs in, chooses the database and loads the scripts; everything must be answered well.
    private func prepare(_ connection: RedisConnection) {
        var commands: [[String]] = []
        if let password {
            commands.append(["AUTH"] + (configuration.user.map { [$0] } ?? []) + [password])
        }
        if configuration.database != 0 { commands.append(["SELECT", "\(configuration.database)"]) }
        let scripts = [
            RedisScripts.admit, RedisScripts.settle, RedisScripts.heartbeat, RedisScripts.charge,
            RedisScripts.spent,
        ]
        digests = []
        var left = commands.count + scripts.count
        func check(_ reply: RESPValue?, isScript: Bool) {
            switch reply {
            case .error(let message)?:
                connection.close("it refused the login or a script: \(message.prefix(200))")
            case .bytes(let digest)? where isScript: digests.append(digest)
            case nil: return
            default: break
            }
            left -= 1
            if left == 0, phase == .preparing { hasPrepared() }
        }
        for command in commands {
            _ = connection.send(command.map { Array($0.utf8) }) { check($0, isScript: false) }
        }
        for script in scripts {
            let parts = [Array("SCRIPT".utf8), Array("LOAD".utf8), Array(script.utf8)]
            _ = connection.send(parts) { check($0, isScript: true) }
        }
    }

    private func hasPrepared() {
        guard digests.count == Script.allCases.count else {
            connection?.close("it loaded no scripts")
            return
        }
        reconnects += 1
        loop.shared.logger.info(
            "the shared state is there", metadata: ["redis": "\(address.host):\(address.port)"])
        isBack()
    }

    private func isBack() {
        phase = .ready
        failures = 0
        nextHeartbeat = MonotonicInstant(nanoseconds: .min)
        cameBack()
    }

    private func probe(at now: MonotonicInstant) {
        guard let connection, connection.pendingCount == 0 else { return }
        isProbing = true
        _ = connection.send([Array("PING".utf8)]) { [weak self] reply in
            guard let self, phase == .late, reply != nil else { return }
            isProbing = false
            let answered = loop.shared.time.now()
            if now.duration(to: answered) <= configuration.wait { return isBack() }
            failures += 1
            nextTry = answered.advanced(
                by: .milliseconds(min(Int64(50) << Int64(min(failures, 5)), 1_000)))
        }
    }

    private func beat() {
        _ = script(
            .heartbeat, keys: [replicasKey],
            [Array(process.utf8), Array("\(RedisScripts.deadAfterMicroseconds)".utf8)]
        ) { [weak self] reply in
            if let count = reply?.integer { self?.replicaCount = max(Int(clamping: count), 1) }
        }
    }
}
