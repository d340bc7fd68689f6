// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Logging
internal import MartletBase
internal import MartletGateway
internal import MartletWire
internal import NIOCore

/// What the connections of one event loop share; touched on that loop only.
final class ProxyLoop {
    let shared: ProxyShared
    let eventLoop: any EventLoop
    @safe @exclusivity(unchecked) var random: SeededRandom
    let metrics = LoopMetrics()
    /// Requests that are being asked of a candidate as well.
    var shadowsInFlight = 0
    /// What replicas agree on.
    @safe @exclusivity(unchecked) var state: any SharedState = InProcessState()
    private var redis: RedisLink?
    /// Heads and pieces of bodies are put together here; empty between events.
    @safe @exclusivity(unchecked) var scratch = WireBuffer()
    /// Filled for each decision.
    @safe @exclusivity(unchecked) var routing = RoutingRequest(model: nil, values: [])
    @safe @exclusivity(unchecked) private var reader: SnapshotReader<GatewayRuntime>
    @safe @exclusivity(unchecked) private var upstreams: [UpstreamConnections] = []
    private var clients: [ObjectIdentifier: ClientConnection] = [:]
    private var links: [ObjectIdentifier: HTTP2ClientLink] = [:]
    private struct AccountPlace: Hashable {
        var key: Int
        var version: Int
        var tenant: String?
    }
    @safe @exclusivity(unchecked) private var accounts: [AccountPlace: UsageAccount] = [:]
    /// The same by key and version, where few enough can be.
    @safe @exclusivity(unchecked) private var accountTable: [UsageAccount?] = []
    @safe @exclusivity(unchecked) private var accountsFor: UInt64?
    private struct FeedbackPlace: Hashable {
        var version: Int
        var isPart: Bool
    }
    private var feedbackTargets: [FeedbackPlace: FeedbackDesk.Target] = [:]
    private var feedbackTargetsFor: UInt64?
    private var failuresSince: Int64 = 0
    private var failuresTold = 0
    private var failuresUntold = 0
    @safe @exclusivity(unchecked) private var realSecondsAt: Int64 = .min
    @safe @exclusivity(unchecked) private var realSeconds: Int64 = 0

    init(shared: ProxyShared, eventLoop: any EventLoop, seed: UInt64) {
        self.shared = shared
        self.eventLoop = eventLoop
        random = SeededRandom(seed: seed)
        reader = shared.store.makeReader()
        takeUpstreams()
        scheduleSweep()
    }

    /// Joins the other replicas, as the loop of that number.
    func join(_ replicas: ReplicaState, number: Int) {
        let link = RedisLink(
            replicas.configuration, address: replicas.address, password: replicas.password,
            process: replicas.process, loop: self)
        state = RedisState(link, number: number, loop: self)
        redis = link
        link.start()
    }

    /// Calls with the runtime in force, where it lies: one atomic load and a comparison. The body
    /// retains it or is done with it; what it calls must not read again.
    @inline(__always)
    func read<Outcome>(_ body: (GatewayRuntime) -> Outcome) -> Outcome {
        if !reader.isCurrent { takeRuntime() }
        return reader.borrow(body)
    }

    /// The runtime in force.
    func runtime() -> GatewayRuntime { read { $0 } }

    private func takeRuntime() {
        reader.update()
        takeUpstreams()
        metrics.versionsHaveChanged()
    }

    /// This loop's connections to an upstream.
    func connections(to identity: UpstreamIdentity) -> UpstreamConnections {
        for connections in upstreams where connections.identity === identity {
            return connections
        }
        // Of an earlier runtime, whose requests are still in flight.
        return makeConnections(identity)
    }

    private func makeConnections(_ identity: UpstreamIdentity) -> UpstreamConnections {
        UpstreamConnections(
            identity, eventLoop: eventLoop, tls: shared.store.tls, local: shared.local)
    }

    private func takeUpstreams() {
        let before = upstreams
        upstreams = reader.borrow { $0.upstreams }.map { identity in
            before.first { $0.identity === identity } ?? makeConnections(identity)
        }
        for old in before where !upstreams.contains(where: { $0 === old }) { old.closeIdle() }
    }

    private func scheduleSweep() {
        eventLoop.assumeIsolated().scheduleTask(in: .seconds(10)) { [weak self] in
            guard let self else { return }
            let now = shared.time.now()
            for connections in upstreams { connections.sweep(at: now) }
            scheduleSweep()
        }
    }

    /// Tells of a request that failed, where the log of requests does not; when many fail, of ten a
    /// second.
    func noteFailure(_ failure: AttemptFailure, of client: ClientConnection) {
        guard !shared.listen.logsRequests, shared.logger.logLevel <= .warning else { return }
        let now = shared.time.now()
        if now.nanoseconds &- failuresSince > 1_000_000_000 {
            if failuresUntold > 0 {
                shared.logger.warning(
                    "more requests failed", metadata: ["count": "\(failuresUntold)"])
            }
            (failuresSince, failuresTold, failuresUntold) = (now.nanoseconds, 0, 0)
        }
        guard failuresTold < 10 else {
            failuresUntold += 1
            return
        }
        failuresTold += 1
        let exchange = client.exchange
        var metadata: Logger.Metadata = [
            "request_id": "\(client.requestIDText)",
            "reason": "\(failure.message)",
        ]
        if let pool = exchange.pool {
            metadata["pool"] = "\(pool.name)"
            if let member = exchange.member {
                metadata["upstream"] = "\(pool.members[member].name)"
            }
        }
        shared.logger.warning("request failed", metadata: metadata)
    }

    /// Seconds since the epoch, looked up at most once a second.
    func epochSeconds(at now: MonotonicInstant) -> Int64 {
        if now.nanoseconds &- realSecondsAt > 500_000_000 || realSecondsAt == .min {
            realSecondsAt = now.nanoseconds
            var real = timespec()
            unsafe clock_gettime(CLOCK_REALTIME_COARSE, &real)
            realSeconds = Int64(real.tv_sec)
        }
        return realSeconds
    }

    /// Where a caller's use of a version is added up.
    func account(
        _ key: Int?, _ version: Int, tenant: String? = nil, _ runtime: GatewayRuntime
    ) -> UsageAccount {
        if accountsFor != runtime.serial {
            accountsFor = runtime.serial
            accounts.removeAll(keepingCapacity: true)
            let count = (runtime.access.keys.count + 1) * runtime.isPlain.count
            accountTable = Array(repeating: nil, count: count <= 4_096 ? count : 0)
        }
        let number = ((key ?? -1) + 1) * runtime.isPlain.count + version
        let isInTable = tenant == nil && number < accountTable.count
        if isInTable, let known = accountTable[number] { return known }
        let place = AccountPlace(key: key ?? -1, version: version, tenant: tenant)
        if let known = accounts[place] { return known }
        if let tenant {
            let counted = shared.tenants.counted(tenant)
            if counted != tenant { return account(key, version, tenant: counted, runtime) }
        }
        let tables = runtime.snapshot.tables
        let found = shared.ledger.account(
            UsageLedger.Holder(
                key: key.map { runtime.access.keys[$0].name },
                tenant: tenant ?? key.flatMap { runtime.access.keys[$0].tenant },
                model: tables.models[tables.versions[version].model].name,
                version: tables.versions[version].label))
        accounts[place] = found
        if isInTable { accountTable[number] = found }
        return found
    }

    /// Whose a version's answers are, for feedback.
    func feedbackTarget(
        _ version: Int, _ delivery: RoutingTables.Delivery?, _ isCanary: Bool,
        _ runtime: GatewayRuntime
    ) -> FeedbackDesk.Target {
        if feedbackTargetsFor != runtime.serial {
            feedbackTargetsFor = runtime.serial
            feedbackTargets.removeAll(keepingCapacity: true)
        }
        let place = FeedbackPlace(version: version, isPart: delivery != nil)
        if let known = feedbackTargets[place] { return known }
        let tables = runtime.snapshot.tables
        let target = FeedbackDesk.Target(
            label: LoopMetrics.VersionLabel(
                model: tables.models[tables.versions[version].model].name,
                version: tables.versions[version].label),
            experiment: delivery?.plan.experiment, isCanary: isCanary,
            badBelow: delivery?.badBelow ?? 0.5)
        feedbackTargets[place] = target
        return target
    }

    // MARK: Clients

    func add(_ client: ClientConnection) { clients[ObjectIdentifier(client)] = client }
    func remove(_ client: ClientConnection) { clients[ObjectIdentifier(client)] = nil }
    func add(_ link: HTTP2ClientLink) { links[ObjectIdentifier(link)] = link }
    func remove(_ link: HTTP2ClientLink) { links[ObjectIdentifier(link)] = nil }

    func drainAll() {
        for client in Array(clients.values) { client.drain() }
        for link in Array(links.values) { link.drain() }
    }

    func closeAll() {
        for client in Array(clients.values) { client.abort() }
        for link in Array(links.values) { link.close() }
        for connections in upstreams { connections.closeIdle() }
        redis?.stop()
    }
}
