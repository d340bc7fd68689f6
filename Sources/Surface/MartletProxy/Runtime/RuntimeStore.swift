// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletStorage
internal import Synchronization

/// The runtime that is in force. A change is built beside it and put in its place whole; loops see
/// it with their next request, by one atomic comparison.
final class RuntimeStore: Sendable {
    /// What moves shares while the configuration stays as it is.
    let deliveries: Deliveries
    private let routing: RoutingStore
    private let current: Mutex<GatewayRuntime>
    private let time: any TimeSource
    private let hasModels: Bool
    private let secrets: @Sendable (String) -> String?
    /// What the process began with: some of it stays in force until it ends.
    private let started: RoutingSnapshot
    /// For upstreams behind TLS.
    let tls: UpstreamTLSContexts

    init(
        _ snapshot: RoutingSnapshot, time: any TimeSource, hasModels: Bool,
        secrets: @escaping @Sendable (String) -> String?
    ) throws(ProxyError) {
        tls = UpstreamTLSContexts(trustFile: secrets("SSL_CERT_FILE"))
        if let problem = UpstreamSecrets.problems(snapshot, secrets).first {
            throw ProxyError(.badSecret, problem)
        }
        try tls.prepare(UpstreamTLSContexts.needed(snapshot))
        started = snapshot
        deliveries = Deliveries(path: snapshot.tables.deliveryFiles.state)
        let snapshot = deliveries.adapt(snapshot, at: time.now())
        routing = RoutingStore(snapshot)
        self.time = time
        self.hasModels = hasModels
        self.secrets = secrets
        current = Mutex(
            GatewayRuntime(
                snapshot, after: nil, at: time.now(), hasModels: hasModels, secrets: secrets))
    }

    var generation: UInt64 { routing.generation }

    func load() -> (runtime: GatewayRuntime, generation: UInt64) {
        current.withLock { ($0, routing.generation) }
    }

    /// One event loop's reference to the runtime in force.
    func makeReader() -> SnapshotReader<GatewayRuntime> {
        SnapshotReader(routing.changes) { [self] in load() }
    }

    /// What looks like a mistake in a change, and what of it takes a restart.
    func warnings(of snapshot: RoutingSnapshot) -> [String] {
        snapshot.changesForRestart(since: started).map {
            "\($0) has changed: that takes a restart"
        } + snapshot.warnings
            + snapshot.missing(
                hasVariable: { secrets($0)?.isEmpty == false }, hasFile: FileSystem.exists)
    }

    /// Puts a snapshot in force for every later request. Blocks on the files that it names.
    /// - Throws: `ProxyError` when a key or a certificate that it needs cannot be had; what was in
    ///   force stays.
    func publish(_ snapshot: RoutingSnapshot) throws(ProxyError) {
        if let problem = UpstreamSecrets.problems(snapshot, secrets).first {
            throw ProxyError(.badSecret, problem)
        }
        try tls.prepare(UpstreamTLSContexts.needed(snapshot))
        current.withLock { current in
            let snapshot = deliveries.adapt(snapshot, at: time.now())
            current = GatewayRuntime(
                snapshot, after: current, at: time.now(), hasModels: hasModels, secrets: secrets)
            routing.publish(snapshot)
        }
    }

    /// Puts the snapshot before back in force; false when there is none.
    func rollBack() -> Bool {
        current.withLock { current in
            guard routing.rollBack() else { return false }
            replace(routing.load().snapshot, &current)
            return true
        }
    }

    /// Gives deliveries' versions the shares that they have by now. What was configured before can
    /// still be rolled back to.
    func refreshShares() {
        current.withLock { replace($0.snapshot, &$0) }
    }

    private func replace(_ snapshot: RoutingSnapshot, _ current: inout GatewayRuntime) {
        let snapshot = deliveries.adapt(snapshot, at: time.now())
        current = GatewayRuntime(
            snapshot, after: current, at: time.now(), hasModels: hasModels, secrets: secrets)
        routing.replace(with: snapshot)
    }
}
